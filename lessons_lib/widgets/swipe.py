"""The swipe: truth on one side of a divider, a prediction on the other, at recorded moments of training."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from lessons_lib.metrics import boundary_f_score, confusion_matrix, mean_iou, pixel_accuracy
from lessons_lib.palette import colorize
from lessons_lib.widgets.base import LessonWidget, picture_uri

ALT = "A scene, its truth, and what each network predicts for it at the last recorded moment."


def _scores(true: np.ndarray, moments: np.ndarray, num_classes: int) -> list[list[float | None]]:
    """Return pixel accuracy, mean IoU and boundary F-score of a scene at each moment; None where one is undefined."""
    scores, true = [], torch.from_numpy(true.astype(int))
    for predicted in torch.from_numpy(moments.astype(int)):
        counts = confusion_matrix(true, predicted, num_classes)
        edges = boundary_f_score(true[None], predicted[None], num_classes)
        scores.append([round(s, 4) if s == s else None for s in (pixel_accuracy(counts), mean_iou(counts), edges)])
    return scores


class Swipe(LessonWidget):
    """Truth, scene and the predictions of several networks, two of them at a time with a divider between.

    Args:
        images: (N, H, W, 3) in [0, 1], the scenes.
        truths: (N, H, W) class ids; 255 is void.
        frames: {network's name: class ids (M, N, H, W)}, what it predicts at each recorded moment.
        moments: M numbers of training steps.
        class_names: name of class 0, 1, 2 ...
        **state: of the first frame: `left`, "truth", "scene" or a network; `right`, a network, at first the first;
            `scene` and `moment`, counted from 0, at first the last moment; `divider`, percent; `title`; `alt`.

    Raises:
        ValueError: the arrays do not fit together, or a class has no name or colour.

    Example:
        >>> truth = np.array([[[0, 1]]])  # (N, H, W) = (1, 1, 2)
        >>> widget = Swipe(np.zeros((1, 1, 2, 3)), truth, {"FCN": np.stack([truth * 0, truth])}, [0, 9], ["sky", "cat"])
        >>> widget.scores
        [[[[0.5, 0.25, 0.0], [1.0, 1.0, 1.0]]]]
    """

    name = "swipe"
    size = traitlets.List().tag(sync=True)  # [H, W], px
    photos = traitlets.List().tag(sync=True)  # one a scene
    truths = traitlets.List().tag(sync=True)
    networks = traitlets.List().tag(sync=True)
    strips = traitlets.List().tag(sync=True)  # [network][scene], its moments one below the other
    scores = traitlets.List().tag(sync=True)  # [network][scene][moment] = [accuracy, mean IoU, boundary F]
    moments = traitlets.List().tag(sync=True)  # steps
    class_names = traitlets.List().tag(sync=True)
    left = traitlets.Unicode("truth").tag(sync=True)
    right = traitlets.Unicode().tag(sync=True)
    scene = traitlets.Int(0, min=0).tag(sync=True)
    moment = traitlets.Int(0, min=0).tag(sync=True)
    divider = traitlets.Int(50, min=0, max=100).tag(sync=True)  # percent of the width

    def __init__(
        self, images: np.ndarray, truths: np.ndarray, frames: Mapping, moments: Sequence, class_names: Sequence, **state
    ):
        if images.shape[:3] != truths.shape:
            raise ValueError(f"each scene has one truth: got {truths.shape} for {images.shape}; cut both alike")
        shape = len(moments), *truths.shape
        for network, maps in frames.items():
            if maps.shape != shape:
                raise ValueError(f"each network has {shape} class ids: got {maps.shape} for {network}; record it again")
        maps = [class_ids.swapaxes(0, 1) for class_ids in frames.values()]  # each (N, M, H, W)
        strips = [[colorize(np.concatenate(scene), class_names) for scene in scenes] for scenes in maps]
        count = len(class_names)
        lists = {"networks": frames, "class_names": class_names, "moments": map(int, moments), "size": truths.shape[1:]}
        first = {"right": next(iter(frames)), "moment": len(moments) - 1, "title": "Truth and prediction", "alt": ALT}
        painted = [colorize(class_ids, class_names) for class_ids in truths]
        super().__init__(
            photos=[picture_uri(image, lossless=False) for image in images],
            truths=[picture_uri(picture) for picture in painted],
            strips=[[picture_uri(strip) for strip in scenes] for scenes in strips],
            scores=[[_scores(true, scene, count) for true, scene in zip(truths, scenes)] for scenes in maps],
            **{key: list(values) for key, values in lists.items()} | first | state,
        )
        rows = slice(self.moment * self.size[0], (self.moment + 1) * self.size[0])
        self.panels = {"scene": images[self.scene], "truth": painted[self.scene]}
        self.panels |= {network: scenes[self.scene][rows] for network, scenes in zip(frames, strips)}

    def still(self) -> Figure:
        """Draw the first frame's scene, its truth and every network's prediction.

        Returns:
            A figure of one row.
        """
        figure = Figure(figsize=(9, 9 / len(self.panels) + 0.3), layout="constrained")
        for ax, (name, picture) in zip(figure.subplots(1, len(self.panels)), self.panels.items()):
            ax.imshow(picture)
            ax.set_title(name, color="0.5").axes.set_axis_off()
        return figure
