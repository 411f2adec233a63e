"""The context probe: guess a pixel's class through a small window, then see what trained classifiers believe."""

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lessons_lib.widgets.base import LessonWidget, encode_map, picture_uri
from lessons_lib.widgets.beliefs import encode_beliefs, telling_pixels

STEP = 4  # px between the pixels whose beliefs are kept, along rows and along columns
MOST_TEXT = 60_000  # characters of beliefs in all scenes together


class ContextProbe(LessonWidget):
    """One pixel seen through a window: the reader guesses its class, then sees what a classifier believes.

    Args:
        scenes: (image, class_ids) of each: (H, W, 3) in [0, 1] and (H, W).
        beliefs: (S, N, h, w, K): for each scene and window the probabilities of the K classes at every STEP-th row
            and column, starting with the first.
        windows: N sides of windows, px, from small to large.
        class_names: K names that have a colour in `palette.COLORS`.
        **state: of the first frame: scene, row, column (else the most telling pixel), window, revealed, title, alt.

    Raises:
        ValueError: beliefs fit neither scenes nor windows nor classes, are no probabilities, or are too many.
        traitlets.TraitError: nothing is known about the row, the column or the window.

    Example:
        >>> image, class_ids = np.ones((8, 8, 3)), np.zeros((8, 8), int)
        >>> probe = ContextProbe([(image, class_ids)], np.full((1, 2, 2, 2, 1), 0.4), (1, 3), ("grass",))
        >>> probe.scenes[0]["beliefs"]
        '66666666'
    """

    name = "context_probe"
    title = traitlets.Unicode("One pixel and its context: guess first").tag(sync=True)
    alt = traitlets.Unicode("One pixel seen through growing windows.").tag(sync=True)
    scenes = traitlets.List().tag(sync=True)
    windows = traitlets.List().tag(sync=True)
    class_names = traitlets.List().tag(sync=True)
    step = traitlets.Int(STEP).tag(sync=True)
    pixels = traitlets.List().tag(sync=True)  # [scene, row, column] of those worth a guess
    turn = traitlets.Int(0).tag(sync=True)  # the place in pixels of the latest
    scene = traitlets.Int(0).tag(sync=True)
    row = traitlets.Int().tag(sync=True)
    column = traitlets.Int().tag(sync=True)
    window = traitlets.Int().tag(sync=True)
    guess = traitlets.Unicode("").tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, scenes: list[tuple], beliefs: np.ndarray, windows, class_names, **state):
        self.images = [image for image, _ in scenes]
        truths = [class_ids[::STEP, ::STEP] for _, class_ids in scenes]
        wanted = (len(scenes), len(windows), *truths[0].shape, len(class_names))
        if beliefs.shape != wanted or len({truth.shape for truth in truths}) > 1:
            raise ValueError(
                f"beliefs have the shape (scenes, windows, rows, columns, classes) = {wanted}: got {beliefs.shape}; "
                f"keep every {STEP}th pixel with [..., ::{STEP}, ::{STEP}, :]"
            )
        if beliefs.size > MOST_TEXT:
            raise ValueError(f"a page carries at most {MOST_TEXT} beliefs: got {beliefs.size}; give fewer scenes")
        best = [telling_pixels(truth, belief) for truth, belief in zip(truths, beliefs)]
        pixels = [[i, row * STEP, column * STEP] for turn in zip(*best) for i, (row, column) in enumerate(turn)]
        states = [
            {
                "image": picture_uri(image),
                "shape": list(class_ids.shape),
                "truth": encode_map(truth),
                "beliefs": encode_beliefs(belief),
            }
            for (image, class_ids), truth, belief in zip(scenes, truths, beliefs)
        ]
        first = {"pixels": pixels, "window": windows[:2][-1]} | dict(zip(("scene", "row", "column"), pixels[0]))
        super().__init__(scenes=states, windows=list(windows), class_names=list(class_names), **first | state)

    @traitlets.validate("row", "column", "window")
    def _known(self, proposal):
        trait, value = proposal["trait"].name, proposal["value"]
        if trait == "window" and value not in self.windows:
            raise traitlets.TraitError(f"window is one of {self.windows}: got {value}; choose one of these")
        if trait != "window" and value % STEP:
            raise traitlets.TraitError(f"{trait} is a multiple of {STEP}: got {value}; beliefs are known only there")
        return value

    def still(self) -> Figure:
        """Draw the first pixel through every window, without saying what it is.

        Returns:
            A figure of one panel a window.
        """
        figure = Figure(figsize=(9, 1.7), layout="constrained")
        for ax, window in zip(figure.subplots(1, len(self.windows)), self.windows):
            half = window / 2
            ax.imshow(self.images[self.scene], interpolation="nearest")
            ax.set(xlim=(self.column - half, self.column + half), ylim=(self.row + half, self.row - half))
            ax.set_title(f"{window} px", fontsize=10, color="0.5")
            ax.set_axis_off()
        return figure
