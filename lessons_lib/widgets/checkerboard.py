"""The checkerboard explorer: where the stamps of upsampling layers overlap, and what evens them out."""

import numpy as np
import traitlets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from lessons_lib.widgets.base import LessonWidget

REMEDIES = ("none", "divisible kernel", "resize, then convolve", "sub-pixel shuffle")
SHOWN = 16  # output px in the still
HEAT = LinearSegmentedColormap.from_list("stamps", ["#fff0d9", "#de7030", "#701807"])  # as in widget.css


def _counts(layers: int, kernel: int, stride: int, repeat: int) -> np.ndarray:
    """Return the stamps on the first SHOWN output px (SHOWN,): each px `repeat` times, then stamped."""
    counts = np.ones(SHOWN, int)
    for _ in range(layers):
        stuffed = np.zeros(SHOWN * repeat * stride, int)
        stuffed[::stride] = np.repeat(counts, repeat)
        counts = np.convolve(stuffed, np.ones(kernel, int))[:SHOWN]
    return counts


class Checkerboard(LessonWidget):
    """How many stamps each output px of a transposed convolution gets, in 1D, in 2D and through several layers.

    Args:
        **state: of the first frame, where it is not the default: `kernel`, 1 to 8 px; `stride`, 1 to 4 px; `layers`,
            1 to 3; `remedy`, one of REMEDIES; `show`, "line", "grid" or "random"; `seed` of the random kernels;
            `guess`, "" hides the sum until the reader has predicted; `title`; `alt`.

    Raises:
        traitlets.TraitError: a value of the state is none of these.

    Example:
        >>> Checkerboard(kernel=4).still().axes[1].get_title()
        'stamps in 2D: 1 to 4'
    """

    name = "checkerboard"
    title = traitlets.Unicode("Where stamps overlap").tag(sync=True)
    alt = traitlets.Unicode("Stamps of a transposed convolution along a row, their sum, and the sum in 2D.").tag(
        sync=True
    )
    show = traitlets.Enum(("line", "grid", "random"), "line").tag(sync=True)
    remedy = traitlets.Enum(REMEDIES, "none").tag(sync=True)
    kernel = traitlets.Int(3, min=1, max=8).tag(sync=True)  # px
    stride = traitlets.Int(2, min=1, max=4).tag(sync=True)  # px
    layers = traitlets.Int(1, min=1, max=3).tag(sync=True)
    row = traitlets.Int(-1).tag(sync=True)  # pointed at, counted from the first px shown; -1 is none
    column = traitlets.Int(-1).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    guess = traitlets.Enum(("", "even", "uneven", "skipped"), "").tag(sync=True)

    def still(self) -> Figure:
        """Draw the counts of the first state along a row and in two dimensions.

        Returns:
            A figure of two panels.
        """
        layer = {
            "none": (self.kernel, self.stride, 1),
            "divisible kernel": (-(-self.kernel // self.stride) * self.stride, self.stride, 1),
            "resize, then convolve": (self.kernel, 1, self.stride),
            "sub-pixel shuffle": (self.kernel * self.stride, self.stride, 1),
        }[self.remedy]
        counts = _counts(self.layers, *layer)
        grid = np.outer(counts, counts)
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        line, square = figure.subplots(1, 2)
        line.bar(range(SHOWN), counts, width=0.9, color="#C4602A")
        line.set_title(f"stamps along a row: {counts.min()} to {counts.max()}")
        line.locator_params(integer=True)
        line.set_xlabel("output px")
        square.imshow(grid, cmap=HEAT, vmin=0)
        square.set_title(f"stamps in 2D: {grid.min()} to {grid.max()}")
        for ax in (line, square):
            ax.title.set_color("0.5")
            ax.xaxis.label.set_color("0.5")
            ax.tick_params(colors="0.5")
            ax.spines[:].set_visible(False)
        square.set_axis_off()
        return figure
