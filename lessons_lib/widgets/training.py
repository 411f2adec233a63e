"""The progress view of `training.fit`: the loss, and the prediction of one sample that sharpens meanwhile."""

from collections.abc import Sequence

import numpy as np
import torch
import traitlets
from IPython.display import display
from matplotlib.figure import Figure

from lessons_lib.palette import colorize
from lessons_lib.training import predict
from lessons_lib.widgets.base import LessonWidget, encode_map, picture_uri, static_folder


class TrainingView(LessonWidget):
    """Shows a training, `with TrainingView(...) as view: fit(..., callback=view)`: live in Jupyter, later recorded.

    Args:
        image: (H, W, 3) in [0, 1], the sample.
        true_class_ids: (H, W), its truth; 255 is void.
        class_names: name of class 0, 1, 2 ...
        **state: `every`, steps between two looks at the sample, at first 10, doubled when there are 40; `title`.

    Raises:
        ValueError: the truth does not fit the sample, or a class has no name or colour.

    Example:
        >>> view = TrainingView(np.zeros((8, 8, 3)), np.zeros((8, 8), int), ["sky", "grass"])
        >>> for step in range(25): view(step, loss=0.7, model=torch.nn.Conv2d(3, 2, kernel_size=1))
        >>> [frame["step"] for frame in view.frames]
        [0, 10, 20]
    """

    name = "training"
    image = traitlets.Unicode().tag(sync=True)
    truth = traitlets.Unicode().tag(sync=True)
    class_names = traitlets.List().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # (H, W)
    losses = traitlets.List().tag(sync=True)  # one a step, None where it was not finite
    frames = traitlets.List().tag(sync=True)  # {"step", "map"}: the sample's prediction after that step
    frame = traitlets.Int(0).tag(sync=True)
    every = traitlets.Int(10, min=1)
    phase = traitlets.Enum(("running", "done", "recorded"), "running").tag(sync=True)

    def __init__(self, image: np.ndarray, true_class_ids: np.ndarray, class_names: Sequence[str], **state):
        if true_class_ids.shape != image.shape[:2]:
            raise ValueError(
                f"one true class a pixel: got {true_class_ids.shape} for {image.shape[:2]}; cut both alike"
            )
        self.pictures = {"sample": image, "truth": colorize(true_class_ids, class_names)}
        state = {"title": "A network learns", "alt": "A sample, its truth, and the first and last prediction."} | state
        shown = {"image": picture_uri(image), "truth": encode_map(true_class_ids), "class_names": list(class_names)}
        super().__init__(shape=list(true_class_ids.shape), **shown, **state)

    def __enter__(self) -> "TrainingView":
        if static_folder() is None:
            display(self)
        return self

    def __call__(self, step: int, loss: float, model: torch.nn.Module) -> None:
        """Note a step's loss and, every few steps, look at the sample; model and random numbers stay as they were."""
        self.losses.extend([None] * (step - len(self.losses)))  # steps before a run was resumed
        self.losses.append(float(f"{loss:.4g}") if np.isfinite(loss) else None)
        self.model = model
        if step % self.every == 0 or not self.frames:
            self._look(step)

    def __exit__(self, error: type | None, *_) -> None:
        if error is None and self.frames and self.frames[-1]["step"] < len(self.losses) - 1:
            self._look(len(self.losses) - 1)
        self.phase = "done" if static_folder() is None else "recorded"
        if self.phase == "recorded":
            display(self)

    def _look(self, step: int) -> None:
        """Predict the sample and show it, with the losses so far."""
        images = torch.tensor(self.pictures["sample"]).float().permute(2, 0, 1)[None]  # (1, 3, H, W)
        class_ids = predict(self.model, images)[0].numpy()
        painted = colorize(class_ids, self.class_names)
        self.pictures.setdefault("first prediction", painted)
        self.pictures["last prediction"] = painted
        frames = [*self.frames, {"step": step, "map": encode_map(class_ids)}]
        if len(frames) > 40:
            self.every *= 2
            frames = [frame for frame in frames if frame["step"] % self.every == 0 or frame["step"] == step]
        self.send_state("losses")
        self.frames, self.frame = frames, len(frames) - 1

    def still(self) -> Figure:
        """Draw the sample, its truth, and the first and the last prediction of it.

        Returns:
            A figure of one row.
        """
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        for ax, name in zip(figure.subplots(1, len(self.pictures)), self.pictures):
            ax.imshow(self.pictures[name])
            ax.set_title(name, color="0.5").axes.set_axis_off()
        return figure
