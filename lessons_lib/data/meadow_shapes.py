"""What Meadow is drawn with: one shape (the tapered capsule), one texture (smooth noise), one light, one canvas.

Positions are fractions of the picture's side, x to the right and y downwards: a scene is the same at every size.
Edges are anti-aliased by their distance in pixels, and a pixel takes the class of a shape that covers more than half
of it. A capsule is a line from a to b whose radius goes from ar to br: a row of ax, ay, ar, bx, by, br. A window is
the rows and columns of the picture that are being drawn, as two slices.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Window = tuple[slice, slice]


def pick(rng: np.random.Generator, table: Sequence) -> Any:
    """Return one row of a table, each as likely.

    Args:
        rng: draws the row.
        table: anything with a length and rows.

    Returns:
        The row.

    Example:
        >>> pick(np.random.default_rng(0), ["only"])
        'only'
    """
    return table[rng.integers(len(table))]


def noise(lattice: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Spread a lattice of random values into a smooth texture (quadratic B-spline).

    Args:
        lattice: (rows, columns) of values, two or more each way.
        y: (h,) positions, 0 at the lattice's upper end and 1 at its lower; beyond, the edge goes on.
        x: (w,) positions along its columns, likewise.

    Returns:
        (h, w), within the range of the lattice's values.

    Example:
        >>> noise(np.eye(3), np.array([0.0, 0.5]), np.array([0.0])).tolist()
        [[0.5], [0.4375]]
    """
    rows, columns = lattice.shape
    return _shares(y, rows) @ lattice @ _shares(x, columns).T


def _shares(at: np.ndarray, count: int) -> np.ndarray:
    """Return the share (n, count) of each lattice point at positions (n,)."""
    steps = np.minimum(np.maximum(at, 0), 1) * (count - 2) + 0.5
    offset = np.abs(steps[:, None] - np.arange(count))
    outer, inner = np.maximum(1.5 - offset, 0), np.maximum(0.5 - offset, 0)
    return 0.5 * outer * outer - 1.5 * inner * inner


def place(capsules: Sequence, x: float, y: float, scale: float, mirror: int = 1) -> np.ndarray:
    """Move capsules from their own coordinates into the picture.

    Args:
        capsules: (P, 6).
        x: where their x = 0 goes.
        y: where their y = 0 goes.
        scale: length of their unit in the picture.
        mirror: 1, or -1 to swap left and right.

    Returns:
        (P, 6).

    Example:
        >>> place([(1, 0, 1, 1, -2, 1)], x=0.5, y=0.75, scale=0.25, mirror=-1).tolist()
        [[0.25, 0.75, 0.25, 0.25, 0.25, 0.25]]
    """
    across = scale * mirror
    return np.array(capsules) * (across, scale, scale, across, scale, scale) + (x, y, 0, x, y, 0)


class Solid(NamedTuple):
    """A union of capsules as a rounded body.

    Args:
        distance: (h, w) to the outline, negative inside.
        facing: unit vector away from the surface: x, y, towards the viewer, (h, w) each.
        nearest: (h, w) index of the capsule in which a pixel lies deepest.
    """

    distance: np.ndarray
    facing: tuple[np.ndarray, np.ndarray, np.ndarray]
    nearest: np.ndarray


def solid(capsules: np.ndarray, y: np.ndarray, x: np.ndarray, softness: float) -> Solid:
    """Measure a union of capsules.

    Args:
        capsules: (P, 6).
        y: (h,) rows.
        x: (w,) columns.
        softness: distance over which the surfaces of neighbouring capsules melt together.

    Returns:
        The union at these rows and columns.

    Example:
        >>> ball = solid(np.array([[0, 0, 2, 0, 0, 2]]), np.array([0.0]), np.array([0.0, 2.0, 3.0]), 0.1)
        >>> ball.distance.tolist()
        [[-2.0, 0.0, 1.0]]
    """
    ax, ay, ar, bx, by, br = capsules.T[:, :, None, None]  # (P, 1, 1) each
    dx, dy = bx - ax, by - ay
    along = (x - ax) * dx + (y[:, None] - ay) * dy  # (P, h, w), as all that follow
    along /= np.maximum(dx * dx + dy * dy, 1e-12)
    along = np.minimum(np.maximum(along, 0, out=along), 1, out=along)
    off_x = x - ax - along * dx
    off_y = y[:, None] - ay - along * dy
    radius = ar + along * (br - ar)
    distances = np.sqrt(off_x * off_x + off_y * off_y) - radius
    distance = distances.min(axis=0)  # (h, w)

    share = softness / (distances - distance + softness)  # of each capsule in the surface: 1 where it is nearest
    share *= share
    share *= share
    share /= share.sum(axis=0) * np.maximum(radius, 1e-3 * softness)
    facing_x = np.einsum("phw,phw->hw", share, off_x)
    facing_y = np.einsum("phw,phw->hw", share, off_y)
    squared = facing_x * facing_x + facing_y * facing_y
    sideways = 1 / np.sqrt(np.maximum(squared, 1))  # beyond the outline the surface faces sideways
    facing_viewer = np.sqrt(np.maximum(1 - squared, 0))
    return Solid(distance, (facing_x * sideways, facing_y * sideways, facing_viewer), distances.argmin(axis=0))


class Light(NamedTuple):
    """The sun.

    Args:
        towards: unit vector to the sun: x, y, towards the viewer.
        color: (3,) of its light, about 1 each.
    """

    towards: tuple[float, float, float]
    color: np.ndarray

    def on(self, shape: Solid, ambient: float) -> np.ndarray:
        """Light a surface.

        Args:
            shape: whose surface it is.
            ambient: what reaches it even in the shade, in [0, 1].

        Returns:
            (h, w, 3), by which the surface's colour is multiplied.
        """
        x, y, viewer = (sun * facing for sun, facing in zip(self.towards, shape.facing))
        return ambient + (1.1 - ambient) * np.maximum(x + y + viewer, 0)[..., None] * self.color


class Canvas:
    """A picture and its truth, painted together from back to front.

    Args:
        size: of both sides, px.
        light: of the scene.
        horizon: height of the horizon.
    """

    def __init__(self, size: int, light: Light, horizon: float):
        self.size, self.light, self.horizon = size, light, horizon
        self.at = (np.arange(size) + 0.5) / size  # centres of the rows, and of the columns
        self.image = np.zeros((size, size, 3))
        self.class_ids = np.zeros((size, size), np.uint8)
        self.instance_ids = np.zeros((size, size), np.uint16)

    def depth(self, y: np.ndarray) -> np.ndarray:
        """Tell how near places on the ground are.

        Args:
            y: (h,) their rows.

        Returns:
            (h,) 0 at the horizon and above, 1 at the picture's lower edge.
        """
        return np.maximum((y - self.horizon) / (1 - self.horizon), 0)

    def window(self, left: float, top: float, right: float, bottom: float) -> Window:
        """Find the pixels of a box, cut to the picture, one more on each side.

        Args:
            left: edge of the box.
            top: edge of the box.
            right: edge of the box.
            bottom: edge of the box.

        Returns:
            The window.
        """
        left, top, right, bottom = (int(edge * self.size) for edge in (left, top, right, bottom))
        return slice(max(top - 1, 0), max(bottom + 2, 0)), slice(max(left - 1, 0), max(right + 2, 0))

    def solid(
        self, capsules: np.ndarray, softness: float, margin: float = 0.0
    ) -> tuple[Window, np.ndarray, np.ndarray, Solid]:
        """Measure a union of capsules where it meets the picture.

        Args:
            capsules: (P, 6).
            softness: distance over which the surfaces of neighbouring capsules melt together.
            margin: to look beyond the outline.

        Returns:
            The window, its rows (h,), its columns (w,), and the union there.
        """
        ends = capsules.reshape(-1, 3)  # x, y, radius
        reach = ends[:, 2:] + margin
        window = self.window(*(ends[:, :2] - reach).min(axis=0), *(ends[:, :2] + reach).max(axis=0))
        y, x = self.at[window[0]], self.at[window[1]]
        return window, y, x, solid(capsules, y, x, softness)

    def blend(self, window: Window, coverage: np.ndarray, color: np.ndarray) -> None:
        """Lay a colour over the picture alone.

        Args:
            window: where.
            coverage: (h, w) in [0, 1], 1 hides what was there.
            color: (h, w, 3) or (3,) in [0, 1].
        """
        image = self.image[window]
        image += coverage[..., None] * (color - image)

    def paint(
        self, window: Window, distance: np.ndarray, color: np.ndarray, class_id: int, instance_id: int = 0
    ) -> None:
        """Paint a shape over picture and truth.

        Args:
            window: where.
            distance: (h, w) to its outline, negative inside.
            color: (h, w, 3) or (3,) in [0, 1].
            class_id: of the shape.
            instance_id: of the shape, 0 = none.
        """
        self.blend(window, np.minimum(np.maximum(0.5 - distance * self.size, 0), 1), color)
        inside = distance < 0
        self.class_ids[window][inside] = class_id
        self.instance_ids[window][inside] = instance_id
