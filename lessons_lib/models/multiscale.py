"""Farabet, Couprie, Najman and LeCun's network: one convnet looks at the scene at several scales."""

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import WindowEncoder, resize, standardize


class MultiScale(nn.Module):
    """Runs one shared encoder on every level of a Laplacian pyramid and classifies the joined features.

    A coarse level's window spans more of the scene with the same weights: level s sees about 2^s times the
    window. Simplified against the paper: RGB without local contrast normalisation, small 3x3 kernels without
    pooling, one training end to end with a linear classifier on top, and no superpixels afterwards.

    Args:
        scales: levels of the pyramid; 1 is the encoder on the image alone.
        num_classes: K.
        width: channels of every hidden layer.
        window: side in px of what the encoder sees at each level: 1, 3, 5, 9, 17, 33 or 65.

    Raises:
        ValueError: if there is no level or no such window.

    Source:
        Farabet, Couprie, Najman and LeCun, "Learning Hierarchical Features for Scene Labeling", TPAMI 2013.

    Example:
        >>> tuple(MultiScale(scales=3)(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(self, scales: int = 3, num_classes: int = 7, width: int = 32, window: int = 17):
        super().__init__()
        if scales < 1:
            raise ValueError(f"scales must be at least 1; got {scales}; use 1 for the image alone")
        self.scales = scales
        self.encoder = WindowEncoder(window, in_channels=3, width=width)
        self.head = nn.Conv2d(scales * width, num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        size = images.shape[-2:]
        levels = laplacian_pyramid(standardize(images), self.scales)  # level s: (B, 3, H / 2^s, W / 2^s)
        features = [resize(self.encoder(level), size) for level in levels]  # scales times (B, width, H, W)
        return self.head(torch.cat(features, dim=1))  # (B, K, H, W)


def laplacian_pyramid(images: torch.Tensor, scales: int) -> list[torch.Tensor]:
    """Split images into details of growing size.

    Level s holds what is lost on the way from level s to s + 1; the last level holds what remains. Resizing
    and adding from coarse to fine gives the images back.

    Args:
        images: (B, C, H, W).
        scales: number of levels.

    Returns:
        Level s has the shape (B, C, H / 2^s, W / 2^s), rounded up.

    Source:
        Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans. Commun. 1983.

    Example:
        >>> [tuple(level.shape[-2:]) for level in laplacian_pyramid(torch.zeros(1, 3, 24, 31), scales=3)]
        [(24, 31), (12, 16), (6, 8)]
    """
    levels = []
    for _ in range(scales - 1):
        coarse = halve(images)  # (B, C, h / 2, w / 2)
        levels.append(images - resize(coarse, images.shape[-2:]))  # (B, C, h, w)
        images = coarse
    return [*levels, images]


def halve(images: torch.Tensor) -> torch.Tensor:
    """Blur with the binomial kernel (1, 3, 3, 1) / 8 along both axes and keep every second pixel.

    An even number of weights puts a new pixel midway between two old ones, where `resize` expects it.

    Args:
        images: (B, C, h, w).

    Returns:
        (B, C, h / 2, w / 2), rounded up.

    Example:
        >>> halve(torch.tensor([[[[0.0, 0.0, 8.0, 8.0]]]])).tolist()
        [[[[1.0, 7.0]]]]
    """
    channels, height, width = images.shape[1:]
    padded = F.pad(images, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate")
    line = images.new_tensor([1, 3, 3, 1]) / 8
    kernel = torch.outer(line, line).expand(channels, 1, 4, 4)
    return F.conv2d(padded, kernel, stride=2, groups=channels)
