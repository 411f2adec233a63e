"""FCN: a classifier's shrinking network that scores every place of its maps, and brings the scores back up."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import double_conv
from lessons_lib.upsampling import bilinear_kernel

STRIDES = (32, 16, 8)


class FCN(nn.Module):
    """Scores the coarsest map; finer maps, if asked for, add their own scores on the way up.

    Five levels of convolutions and pooling leave maps of 1/2, 1/4, 1/8, 1/16 and 1/32 of the image. FCN-32s
    scores the last one and enlarges its scores 32 times. FCN-16s enlarges them twice, adds the scores of the 1/16
    map and enlarges 16 times; FCN-8s adds those of the 1/8 map as well. An image whose size is no multiple of 32 is
    filled up by repeating its last row and column; the surplus is cut off the logits.

    Simplified against the paper: small levels trained from scratch in place of VGG16, no convolutions after the last
    pooling, no surplus of 100 px round the image; the last enlargement learns as well.

    Args:
        stride: px of the image for one place of the finest map that is scored: 32, 16 or 8.
        widths: channels of the five levels, from the full size down.
        num_classes: K.

    Raises:
        ValueError: if `stride` is none of these, or `widths` has not five values.

    Source:
        Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015,
        section 4.2.

    Example:
        >>> tuple(FCN(stride=8)(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(self, stride: int = 32, widths: Sequence[int] = (16, 32, 64, 96, 128), num_classes: int = 7):
        super().__init__()
        if stride not in STRIDES:
            raise ValueError(f"stride must be one of {str(STRIDES)[1:-1]} px; got {stride}; choose one of these")
        if len(widths) != 5:
            raise ValueError(f"widths must be one for each of the 5 levels; got {tuple(widths)}; give 5 values")
        scored = STRIDES.index(stride) + 1  # maps that get a head
        self.encoder = nn.ModuleList(map(double_conv, (3, *widths), widths))
        self.heads = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in widths[: -scored - 1 : -1])
        factors = [2] * (scored - 1) + [stride]
        self.decoder = nn.ModuleList(enlarge(factor, num_classes) for factor in factors)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        height, width = images.shape[-2:]
        features = F.pad(images, (0, -width % 32, 0, -height % 32), mode="replicate")  # (B, 3, 32 h, 32 w)
        maps = []
        for level in self.encoder:
            features = F.max_pool2d(level(features), 2)  # (B, C, h, w), halved at every level
            maps.append(features)
        scores = 0
        for features, head, larger in zip(reversed(maps), self.heads, self.decoder):
            scores = larger(head(features) + scores)  # (B, K, 2h, 2w), the last time (B, K, stride h, stride w)
        return scores[..., :height, :width]  # (B, K, H, W)


def enlarge(factor: int, channels: int) -> nn.ConvTranspose2d:
    """Make a transposed convolution that enlarges every map by itself; at first it is bilinear.

    It has no bias, so where it fades towards the border, all classes fade alike and the best stays the best.

    Args:
        factor: an even number.
        channels: of the maps.

    Returns:
        A module from (B, channels, h, w) to (B, channels, factor h, factor w).

    Source:
        Long et al., section 3.3.

    Example:
        >>> larger = enlarge(2, channels=1)(torch.tensor([[[[4.0, 8.0]]]]))
        >>> tuple(larger.shape), larger[0, 0, 0, 1:3].tolist()
        ((1, 1, 2, 4), [3.75, 5.25])
    """
    layer = nn.ConvTranspose2d(
        channels, channels, kernel_size=2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    with torch.no_grad():
        layer.weight.copy_(bilinear_kernel(factor))  # the same kernel for every channel
    return layer
