"""The maps inside a U-Net, prepared for the feature explorer: what each level gets, makes and hands on."""

from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from torch import nn

from lessons_lib.models.blocks import resize
from lessons_lib.models.unet import UNet
from lessons_lib.training import predict
from lessons_lib.widgets.base import picture_uri

PARTS = ("skip", "below", "decoded")


def level_maps(model: UNet, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    """Record the maps of every level while images pass.

    Args:
        model: with skip connections or without.
        images: (N, 3, H, W) in [0, 1].

    Returns:
        One dict a level, from the full size down: "skip", the encoder's map, which goes across; "below", what comes up,
        resized, before the two meet; "decoded", what the decoder makes of them; each (N, C, h, w). The last is the
        bottom of the U, which has a "skip" alone, the bottleneck's map.

    Example:
        >>> [tuple(level["skip"].shape) for level in level_maps(UNet((4, 8)), torch.rand(2, 3, 8, 8))]
        [(2, 4, 8, 8), (2, 8, 4, 4), (2, 16, 2, 2)]
    """
    layers = {("skip", len(model.encoder)): model.bottleneck}
    for index, (encoder, decoder) in enumerate(zip(model.encoder, model.decoder[::-1])):
        layers |= {("skip", index): encoder, ("below", index): decoder.narrow, ("decoded", index): decoder}
    levels = [{} for _ in range(len(model.encoder) + 1)]
    with ExitStack() as hooks:
        for (part, index), layer in layers.items():
            keep = partial(_keep, levels[index], part)
            hooks.callback(layer.register_forward_hook(keep).remove)
        predict(model, images, batch_size=len(images))
    for level in levels[:-1]:
        level["below"] = resize(level["below"], level["skip"].shape[-2:])
    return levels


def _keep(level: dict, part: str, layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    level[part] = output.cpu()


def fine_share(maps: torch.Tensor, cells: tuple[int, int]) -> float:
    """Share of the maps' variance inside cells: what is left when each cell's mean is taken away.

    Args:
        maps: (C, h, w); a channel counts as much as it varies.
        cells: rows and columns of cells, divisors of h and w.

    Returns:
        In [0, 1]; 0 for maps that don't vary.

    Example:
        >>> fine_share(torch.tensor([[[0.0, 0.0, 4.0, 4.0]]]), (1, 2)), fine_share(torch.tensor([[[0.0, 4.0]]]), (1, 1))
        (0.0, 1.0)
    """
    (rows, columns), (height, width) = cells, maps.shape[-2:]
    parts = maps.double().unflatten(2, (columns, width // columns)).unflatten(1, (rows, height // rows))
    inside = (parts - parts.mean((2, 4), keepdim=True)).square().sum()
    whole = (maps - maps.double().mean((1, 2), keepdim=True)).square().sum()
    return float(inside / whole) if whole > 0 else 0.0


def strongest(maps: torch.Tensor, count: int) -> np.ndarray:
    """Paint the channels that vary most over all images, the strongest first, in shades of grey.

    Args:
        maps: (N, C, h, w).
        count: number of channels, at most C.

    Returns:
        Pictures, uint8 (N, count, h, w, 3): a channel's lowest value over all images black, its 99.5 % quantile white.
    """
    order = maps.std((0, 2, 3)).argsort(descending=True)[:count]
    chosen = maps[:, order, ..., None].numpy()  # (N, count, h, w, 1)
    lowest, highest = np.quantile(chosen, (0, 0.995), axis=(0, 2, 3), keepdims=True)
    shades = (chosen - lowest) / np.maximum(highest - lowest, 1e-9)
    return (255 * shades.clip(0, 1)).round().astype(np.uint8).repeat(3, axis=-1)


def strip_uri(pictures: np.ndarray) -> str:
    """Encode pictures below each other as one: small ones in 32 exact shades, larger ones lossily.

    Args:
        pictures: uint8 (count, h, w, 3).

    Returns:
        A WebP data address.
    """
    strip = np.concatenate(pictures)  # (count h, w, 3)
    return picture_uri(strip, lossless=False) if strip.shape[1] > 32 else picture_uri(strip // 8 * 8)
