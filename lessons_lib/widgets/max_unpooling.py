"""Max pooling and max unpooling as a pair: move the maxima and watch their positions travel."""

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lessons_lib.widgets.base import LessonWidget

# fmt: off
PRESETS = {
    "by hand": {
        "cells": [1, 2, 6, 3,  3, 5, 2, 1,  1, 2, 2, 1,  7, 3, 4, 8], "middle": [1, 2, 3, 4], "changes": True,
        "other": [4, 1, 0, 2,  2, 3, 5, 1,  0, 6, 1, 1,  2, 1, 7, 3],
    },
    "a ring": {
        "cells": [0, 1, 0, 9, 1, 0,  1, 9, 0, 1, 9, 0,  9, 0, 1, 0, 0, 9,
                  0, 1, 0, 0, 1, 1,  1, 9, 0, 1, 9, 0,  0, 0, 9, 0, 1, 0],
        "middle": [9, 9, 9, 9, 1, 9, 9, 9, 9], "changes": False,
        "other": [6, 1, 7, 2, 1, 5,  0, 2, 1, 3, 0, 1,  1, 2, 0, 1, 8, 1,
                  2, 7, 4, 0, 2, 3,  9, 0, 1, 2, 0, 2,  1, 3, 0, 5, 1, 6],
    },
    "ties": {
        "cells": [5, 5, 1, 4,  5, 5, 4, 4,  0, 0, 2, 7,  0, 0, 7, 7], "middle": [5, 4, 0, 7], "changes": False,
        "other": [1, 2, 3, 0,  3, 4, 1, 2,  2, 1, 5, 6,  9, 3, 8, 1],
    },
}
# fmt: on


class MaxUnpooling(LessonWidget):
    """A map is max-pooled in 2x2 blocks, changed, and unpooled at the remembered positions, or at wrong ones.

    Args:
        preset: name of one of PRESETS to begin with.
        **state: of the first frame: `cells` and `other`, the map and another layer's map, row after row, 4 x 4 or 6 x 6
            numbers from 0 to 9; `changes`, whether the network in between gives the new values `middle`, one a block;
            `source` of the positions, "own" or "other"; `click`, "move" a maximum or "raise" a number; `at`, the place
            in `cells` of the pixel whose block is framed; `title`; `alt`.

    Raises:
        KeyError: there is no such preset.
        traitlets.TraitError: the lists do not fit each other, or hold anything but numbers from 0 to 9.

    Example:
        >>> MaxUnpooling("ties").cells[:4]
        [5, 5, 1, 4]
    """

    name = "max_unpooling"
    title = traitlets.Unicode("Max pooling remembers, max unpooling puts back").tag(sync=True)
    alt = traitlets.Unicode("A map of numbers, and the map that max unpooling makes of it.").tag(sync=True)
    presets = traitlets.List().tag(sync=True)
    cells = traitlets.List(traitlets.Int(min=0, max=9)).tag(sync=True)
    other = traitlets.List(traitlets.Int(min=0, max=9)).tag(sync=True)
    middle = traitlets.List(traitlets.Int(min=0, max=9)).tag(sync=True)
    changes = traitlets.Bool().tag(sync=True)
    source = traitlets.Enum(("own", "other"), "own").tag(sync=True)
    click = traitlets.Enum(("move", "raise"), "move").tag(sync=True)
    at = traitlets.Int(2, min=0, max=35).tag(sync=True)

    def __init__(self, preset: str = "by hand", **state):
        super().__init__(
            presets=[{"name": name} | values for name, values in PRESETS.items()], **PRESETS[preset] | state
        )
        lengths = len(self.cells), len(self.other), len(self.middle)
        if lengths not in ((16, 16, 4), (36, 36, 9)):
            raise traitlets.TraitError(
                f"maps of 16 cells have 4 blocks, maps of 36 have 9: got cells, other and middle of {lengths} numbers; "
                "give lists that fit"
            )

    def still(self) -> Figure:
        """Draw the map with its maxima, and what unpooling makes of it.

        Returns:
            A figure of two grids of numbers.
        """
        side = int(len(self.cells) ** 0.5)
        cells, other = (np.array(values).reshape(side, side) for values in (self.cells, self.other))
        keeper = cells if self.source == "own" else other
        output = np.zeros_like(cells)
        for block, (row, column) in enumerate(np.ndindex(side // 2, side // 2)):
            part = np.s_[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            place = np.unravel_index(keeper[part].argmax(), (2, 2))
            output[part][place] = self.middle[block] if self.changes else cells[part].max()
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        for ax, title, values in zip(figure.subplots(1, 2), ("a map", "max pooled, then unpooled"), (cells, output)):
            ax.imshow(values, cmap="Oranges", vmin=0, vmax=14, alpha=0.8)
            for (row, column), value in np.ndenumerate(values):
                ax.text(column, row, value, ha="center", va="center", color="0.5" if value == 0 else "0.1")
            ax.set_title(title, color="0.5")
            ax.set_axis_off()
        return figure
