"""Meadow's things, cats, dogs and cows: layers of capsules under a coat of fur.

An animal faces right, is about one unit long and stands on y = 0; y grows downwards, so all of it lies at negative y.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lessons_lib.data.meadow_shapes import Canvas, noise, pick, place

Color = tuple[float, float, float]
Capsules = list[tuple[float, float, float, float, float, float]]
Layer = dict[
    str, Capsules
]  # paint -> what wears it: "coat", "shade" (the coat, away from us), "mark", a name of PAINTS

WHITE, CREAM, GREY, BLACK = (0.93, 0.92, 0.88), (0.86, 0.77, 0.60), (0.50, 0.50, 0.52), (0.16, 0.15, 0.15)
ORANGE, GOLD, BROWN, UMBER = (0.85, 0.50, 0.18), (0.76, 0.58, 0.33), (0.48, 0.29, 0.17), (0.31, 0.20, 0.13)
PAINTS = {"pink": (0.85, 0.60, 0.56), "ivory": (0.90, 0.86, 0.74), "ink": (0.07, 0.06, 0.06), "eye": (0.62, 0.72, 0.25)}


def _ball(x: float, y: float, radius: float) -> tuple[float, ...]:
    return (x, y, radius, x, y, radius)


def _chain(points: list[tuple[float, float]], start: float, end: float) -> Capsules:
    """Return capsules from point to point, their radius going from start to end."""
    radii = np.linspace(start, end, len(points)).tolist()
    return [(*a, ar, *b, br) for a, ar, b, br in zip(points, radii, points[1:], radii[1:])]


def _legs(rng: np.random.Generator, hind: float, fore: float, top: float) -> tuple[Capsules, Capsules]:
    """Return the far and the near legs, in mid-step."""
    far, near = [], []
    for x in (hind, fore):
        step = 0.09 * (rng.random() - 0.5)
        far.append((x + 0.09, top, 0.075, x + 0.09 - step, -0.045, 0.045))
        near.append((x, top, 0.076, x + step, -0.049, 0.049))
    return far, near


def _cat(rng: np.random.Generator) -> list[Layer]:
    """Return a cat: pointed ears, a round face turned to us, a long curved tail."""
    far, near = _legs(rng, -0.27, 0.20, -0.26)
    curl = 0.16 * (rng.random() - 0.5)
    tail = [(-0.36, -0.42), (-0.50, -0.46), (-0.57, -0.58), (-0.54 + curl, -0.76), (-0.61 + curl, -0.90)]
    x, y = 0.36, -0.62 - 0.08 * rng.random()  # of the face
    neck = (0.20, -0.45, 0.13, x, y, 0.12)
    ears = [
        (x - 0.09, y - 0.09, 0.085, x - 0.14, y - 0.31, 0.008),
        (x + 0.10, y - 0.09, 0.085, x + 0.16, y - 0.30, 0.008),
    ]
    inner = [
        (x - 0.10, y - 0.13, 0.035, x - 0.13, y - 0.24, 0.004),
        (x + 0.11, y - 0.13, 0.035, x + 0.145, y - 0.23, 0.004),
    ]
    pupils = [(eye, y - 0.02, 0.014, eye, y + 0.01, 0.014) for eye in (x - 0.05, x + 0.10)]
    return [
        {"shade": far},
        {"coat": [*_chain(tail, 0.055, 0.04), (-0.26, -0.40, 0.165, 0.20, -0.40, 0.145), neck, *near]},
        {"coat": [(x, y, 0.175, x + 0.02, y + 0.02, 0.17), *ears]},
        {
            "pink": [*inner, _ball(x + 0.03, y + 0.065, 0.018)],
            "eye": [_ball(x - 0.05, y - 0.005, 0.036), _ball(x + 0.10, y - 0.005, 0.036)],
        },
        {"ink": pupils},
    ]


def _dog(rng: np.random.Generator) -> list[Layer]:
    """Return a dog: floppy ears, a long muzzle, a short tail held up."""
    far, near = _legs(rng, -0.30, 0.20, -0.40)
    lift = 0.15 * rng.random()
    tail = [(-0.36, -0.56), (-0.50, -0.63 - lift), (-0.57, -0.74 - lift)]
    x, y = 0.36, -0.80 - 0.06 * rng.random()  # of the head
    neck = (0.20, -0.58, 0.15, x - 0.02, y, 0.11)
    muzzle = (x + 0.10, y + 0.03, 0.09, x + 0.27, y + 0.06, 0.065)
    return [
        {"shade": far},
        {"coat": [*_chain(tail, 0.05, 0.025), (-0.28, -0.52, 0.145, 0.16, -0.52, 0.185), neck, *near]},
        {"coat": [(x, y, 0.145, x + 0.04, y + 0.01, 0.13), muzzle]},
        {
            "mark": [(x - 0.06, y - 0.09, 0.055, x - 0.12, y + 0.13, 0.07)],
            "ink": [_ball(x + 0.31, y + 0.03, 0.034), _ball(x + 0.11, y - 0.04, 0.022)],
        },
    ]


def _cow(rng: np.random.Generator) -> list[Layer]:
    """Return a cow: a box of a body, horns, an udder, a tail with a tuft; sometimes grazing."""
    far, near = _legs(rng, -0.34, 0.22, -0.34)
    grazing = rng.random() < 0.35
    x, y = (0.47, -0.28) if grazing else (0.44, -0.72 - 0.05 * rng.random())  # of the forehead
    nose = (x + 0.08, y + 0.17) if grazing else (x + 0.19, y + 0.11)
    back, neck = (-0.33, -0.60, 0.10, 0.20, -0.60, 0.10), (0.24, -0.55, 0.15, x, y, 0.095)
    left_horn = [(x - 0.03, y - 0.06), (x - 0.07, y - 0.14), (x - 0.03, y - 0.23)]
    right_horn = [(x + 0.05, y - 0.06), (x + 0.11, y - 0.13), (x + 0.10, y - 0.22)]
    return [
        {
            "shade": far,
            "coat": [(-0.47, -0.58, 0.024, -0.53, -0.26, 0.02)],
            "ink": [(-0.53, -0.27, 0.036, -0.535, -0.17, 0.02)],
            "pink": [(-0.14, -0.32, 0.075, -0.08, -0.31, 0.06)],
        },
        {"coat": [(-0.30, -0.50, 0.195, 0.22, -0.50, 0.19), back, neck, *near]},
        {
            "mark": [(x - 0.02, y - 0.05, 0.036, x - 0.16, y - 0.04, 0.03)],
            "ivory": _chain(left_horn, 0.032, 0.006) + _chain(right_horn, 0.032, 0.006),
        },
        {
            "coat": [(x, y, 0.10, *nose, 0.075)],
            "pink": [(*nose, 0.07, nose[0] + 0.02, nose[1] + 0.01, 0.062)],
        },
        {"ink": [_ball(x + 0.03, y - 0.01, 0.021), _ball(nose[0] + 0.04, nose[1] - 0.005, 0.014)]},
    ]


# How strong the mark's colour is, in [0, 1], where x runs along the body and mottle is smooth noise over it.
def _stripes(x: np.ndarray, mottle: np.ndarray) -> np.ndarray:
    return np.clip(0.3 + 2 * np.sin(30 * x + 5 * mottle), 0, 1)


def _patches(x: np.ndarray, mottle: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 16 * (mottle - 0.52), 0, 1)


def _plain(x: np.ndarray, mottle: np.ndarray) -> np.ndarray:
    return 0.35 * mottle


class Species(NamedTuple):
    """What makes a cat a cat.

    Args:
        length: in the foreground, as a fraction of the picture's side.
        body: draws its layers, from back to front.
        marking: of the coat, from positions along the body (w,) and mottle (h, w) to the mark's strength (h, w).
        coats: the pairs of colours, coat and mark, that it comes in.
    """

    length: float
    body: Callable[[np.random.Generator], list[Layer]]
    marking: Callable[[np.ndarray, np.ndarray], np.ndarray]
    coats: tuple[tuple[Color, Color], ...]


CAT_COATS = ((ORANGE, (0.58, 0.27, 0.08)), (GREY, (0.22, 0.22, 0.24)), (CREAM, ORANGE), (WHITE, GREY), (BLACK, GREY))
DOG_COATS = ((GOLD, BROWN), (BROWN, UMBER), (UMBER, BLACK), (CREAM, GOLD), (WHITE, BROWN))
COW_COATS = ((WHITE, BLACK), (BLACK, WHITE), (WHITE, BROWN), (BROWN, WHITE))
SPECIES = {
    "cat": Species(0.31, _cat, _stripes, CAT_COATS),
    "dog": Species(0.33, _dog, _plain, DOG_COATS),
    "cow": Species(0.43, _cow, _patches, COW_COATS),
}


def draw_animal(
    canvas: Canvas, rng: np.random.Generator, kind: str, x: float, y: float, scale: float, ids: tuple[int, int]
) -> None:
    """Draw an animal.

    Args:
        canvas: to draw on.
        rng: draws its pose and its coat.
        kind: a name of SPECIES.
        x: of its middle.
        y: of its feet.
        scale: 1 in the foreground, less further away.
        ids: its class id and its instance id.
    """
    species = SPECIES[kind]
    length = scale * species.length
    mirror = pick(rng, (-1, 1))
    shades = np.array(pick(rng, species.coats)) * rng.uniform(0.75, 1.15) + rng.uniform(-0.04, 0.04, 3)
    coat, mark = np.clip(shades, 0, 1)  # no two animals alike, so that no colour gives a kind away
    lattice = rng.random((9, 14))
    for layer in species.body(rng):
        capsules = place([capsule for part in layer.values() for capsule in part], x, y, length, mirror)
        window, rows, columns, shape = canvas.solid(capsules, softness=0.02 * length)
        paints = PAINTS | {"mark": mark}
        if layer.keys() & {"coat", "shade"}:
            along = (columns - x) / (length * mirror)
            mottle = noise(lattice, (rows - y) / length + 1, along / 2 + 0.5)
            paints["coat"] = coat + species.marking(along, mottle)[..., None] * (mark - coat)
            paints["shade"] = 0.62 * paints["coat"]
        wears = np.repeat(np.arange(len(layer)), [len(part) for part in layer.values()])[shape.nearest]
        color = np.zeros(3)
        for index, paint in enumerate(layer):
            color = np.where((wears == index)[..., None], paints[paint], color)
        canvas.paint(window, shape.distance, np.minimum(color * canvas.light.on(shape, 0.6), 1), *ids)
