"""DeconvNet: the way down mirrored into a way up, with unpooling in the place of pooling."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import double_conv, resize


class DeconvNet(nn.Module):
    """Pools down to a small map, remembers where each maximum stood, and puts values back there on the way up.

    All that the decoder gets is the smallest map and the positions. Simplified against the paper: small levels
    trained from scratch in place of VGG16, two convolutions in place of its fully connected layers, whole images in
    place of object proposals. The paper's deconvolutions have stride 1: they are convolutions, and written so.

    Args:
        widths: channels of the encoder's levels, from the full size down.
        num_classes: K.
        unpool: True puts values back at the positions of the maxima; False resizes bilinearly in its place.

    Source:
        Noh, Hong and Han, "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015, section 3.

    Example:
        >>> tuple(DeconvNet()(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96), num_classes: int = 7, unpool: bool = True):
        super().__init__()
        self.unpool = unpool
        upwards = widths[::-1]
        self.encoder = nn.ModuleList(map(double_conv, (3, *widths), widths))
        self.bottleneck = double_conv(widths[-1], widths[-1])
        self.decoder = nn.ModuleList(map(double_conv, upwards, (*upwards[1:], widths[0])))
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        pooled = []  # what the way up needs of each level: size and positions
        features = images  # (B, 3, H, W)
        for level in self.encoder:
            features = level(features)  # (B, C, h, w)
            size = features.shape[-2:]
            features, positions = F.max_pool2d(features, 2, ceil_mode=True, return_indices=True)
            pooled.append((size, positions))  # both (B, C, h / 2, w / 2), rounded up
        features = self.bottleneck(features)  # (B, C, h, w) of the last level, halved
        for level, (size, positions) in zip(self.decoder, reversed(pooled)):
            if self.unpool:
                features = F.max_unpool2d(features, positions, 2, output_size=size)  # (B, C, 2h, 2w), 3/4 zeros
            else:
                features = resize(features, size)  # (B, C, 2h, 2w)
            features = level(features)  # (B, channels of the level above, 2h, 2w)
        return self.head(features)  # (B, K, H, W)
