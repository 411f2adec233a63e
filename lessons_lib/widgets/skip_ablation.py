"""The skip ablation: one U-Net without skip connections, with added and with concatenated ones, as they learn."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from lessons_lib.metrics import boundary_band
from lessons_lib.palette import colorize
from lessons_lib.widgets.base import LessonWidget, picture_uri
from lessons_lib.widgets.class_maps import encode_runs, panel_row

ALT = "A scene, its truth, and what a network without skip connections and two with them say at the last moment."


class SkipAblation(LessonWidget):
    """Predictions of networks that differ in their skip connections alone, side by side, and where they are wrong.

    At first the networks have letters for names and the reader guesses which one has no skip connections.

    Args:
        images: (N, H, W, 3) in [0, 1], the scenes.
        truths: (N, H, W) class ids; 255 is void.
        frames: {network's name: class ids (M, N, H, W)}, what it predicts at each recorded moment; one name is "none".
        moments: M numbers of training steps.
        class_names: name of class 0, 1, 2 ...
        distance: how far the band reaches from a boundary pixel, px, as `metrics.boundary_band` takes it.
        **state: of the first frame: `scene` and `moment`, counted from 0, at first the last moment; `view`,
            "prediction" or "errors"; `region`, "everywhere", "band" or "outside"; `guess`, a network or "";
            `row` and `column` of the pixel that is pointed at, -1 for none; `title`; `alt`.

    Raises:
        ValueError: the arrays do not fit together, no network is "none", or a class has no name or colour.

    Example:
        >>> truth = np.array([[[0, 0, 0, 1, 1, 1]]])  # (N, H, W) = (1, 1, 6)
        >>> frames = {"none": truth[None] * 0, "add": truth[None]}
        >>> widget = SkipAblation(np.zeros((1, 1, 6, 3)), truth, frames, [500], ["sky", "cat"], distance=0)
        >>> widget.maps, widget.bands
        ([[['a6']], [['a3b3']]], ['a2b2a2'])
    """

    name = "skip_ablation"
    size = traitlets.List().tag(sync=True)  # [H, W], px
    photos = traitlets.List().tag(sync=True)  # one a scene
    truths = traitlets.List().tag(sync=True)  # one a scene, as runs
    bands = traitlets.List().tag(sync=True)  # one a scene, as runs of 0 and 1
    networks = traitlets.List().tag(sync=True)
    maps = traitlets.List().tag(sync=True)  # [network][scene][moment], as runs
    moments = traitlets.List().tag(sync=True)  # steps
    class_names = traitlets.List().tag(sync=True)
    distance = traitlets.Int().tag(sync=True)  # px
    scene = traitlets.Int(0, min=0).tag(sync=True)
    moment = traitlets.Int(0, min=0).tag(sync=True)
    view = traitlets.Enum(("prediction", "errors"), "prediction").tag(sync=True)
    region = traitlets.Enum(("everywhere", "band", "outside"), "everywhere").tag(sync=True)
    guess = traitlets.Unicode("").tag(sync=True)
    row = traitlets.Int(-1, min=-1).tag(sync=True)
    column = traitlets.Int(-1, min=-1).tag(sync=True)

    def __init__(
        self,
        images: np.ndarray,
        truths: np.ndarray,
        frames: Mapping,
        moments: Sequence,
        class_names: Sequence,
        distance: int = 2,
        **state,
    ):
        shape = len(moments), *images.shape[:3]
        for name, maps in {"the truth": truths[None].repeat(len(moments), axis=0), **frames}.items():
            if maps.shape != shape:
                raise ValueError(f"one map a scene and moment, {shape}: got {maps.shape} for {name}; cut all alike")
        if "none" not in frames:
            raise ValueError(f'one network has no skip connections, "none": got {list(frames)}; add it')
        painted = [colorize(class_ids, class_names) for class_ids in truths]
        bands = boundary_band(torch.as_tensor(truths, dtype=torch.int64), distance).byte().numpy()
        lists = {"networks": frames, "class_names": class_names, "moments": map(int, moments), "size": truths.shape[1:]}
        first = {"moment": len(moments) - 1, "title": "Skips left out, added, concatenated", "alt": ALT}
        super().__init__(
            photos=[picture_uri(image, lossless=False) for image in images],
            truths=[encode_runs(class_ids) for class_ids in truths],
            bands=[encode_runs(band) for band in bands],
            maps=[[[encode_runs(m) for m in scene] for scene in maps.swapaxes(0, 1)] for maps in frames.values()],
            distance=distance,
            **{key: list(values) for key, values in lists.items()} | first | state,
        )
        self.panels = {"scene": images[self.scene], "truth": painted[self.scene]}
        self.panels |= {name: colorize(maps[self.moment, self.scene], class_names) for name, maps in frames.items()}

    def still(self) -> Figure:
        """Draw the first frame's scene, its truth and every network's prediction.

        Returns:
            A figure of one row.
        """
        return panel_row(self.panels)
