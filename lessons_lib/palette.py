"""Class colours, in one place: the same for figures, widgets and pages, safe for colour-blind readers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lessons_lib.labels import IGNORE_INDEX, boundary

# Eight hues after Okabe and Ito (2008), "Color Universal Design". The classes of the VOC photo reuse them.
COLORS = {
    "sky": "#56B4E9",
    "grass": "#009E73",
    "tree": "#0B6E4F",
    "water": "#0072B2",
    "cat": "#E69F00",
    "dog": "#CC79A7",
    "cow": "#F0E442",
    "person": "#D55E00",
    "chair": "#56B4E9",
    "diningtable": "#0072B2",
    "bottle": "#F0E442",
    "background": "#8A8A8A",
    "void": "#C4C4C4",
}


class Hatch(NamedTuple):
    """Diagonal lines over a flat colour: the carrier of a class that does not rest on hue.

    Args:
        color: of the lines, "#RRGGBB".
        width: of a line along a row, px.
        period: from line to line along a row, px.
        rising: lines run from bottom left to top right, else from top left to bottom right.
    """

    color: str
    width: int
    period: int
    rising: bool


HATCHES = {
    "tree": Hatch("#5FAE8C", width=1, period=4, rising=False),
    "void": Hatch("#6E6E6E", width=3, period=7, rising=True),
}

# Instance 0, 1, 2 ... of a class: towards white where positive, towards black where negative.
INSTANCE_SHADES = (0.0, 0.45, -0.3, 0.25, -0.5)
OUTLINE = 0.08  # grey level in [0, 1]


def _rgb(color: str) -> np.ndarray:
    """Return "#RRGGBB" as uint8 (3,)."""
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8)


def colorize(class_ids: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Paint a label map with the book's colours.

    Args:
        class_ids: (H, W) integers; 255 is void.
        names: name of class 0, 1, 2 ...

    Returns:
        uint8 (H, W, 3). Trees carry a fine hatch, void a coarse one.

    Raises:
        ValueError: a class id has no name, or its name no colour.

    Example:
        >>> colorize(np.array([[0, 1]]), ("sky", "grass")).tolist()
        [[[86, 180, 233], [0, 158, 115]]]
    """
    class_ids = np.asarray(class_ids)
    rows, columns = np.indices(class_ids.shape, sparse=True)
    picture = np.empty((*class_ids.shape, 3), np.uint8)
    for class_id in np.unique(class_ids).tolist():
        mask = class_ids == class_id
        name = "void" if class_id == IGNORE_INDEX else _name(class_id, names)
        picture[mask] = _rgb(COLORS[name])
        if name in HATCHES:
            hatch = HATCHES[name]
            offset = columns + rows if hatch.rising else columns - rows
            picture[mask & (offset % hatch.period < hatch.width)] = _rgb(hatch.color)
    return picture


def _name(class_id: int, names: Sequence[str]) -> str:
    """Return the name of a class that has a colour."""
    if not 0 <= class_id < len(names):
        raise ValueError(f"every class id needs a name: got id {class_id} and {len(names)} names; extend names")
    if names[class_id] not in COLORS:
        raise ValueError(f"every class needs a colour: got {names[class_id]!r}; add it to palette.COLORS")
    return names[class_id]


def overlay(
    image: np.ndarray,
    class_ids: np.ndarray,
    names: Sequence[str],
    opacity: float = 0.5,
    instance_ids: np.ndarray | None = None,
) -> np.ndarray:
    """Lay the colours of a label map over its image.

    Args:
        image: (H, W, 3) in [0, 1].
        class_ids: (H, W) integers; 255 is void.
        names: name of class 0, 1, 2 ...
        opacity: of the colours, in [0, 1].
        instance_ids: (H, W) integers, 0 = none. Instances of a class then differ in lightness, and each
            carries a dark outline one pixel wide inside its edge.

    Returns:
        float (H, W, 3) in [0, 1].

    Raises:
        ValueError: opacity is outside [0, 1], or a class id has no colour.

    Example:
        >>> overlay(np.ones((1, 1, 3)), np.array([[0]]), ["water"], opacity=1.0).round(2).tolist()
        [[[0.0, 0.45, 0.7]]]
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity lies in [0, 1]: got {opacity}; give 0 for the image, 1 for the colours alone")
    paint = colorize(class_ids, names) / 255
    if instance_ids is None:
        return (1 - opacity) * image + opacity * paint
    seen: dict[int, int] = {}  # class id -> instances painted so far
    for instance_id in np.unique(instance_ids[instance_ids > 0]):
        mask = instance_ids == instance_id
        class_id = int(class_ids[mask][0])
        shade = INSTANCE_SHADES[seen.get(class_id, 0) % len(INSTANCE_SHADES)]
        seen[class_id] = seen.get(class_id, 0) + 1
        paint[mask] += abs(shade) * ((shade > 0) - paint[mask])
    blend = (1 - opacity) * image + opacity * paint
    blend[boundary(instance_ids) & (instance_ids > 0)] = OUTLINE
    return blend


def css_variables() -> str:
    """Return the colours as CSS custom properties, one a line.

    Returns:
        Lines `--class-NAME: #RRGGBB;`, then `--class-NAME-hatch: #RRGGBB;` for the classes with a hatch.

    Example:
        >>> css_variables().splitlines()[0]
        '--class-sky: #56B4E9;'
    """
    colors = COLORS | {f"{name}-hatch": hatch.color for name, hatch in HATCHES.items()}
    return "\n".join(f"--class-{name}: {color};" for name, color in colors.items())
