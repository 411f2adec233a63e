"""The sliding window itself: how often each pixel is read, and what that costs beside one pass."""

from collections.abc import Sequence

import numpy as np
import traitlets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons_lib.palette import colorize
from lessons_lib.widgets.base import LessonWidget, encode_map, picture_uri

ALT = (
    "A window has slid over more than half of a picture. Colour says how often each pixel was read: once at the front "
    "edge, more and more often behind it."
)
HEAT = LinearSegmentedColormap.from_list("reads", ["#fff0d9", "#de7030", "#701807"])  # as in widget.css


def _read_counts(rows: int, columns: int, window: int, done: int) -> np.ndarray:
    """Return how often each pixel (rows, columns) was read by the first `done` windows."""
    counts = np.zeros((rows, columns), int)
    for row, column in list(np.ndindex(rows, columns))[:done]:
        top, left = max(0, row - window // 2), max(0, column - window // 2)
        counts[top : row + window // 2 + 1, left : column + window // 2 + 1] += 1
    return counts


class SlidingWindow(LessonWidget):
    """A window slides over a picture pixel by pixel; its reads and multiplications grow beside those of one pass.

    The network is a stack of unpadded 3x3 convolutions that shrinks the window to 1 px, then a 1x1 convolution.

    Args:
        image: (H, W, 3) in [0, 1], 15 to 48 px a side: every pixel is shown large.
        class_ids: (H, W), what the windows answer, for example predictions of a PatchClassifier; 255 is void.
        class_names: name of class 0, 1, 2 ...
        **state: `window`, its side in px, 3, 5 ... 15; `width`, channels of every hidden layer; `done`, windows so
            far, at first 60 %; `title`; `view`, "reads", "answers" or "picture"; `speed`, 20, 100 or 400 windows/s.

    Raises:
        ValueError: the picture is too small or too large, the answers do not fit it, or a class has no name or colour.
        traitlets.TraitError: a value of the state is none of these.

    Example:
        >>> SlidingWindow(np.zeros((20, 30, 3)), np.zeros((20, 30), int), ["sky"]).done
        360
    """

    name = "sliding_window"
    image = traitlets.Unicode().tag(sync=True)
    answers = traitlets.Unicode().tag(sync=True)
    class_names = traitlets.List().tag(sync=True)
    rows = traitlets.Int().tag(sync=True)
    columns = traitlets.Int().tag(sync=True)
    width = traitlets.Int(16, min=1).tag(sync=True)
    window = traitlets.Enum((3, 5, 7, 9, 11, 13, 15), 9).tag(sync=True)  # px
    done = traitlets.Int(min=1).tag(sync=True)
    view = traitlets.Enum(("reads", "answers", "picture"), "reads").tag(sync=True)
    speed = traitlets.Enum((20, 100, 400), 100).tag(sync=True)  # windows a second
    revealed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, image: np.ndarray, class_ids: np.ndarray, class_names: Sequence[str], **state):
        rows, columns = image.shape[:2]
        if min(rows, columns) < 15 or max(rows, columns) > 48:
            raise ValueError(f"a picture is 15 to 48 px a side: got {rows} x {columns} px; cut out a part of it")
        if class_ids.shape != (rows, columns):
            raise ValueError(f"each pixel has one answer: got {class_ids.shape} for {(rows, columns)}; cut both alike")
        colorize(class_ids, class_names)  # raises where a class has no name or no colour
        self.grey = image.mean(axis=2)
        state = {"title": "A window slides over a picture", "done": rows * columns * 3 // 5, "alt": ALT} | state
        pictures = {"image": picture_uri(image), "answers": encode_map(class_ids), "class_names": list(class_names)}
        super().__init__(rows=rows, columns=columns, **pictures, **state)

    def still(self) -> Figure:
        """Draw how often each pixel was read so far.

        Returns:
            A figure with the window's frame on the picture.
        """
        counts = _read_counts(self.rows, self.columns, self.window, self.done)
        row, column = divmod(self.done - 1, self.columns)
        figure = Figure(figsize=(6, 5), layout="constrained")
        ax = figure.subplots()
        ax.imshow(self.grey, cmap="gray", vmin=0, vmax=1)
        heat = ax.imshow(np.ma.masked_equal(counts, 0), cmap=HEAT, vmin=0, vmax=self.window**2, alpha=0.8)
        corner = column - self.window / 2, row - self.window / 2
        ax.add_patch(Rectangle(corner, self.window, self.window, fill=False, lw=2, ec="w"))
        ax.set_axis_off()
        bar = figure.colorbar(heat, ax=ax, label="times read so far")
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors="0.5")
        bar.ax.yaxis.label.set_color("0.5")
        return figure
