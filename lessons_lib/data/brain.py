"""Slices through an average brain, each pixel labelled by its tissue: a small case with several classes."""

import gzip

import numpy as np
import torch

from lessons_lib.data.wheels import wheel_file

CLASSES = ("background", "fluid", "grey matter", "white matter")

# Slices of each split, counted in mm from the bottom. Neighbours look alike: on average, the tissues of two slices
# 1 mm apart overlap by an IoU of 0.72, of two 8 mm apart by 0.28. So at least 8 slices between two splits are unused.
SPLITS = {
    "train": (range(20, 36), range(58, 74), range(96, 112), range(134, 148)),
    "validation": (range(82, 88),),
    "test": (range(44, 50), range(120, 126)),
}
VOLUME = (197, 233, 189)  # mm: from left to right, from back to front, from bottom to top
LEFT, BACK = slice(18, 178), slice(20, 212)  # the part that holds the brain


def slices(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut the horizontal slices of a split from the average brain. A pixel is 1 mm wide; the front is up.

    The truth is the most probable tissue of the pixel; all that is neither grey nor white matter is fluid. The average
    of 152 people is smooth and easy, and all splits come from it: a score here says nothing about another person.

    Args:
        split: "train", "validation" or "test".

    Returns:
        images, float32 (N, 1, 192, 160) in [0, 1], and class_ids, int64 (N, 192, 160), of CLASSES. N is 62, 6, 12.

    Raises:
        ValueError: the split is unknown.

    Source:
        Fonov et al., "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 2011 (the template
        ICBM 152, symmetric, 2009a, as nilearn carries it).

    Example:
        >>> images, class_ids = slices("test")
        >>> tuple(images.shape), class_ids.unique().tolist()
        ((12, 1, 192, 160), [0, 1, 2, 3])
    """
    if split not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}: got {split!r}; choose one of these")
    heights = [height for block in SPLITS[split] for height in block]
    brightness, grey, white = (_cut(name, heights) for name in ("t1", "gm", "wm"))
    tissue = 1 + np.stack([255 - grey - white, grey, white]).argmax(0)  # (N, H, W)
    class_ids = np.where(brightness > 0, tissue, 0)
    images = (brightness / 255).astype(np.float32)
    return torch.from_numpy(images)[:, None], torch.from_numpy(class_ids)


def _cut(name: str, heights: list[int]) -> np.ndarray:
    """Return slices (N, H, W) of one of the template's volumes, int64 in 0..255."""
    file = wheel_file("nilearn", f"datasets/data/mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    header, values = 352, np.prod(VOLUME)  # bytes; one byte a value
    content = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, values, offset=header)
    volume = content.reshape(VOLUME, order="F")[LEFT, BACK, heights]  # (columns, rows from the back, N)
    return volume.transpose(2, 1, 0)[:, ::-1].astype(np.int64)
