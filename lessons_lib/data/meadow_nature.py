"""Meadow's stuff: sky with clouds, grass, water, trees."""

from collections.abc import Callable

import numpy as np

from lessons_lib.data.meadow_shapes import Canvas, noise, pick, place

GRASS, TREE, WATER = 1, 2, 3  # class ids; sky is 0, as a fresh canvas is

ZENITH = np.array([(0.24, 0.48, 0.80), (0.38, 0.62, 0.86), (0.50, 0.62, 0.74)])
LOW_SKY = np.array([(0.78, 0.88, 0.95), (0.93, 0.86, 0.76), (0.84, 0.87, 0.89)])
LUSH = np.array([(0.24, 0.41, 0.15), (0.30, 0.45, 0.19)])
DRY = np.array([(0.54, 0.58, 0.27), (0.64, 0.57, 0.33), (0.42, 0.54, 0.25)])
GREENS = np.array([(0.16, 0.36, 0.14), (0.30, 0.48, 0.18), (0.42, 0.50, 0.20), (0.12, 0.30, 0.20)])
LEAVES = np.array([*GREENS, (0.62, 0.40, 0.14)])
BARK = np.array([(0.40, 0.28, 0.18), (0.36, 0.33, 0.30), (0.80, 0.77, 0.70)])
CLOUD, EARTH, DEEP = np.array([(0.98, 0.98, 0.99), (0.42, 0.37, 0.25), (0.14, 0.30, 0.38)])

Shore = Callable[[np.ndarray, np.ndarray], np.ndarray]  # rows (h,), columns (w,) -> distance (h, w), negative in water


def draw_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the picture with sky, and pile one to four clouds in it.

    Args:
        canvas: to draw on.
        rng: draws the weather.
    """
    zenith, low = pick(rng, ZENITH), pick(rng, LOW_SKY)
    height = np.minimum(canvas.at / canvas.horizon, 1)[:, None, None]
    canvas.image[:] = zenith + height * (low - zenith)
    for _ in range(rng.integers(1, 5)):
        _draw_cloud(canvas, rng, rng.uniform(0, 1), rng.uniform(0.25, 0.9) * canvas.horizon, rng.uniform(0.08, 0.2))


def _draw_cloud(canvas: Canvas, rng: np.random.Generator, middle: float, base: float, reach: float) -> None:
    """Pile a cloud of balls on a flat base."""
    along = np.linspace(-1, 1, 6)
    radius = reach * (0.55 - 0.35 * along**2) * rng.uniform(0.6, 1.1, 6)
    ball = np.stack([middle + reach * along, base - radius * rng.uniform(0.2, 0.9, 6), radius], axis=1)
    window, y, x, puff = canvas.solid(np.hstack([ball, ball]), softness=0.4 * reach, margin=0.02)
    fringe = noise(rng.random((12, 24)), (y - base) / reach + 1, (x - middle) / reach / 3 + 0.5) - 0.5
    outside = np.maximum(puff.distance / reach + 0.5 * fringe, 0.7 * (y[:, None] - base) / reach)
    white = np.minimum(canvas.light.on(puff, 0.78), 1) * CLOUD
    canvas.blend(window, np.clip(0.6 - outside / 0.16, 0, 1), white)


def draw_ground(canvas: Canvas, rng: np.random.Generator) -> None:
    """Lay grass up to the horizon: hills, lush and dry patches, blades; half the time with a wood far away.

    Args:
        canvas: to draw on.
        rng: draws the land.
    """
    x = canvas.at
    hills = canvas.horizon + 0.08 * (noise(rng.random((2, 6)), x[:1], x) - 0.5)  # (1, w) height of the ridge
    if rng.random() < 0.5:
        window = canvas.window(0, canvas.horizon - 0.16, 1, canvas.horizon + 0.04)
        y = canvas.at[window[0]]
        tops = noise(rng.random((2, 48)), x[:1], x) + noise(rng.random((2, 8)), x[:1], x)
        leaves = 0.4 + 0.9 * noise(rng.random((16, 60)), (y - canvas.horizon) / 0.2 + 0.8, x)[..., None]
        haze = 0.8 * pick(rng, GREENS) + 0.2 * LOW_SKY[0]
        canvas.paint(window, hills - 0.08 * (tops - 0.5) - y[:, None], haze * leaves, TREE)
    window = canvas.window(0, canvas.horizon - 0.04, 1, 1)
    y = canvas.at[window[0]]
    depth = canvas.depth(y) ** 0.6
    patches = noise(rng.random((6, 7)), depth, x)[..., None]
    blades = noise(rng.random((24, 90)), depth, x)[..., None]
    lush, dry = pick(rng, LUSH), pick(rng, DRY)
    color = lush + np.clip(2 * patches - 0.5, 0, 1) * (dry - lush)
    color = color * (0.55 + 0.9 * blades) + 0.10 * (1 - depth[:, None, None])
    canvas.paint(window, hills - y[:, None], color * canvas.light.color, GRASS)


def water_shore(rng: np.random.Generator, horizon: float) -> Shore:
    """Choose a pond, or a stream that comes from the horizon.

    Args:
        rng: draws the shape.
        horizon: height of the horizon.

    Returns:
        A function from rows (h,) and columns (w,) to the distance (h, w) from the shore, negative in the water.

    Example:
        >>> shore = water_shore(np.random.default_rng(0), horizon=0.3)
        >>> shore(np.array([0.5, 0.6]), np.array([0.1, 0.5, 0.9])).shape
        (2, 3)
    """
    lattice = rng.random((8, 8))
    middle, aim = rng.uniform(0.1, 0.9), rng.uniform(-0.3, 1.3)
    center = horizon + (1 - horizon) * rng.uniform(0.3, 0.75)
    width, height = rng.uniform(0.25, 0.5), rng.uniform(0.09, 0.16)

    def pond(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        v, u = (y[:, None] - center) / height, (x - middle) / width
        radius = np.hypot(v, u)
        slope = np.hypot(v / height, u / width) / radius  # of the radius, per unit of distance
        return (radius - 1.2 + 0.5 * noise(lattice, y, x)) / slope

    def stream(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        depth = (y[:, None] - horizon) / (1 - horizon)
        bend = 0.5 * (noise(lattice, y, np.zeros(1)) - 0.5) * np.sqrt(np.maximum(depth, 0))
        course = middle + (aim - middle) * depth + bend
        return np.where(depth > 0.02, np.abs(x - course) - 0.01 - 0.13 * depth, 1.0)

    return pond if rng.random() < 0.6 else stream


def draw_water(canvas: Canvas, rng: np.random.Generator, shore: Shore) -> None:
    """Pour water inside its shore: it mirrors sky, clouds and the far wood, broken by ripples.

    Args:
        canvas: to draw on.
        rng: draws the ripples.
        shore: of the water.
    """
    window = canvas.window(0, canvas.horizon, 1, 1)
    y, x = canvas.at[window[0]], canvas.at
    depth = canvas.depth(y)
    ripples = noise(rng.random((60, 10)), np.sqrt(depth), x) - 0.5
    mirrored = canvas.horizon * (0.96 - 0.9 * depth[:, None] + 0.25 * ripples)  # heights that are seen in the water
    mirrored = np.clip(mirrored * canvas.size, 0, canvas.horizon * canvas.size - 1).astype(int)
    color = 0.72 * canvas.image[mirrored, np.arange(canvas.size)] + 0.28 * DEEP + 0.16 * ripples[..., None]
    distance = shore(y, x)
    canvas.paint(window, distance - 0.014, EARTH * (0.8 + 0.8 * ripples[..., None]), GRASS)
    canvas.paint(window, distance, color, WATER)


def draw_shadow(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """Throw a soft shadow on the ground, away from the sun.

    Args:
        canvas: to draw on.
        x: of the foot of what throws it.
        y: of the foot.
        width: of the shadow, to each side of its middle.
        height: of what throws it.
    """
    x = x - 0.6 * height * canvas.light.towards[0]
    window = canvas.window(x - width, y - 0.3 * width, x + width, y + 0.3 * width)
    rows, columns = canvas.at[window[0]], canvas.at[window[1]]
    spread = np.hypot((rows[:, None] - y) / (0.28 * width), (columns - x) / width)
    canvas.image[window] *= 1 - 0.5 * np.clip(1.6 - 1.6 * spread, 0, 1)[..., None]


def draw_tree(canvas: Canvas, rng: np.random.Generator, x: float, y: float, height: float) -> None:
    """Draw a tree: a trunk, and a crown of balls or a stack of cones.

    Args:
        canvas: to draw on.
        rng: draws its form and its colours.
        x: of its foot.
        y: of its foot.
        height: from foot to top.
    """
    trunk = place([(0, -0.6, 0.035, 0, -0.04, 0.05), (0, -0.1, 0.04, 0, 0, 0.065)], x, y, height)
    window, rows, columns, wood = canvas.solid(trunk, softness=0.05 * height)
    grain = noise(rng.random((30, 4)), (rows - y) / height + 1, (columns - x) / height * 6)
    bark = pick(rng, BARK) * (0.6 + 0.8 * grain[..., None])
    canvas.paint(window, wood.distance, bark * canvas.light.on(wood, 0.45), TREE)

    if rng.random() < 0.65:
        angle = 2 * np.pi * (np.arange(7) + rng.random(7)) / 7
        reach = np.array([0, 1, 1, 1, 1, 1, 1])  # one ball in the middle, six around it
        ball = np.stack(
            [0.19 * reach * np.cos(angle), -0.68 + 0.17 * reach * np.sin(angle), rng.uniform(0.1, 0.17, 7)], 1
        )
        crown = np.hstack([ball, ball])
    else:
        crown = [(0, -1.0 + 0.2 * i, 0.015, 0, -0.74 + 0.2 * i, 0.10 + 0.045 * i) for i in range(3)]
    crown = place(crown, x, y, height)
    window, rows, columns, leaves = canvas.solid(crown, softness=0.03 * height, margin=0.07 * height)
    texture = noise(rng.random((26, 24)), (rows - y) / height + 1.1, (columns - x) / height + 0.5)
    color = pick(rng, LEAVES) * (0.4 + 1.2 * texture[..., None])
    canvas.paint(window, leaves.distance + 0.13 * height * (texture - 0.5), color * canvas.light.on(leaves, 0.42), TREE)
