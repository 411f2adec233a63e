"""Class maps side by side, prepared for widgets: as short text for the page, as a row of pictures for the still."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lessons_lib.widgets.base import encode_map


def encode_runs(ids: np.ndarray) -> str:
    """Write a map of small numbers as runs that `decodeRuns` in shared/class_maps.js reads.

    Args:
        ids: integers of any shape, 0 to 28, or 255 for void.

    Returns:
        One character a run, as `encode_map` writes it, then the run's length in px unless it is 1; row after row.

    Raises:
        ValueError: if a number has no character.

    Example:
        >>> encode_runs(np.array([[0, 0, 0], [0, 2, 255]]))
        'a4c~'
    """
    ids = np.asarray(ids).ravel()
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    lengths = np.diff(starts, append=ids.size)
    return "".join(f"{sign}{length if length > 1 else ''}" for sign, length in zip(encode_map(ids[starts]), lengths))


def panel_row(panels: Mapping[str, np.ndarray]) -> Figure:
    """Draw named pictures side by side.

    Args:
        panels: {name: picture (H, W, 3)}.

    Returns:
        A figure of one row.

    Example:
        >>> len(panel_row({"truth": np.zeros((2, 2, 3)), "scene": np.zeros((2, 2, 3))}).axes)
        2
    """
    figure = Figure(figsize=(9, 9 / len(panels) + 0.3), layout="constrained")
    for ax, (name, picture) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
        ax.imshow(picture)
        ax.set_title(name, color="0.5").axes.set_axis_off()
    return figure
