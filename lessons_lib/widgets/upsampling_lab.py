"""The upsampling laboratory: every way to enlarge a small map, stamp by stamp, with the reader's own numbers."""

import contextlib
import math

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lessons_lib.widgets.base import LessonWidget
from lessons_lib.widgets.upsampling_presets import PRESETS, RANGES, partial_output

ALT = "A small grid of inputs, a grid of kernel weights, and the output half way: stamps of the kernel, added up."
LARGEST = 99
SIDES = {"input": (4, 4), "kernel": (5, 5), "positions": (4, 4)}  # most rows, most columns


class UpsamplingLab(LessonWidget):
    """A laboratory with an editable input and kernel, whose output grows stamp by stamp.

    Args:
        preset: a key of PRESETS, the example to begin with: its way of upsampling, its numbers and its settings.
        **state: what shall differ from the example: `input` (at most 4 x 4) and `kernel`
            (at most 5 x 5), lists of rows of numbers from -99 to 99; `positions`, the remembered px of each input
            cell's block, counted row by row; `stride`, `padding`, `dilation` and `output_padding`, pairs
            [rows, columns] within RANGES; `done`, steps so far, 99 for all; `apart`, whether rows and columns have
            sliders of their own; `revealed`, False asks for a prediction; `look`, what is pointed at, such as
            "output 1 2" or "stride"; `title`.

    Raises:
        traitlets.TraitError: a value of the state is none of these.

    Example:
        >>> UpsamplingLab("line").kernel
        [[1, 5, 4]]
    """

    name = "upsampling_lab"
    presets = traitlets.Dict().tag(sync=True)
    preset = traitlets.Enum(tuple(PRESETS)).tag(sync=True)
    input = traitlets.List().tag(sync=True)
    kernel = traitlets.List().tag(sync=True)
    positions = traitlets.List().tag(sync=True)
    stride = traitlets.List().tag(sync=True)
    padding = traitlets.List().tag(sync=True)
    dilation = traitlets.List().tag(sync=True)
    output_padding = traitlets.List().tag(sync=True)
    done = traitlets.Int(min=0, max=99).tag(sync=True)
    apart = traitlets.Bool(False).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)
    look = traitlets.Unicode().tag(sync=True)

    def __init__(self, preset: str = "worked", **state):
        start = PRESETS[preset]["state"] if preset in PRESETS else {}
        title = "The upsampling laboratory"
        super().__init__(**{"presets": PRESETS, "preset": preset, "title": title, "alt": ALT} | start | state)

    @traitlets.validate("input", "kernel", "positions")
    def _check_matrix(self, proposal):
        rows, name = proposal.value, proposal.trait.name
        high, wide = SIDES[name]
        sizes = {len(row) if isinstance(row, list) else 0 for row in rows}
        if not (0 < len(rows) <= high and len(sizes) == 1 and 0 < min(sizes) <= wide):
            raise traitlets.TraitError(f"{name} is a list of equal rows, at most {high} x {wide}: got {rows}")
        if not all(isinstance(n, int | float) and math.isfinite(n) and abs(n) <= LARGEST for row in rows for n in row):
            raise traitlets.TraitError(f"{name} holds numbers from -{LARGEST} to {LARGEST}: got {rows}")
        return rows

    @traitlets.validate(*RANGES)
    def _check_pair(self, proposal):
        pair, (least, most) = proposal.value, RANGES[proposal.trait.name]
        if len(pair) != 2 or not all(isinstance(number, int) and least <= number <= most for number in pair):
            raise traitlets.TraitError(f"{proposal.trait.name} is [rows, columns], {least} to {most} each: got {pair}")
        return pair

    def still(self) -> Figure:
        """Draw the input, the kernel and the output of the steps so far.

        Returns:
            A figure with three grids of numbers; an impossible setting has no output.
        """
        mode, names = PRESETS[self.preset]["mode"], ["input", "kernel", "output so far"]
        grids = [np.array(self.input), np.array(self.kernel)]
        with contextlib.suppress(RuntimeError):
            grids.append(partial_output(mode, self.state()))
        if mode not in ("transposed", "strided"):
            del grids[1], names[1]
        side = max(max(grid.shape) for grid in grids)
        figure = Figure(figsize=(7, 3), layout="constrained")
        for ax, grid, name in zip(figure.subplots(1, len(grids)), grids, names):
            ax.set_title(f"{name}, {grid.shape[0]} × {grid.shape[1]}", color="0.5", loc="left")
            ax.set(xlim=(-0.6, side - 0.4), ylim=(side - 0.4, -0.6), aspect="equal")
            ax.set_axis_off()
            for (row, column), value in np.ndenumerate(grid):
                ax.text(column, row, f"{value:.4g}", ha="center", va="center", color="0.5", size=11)
            ax.hlines(np.arange(grid.shape[0] + 1) - 0.5, -0.5, grid.shape[1] - 0.5, color="0.5", lw=0.6)
            ax.vlines(np.arange(grid.shape[1] + 1) - 0.5, -0.5, grid.shape[0] - 0.5, color="0.5", lw=0.6)
        return figure
