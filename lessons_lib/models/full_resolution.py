"""Idea 3 of the lecture: convolutions only, every map as large as the image."""

from collections.abc import Sequence

import torch
from torch import nn


class FullResolution(nn.Module):
    """A stack of 3x3 convolutions that never shrinks the image; dilation is its only way to see further.

    A pixel's logits see 1 + 2 * sum(dilations) px of each axis: 15 px with seven plain layers, 67 px with the
    dilations 1, 1, 2, 4, 8, 16, 1, for the same weights and the same multiplications.

    Args:
        depth: number of 3x3 convolutions, each with batch normalisation and ReLU.
        width: channels of every layer.
        dilations: px between neighbouring weights, one value a layer; None is 1 for all.
        num_classes: K.

    Raises:
        ValueError: if there is no layer, or `dilations` has not one value a layer.

    Source:
        The dilated form: Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016,
        table 1.

    Example:
        >>> tuple(FullResolution(depth=3, dilations=(1, 2, 4))(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(self, depth: int = 7, width: int = 16, dilations: Sequence[int] | None = None, num_classes: int = 7):
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1; got {depth}; use 1 or more")
        self.dilations = (1,) * depth if dilations is None else tuple(dilations)
        if len(self.dilations) != depth:
            raise ValueError(
                f"dilations must have one value for each of the {depth} layers; got {self.dilations}; give {depth} "
                f"values, or set depth to {len(self.dilations)}"
            )
        self.encoder = nn.Sequential()
        for channels, dilation in zip((3,) + (width,) * depth, self.dilations):
            conv = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation, bias=False)
            self.encoder.extend([conv, nn.BatchNorm2d(width), nn.ReLU()])  # the normalisation has the bias
        self.head = nn.Conv2d(width, num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        features = self.encoder(images)  # (B, width, H, W), as in every layer
        return self.head(features)  # (B, K, H, W)
