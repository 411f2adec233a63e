"""Meadow: drawn scenes of animals outdoors, from a seed, with exact class ids and instance ids."""

import operator
from typing import NamedTuple

import numpy as np
import torch

from lessons_lib.data.meadow_animals import SPECIES, draw_animal
from lessons_lib.data.meadow_nature import (
    Shore,
    draw_ground,
    draw_shadow,
    draw_sky,
    draw_tree,
    draw_water,
    water_shore,
)
from lessons_lib.data.meadow_shapes import Canvas, Light, pick

CLASSES = ("sky", "grass", "tree", "water", "cat", "dog", "cow")
THINGS = ("cat", "dog", "cow")

MIN_SIZE, MAX_SIZE = 32, 512  # px
SEEDS_PER_SPLIT = 1_000_000
FIRST_SEED = {"train": 0, "validation": SEEDS_PER_SPLIT, "test": 2 * SEEDS_PER_SPLIT}


class Scene(NamedTuple):
    """A picture with its truth.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        class_ids: uint8 (H, W), indices into CLASSES.
        instance_ids: uint16 (H, W), 0 = none, animals 1..N from back to front.
    """

    image: np.ndarray
    class_ids: np.ndarray
    instance_ids: np.ndarray


def scene(seed: int, size: int = 96) -> Scene:
    """Draw a scene: the same seed gives the same scene on every machine, and at every size.

    Args:
        seed: 0 or greater.
        size: side of the picture, px, 32 to 512.

    Returns:
        The picture and its truth.

    Raises:
        ValueError: seed or size is out of range.

    Example:
        >>> drawn = scene(seed=0)
        >>> drawn.image.shape, drawn.class_ids.shape, int(drawn.instance_ids.max())
        ((96, 96, 3), (96, 96), 4)
    """
    seed, size = operator.index(seed), operator.index(size)
    if seed < 0:
        raise ValueError(f"a seed is 0 or greater: got {seed}; give a whole number from 0")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size is {MIN_SIZE} to {MAX_SIZE} px: got {size}; draw in that range, then resize")
    rng = np.random.Generator(np.random.PCG64(seed))
    canvas = Canvas(size, _sun(rng), horizon=rng.uniform(0.22, 0.44))
    draw_sky(canvas, rng)
    draw_ground(canvas, rng)
    shore = water_shore(rng, canvas.horizon) if rng.random() < 0.65 else None
    if shore:
        draw_water(canvas, rng, shore)
    standing = _stand(rng, canvas.horizon, shore)
    for kind, x, y, scale in standing:
        width = 0.16 if kind == "tree" else 0.55 * SPECIES[kind].length
        draw_shadow(canvas, x, y, width * scale, 0.2 * scale)
    instance_id = 0
    for kind, x, y, scale in standing:
        if kind == "tree":
            draw_tree(canvas, rng, x, y, scale * rng.uniform(0.45, 0.8))
        else:
            instance_id += 1
            draw_animal(canvas, rng, kind, x, y, scale, ids=(CLASSES.index(kind), instance_id))
    image = _photograph(canvas.image, rng)
    return Scene(image, canvas.class_ids, canvas.instance_ids)


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take the picture with a camera: exposure, white balance and noise, so that no color belongs to one class."""
    exposure = rng.uniform(0.87, 1.13) * rng.uniform(0.89, 1.11, size=3)
    noise = 0.035 * rng.standard_normal(image.shape)
    return np.clip(image * exposure + noise, 0, 1).astype(np.float32)


def _sun(rng: np.random.Generator) -> Light:
    """Choose where the sun stands, and how warm its light is."""
    towards = np.array([rng.uniform(-0.8, 0.8), -0.6, 0.6])
    warmth = rng.random() * np.array([0.06, 0, -0.14])
    return Light(tuple(towards / np.linalg.norm(towards)), 1 + warmth)


def _stand(rng: np.random.Generator, horizon: float, shore: Shore | None) -> list[tuple[str, float, float, float]]:
    """Choose what stands where, dry and none hidden by another: kind, x, y and scale, from back to front."""
    standing: list[tuple[str, float, float, float]] = []
    for kinds, fewest, farthest, nearest in ((THINGS, 2, 0.3, 0.95), (("tree",), 1, 0.02, 0.6)):
        count = rng.integers(fewest, 5)
        for slot in range(count):
            kind = pick(rng, kinds)
            for _ in range(12):
                x = 0.05 + 0.9 * (slot + rng.uniform(0.1, 0.9)) / count
                depth = rng.uniform(farthest, nearest)
                y = horizon + (1 - horizon) * depth
                dry = shore is None or shore(np.array([y]), np.array([x]))[0, 0] > 0.03
                if dry and all(abs(x - other[1]) > 0.1 for other in standing):
                    break
            standing.append((kind, x, y, 0.4 + 0.6 * depth))
    return sorted(standing, key=operator.itemgetter(2))


def batch(split: str, count: int, size: int = 96, start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw scenes of a split as tensors. Splits never share a seed.

    Args:
        split: "train", "validation" or "test".
        count: of scenes, B.
        size: side of the pictures, px, 32 to 512.
        start: the first scene's place in the split; scene i of a split is always the same.

    Returns:
        images, float32 (B, 3, H, W) in [0, 1], and class_ids, int64 (B, H, W).

    Raises:
        ValueError: the split is unknown, or the scenes asked for leave its range of seeds.

    Example:
        >>> images, class_ids = batch("train", count=2)
        >>> tuple(images.shape), tuple(class_ids.shape)
        ((2, 3, 96, 96), (2, 96, 96))
    """
    if split not in FIRST_SEED:
        raise ValueError(f"split is one of {', '.join(FIRST_SEED)}: got {split!r}; choose one of these")
    if count < 1 or start < 0 or start + count > SEEDS_PER_SPLIT:
        raise ValueError(
            f"a split holds scenes 0 to {SEEDS_PER_SPLIT - 1}: got start {start}, count {count}; stay inside"
        )
    first = FIRST_SEED[split] + start
    scenes = [scene(seed, size) for seed in range(first, first + count)]
    images = torch.from_numpy(np.stack([drawn.image for drawn in scenes])).permute(0, 3, 1, 2).contiguous()
    class_ids = torch.from_numpy(np.stack([drawn.class_ids for drawn in scenes])).long()
    return images, class_ids
