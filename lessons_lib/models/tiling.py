"""Images too large for one pass: cut into tiles, each answered with enough of its surroundings in sight."""

import torch
from torch import nn

from lessons_lib.models.unet_2015 import UNet2015


@torch.no_grad()
def overlap_tile(model: UNet2015, images: torch.Tensor, tile: int = 388) -> torch.Tensor:
    """Tile an image for a network whose output is smaller than its input.

    Each tile's input reaches `model.margin` px beyond it, into the neighbouring tiles or, at the border, into a mirror
    image. Tiles begin at multiples of `model.grid`, so that all pool the same windows; where `tile` is none, its last
    px are left to the next tile. So the result equals one pass over the whole `mirror(images, model.margin)`.

    Args:
        model: in evaluation mode.
        images: (B, C, H, W) of any size.
        tile: side of the output of one pass in px; its input's side is `tile + 2 * model.margin`.

    Returns:
        Logits (B, K, H, W).

    Raises:
        ValueError: if the network can't give an output of this size, or a smaller one than `model.grid` is asked for.

    Source:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015, figure 2.

    Example:
        >>> model = UNet2015(widths=(4, 8, 16)).eval()
        >>> tuple(overlap_tile(model, torch.rand(1, 1, 50, 31), tile=28).shape)
        (1, 2, 50, 31)
    """
    if tile < model.grid:
        raise ValueError(f"a tile must be at least {model.grid} px, the pooling grid; got {tile}; use a larger tile")
    side = tile + 2 * model.margin
    model.check_size((side, side))
    height, width = images.shape[-2:]
    step = tile - tile % model.grid
    mirrored = mirror(images, model.margin, model.margin + tile)  # (B, C, H + 2 margin + tile, W + 2 margin + tile)
    rows = []
    for top in range(0, height, step):
        row = []
        for left in range(0, width, step):
            logits = model(mirrored[..., top : top + side, left : left + side])  # (B, K, tile, tile)
            row.append(logits[..., :step, :step])
        rows.append(torch.cat(row, dim=-1))
    return torch.cat(rows, dim=-2)[..., :height, :width]  # (B, K, H, W)


@torch.no_grad()
def tile_with_margin(model: nn.Module, images: torch.Tensor, tile: int, margin: int) -> torch.Tensor:
    """Tile an image for a network whose output is as large as its input.

    Each tile's input reaches `margin` px beyond it, as far as the image goes; the answers for these px, which lack
    some of their surroundings, are thrown away.

    Seams vanish when `margin` is at least what the network sees to one side of a px, and when height, width, `tile`
    and `margin` are multiples of its deepest level's grid (8 px with three levels). Then the result is `model(images)`.

    Args:
        model: from images to logits of the same size; in evaluation mode.
        images: (B, C, H, W) of any size.
        tile: side of a tile in px, without its margin.
        margin: px that are seen on each side of a tile.

    Returns:
        Logits (B, K, H, W).

    Example:
        >>> blur = nn.Conv2d(1, 2, kernel_size=5, padding=2)
        >>> images = torch.rand(1, 1, 20, 30)
        >>> [torch.allclose(tile_with_margin(blur, images, 8, m), blur(images), atol=1e-6) for m in (0, 1, 2)]
        [False, False, True]
    """
    height, width = images.shape[-2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = max(0, top - margin), max(0, left - margin)
            logits = model(images[..., above : top + tile + margin, before : left + tile + margin])
            row.append(logits[..., top - above :, left - before :][..., :tile, :tile])
        rows.append(torch.cat(row, dim=-1))
    return torch.cat(rows, dim=-2)  # (B, K, H, W)


def mirror(images: torch.Tensor, before: int, after: int | None = None) -> torch.Tensor:
    """Continue an image beyond its borders by its mirror image, and that one by its own, as often as it takes.

    The outermost px is the mirror: it is not repeated. A side of 1 px has no other to show and is repeated.

    Args:
        images: (B, C, H, W).
        before: px added at the top and at the left.
        after: px added at the bottom and at the right; None adds as many as before.

    Returns:
        (B, C, H + before + after, W + before + after).

    Example:
        >>> mirror(torch.tensor([[[[1, 2, 3]]]]), before=3, after=1)[0, 0, 0].tolist()
        [2, 3, 2, 1, 2, 3, 2]
    """
    after = before if after is None else after
    height, width = images.shape[-2:]
    rows, columns = (_bounce(torch.arange(-before, side + after), side - 1) for side in (height, width))
    return images[..., rows[:, None], columns]


def _bounce(positions: torch.Tensor, last: int) -> torch.Tensor:
    """Walk to and fro between 0 and `last`."""
    there_and_back = max(2 * last, 1)
    return last - (positions % there_and_back - last).abs()
