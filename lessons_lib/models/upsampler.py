"""One network, eight ways up: all that differs is how a decoder level doubles the size."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import double_conv
from lessons_lib.shapes import Pair
from lessons_lib.upsampling import bed_of_nails

DOUBLING = {  # channels -> a layer that doubles height and width and keeps the channels
    "nearest": lambda c: nn.Upsample(scale_factor=2),
    "bed of nails": lambda c: BedOfNails(),
    "max unpooling": lambda c: nn.MaxUnpool2d(kernel_size=2),  # the one that wants the maxima's positions too
    "bilinear": lambda c: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    # 3 is no multiple of the stride: the copies of the kernel overlap unevenly
    "transposed 3": lambda c: nn.ConvTranspose2d(c, c, kernel_size=3, stride=2, padding=1, output_padding=1),
    "transposed 4": lambda c: nn.ConvTranspose2d(c, c, kernel_size=4, stride=2, padding=1),
    "resize and convolve": lambda c: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c, c, 3, padding=1)),
    # four channels for each one that goes out: the four px of a 2x2 block
    "sub-pixel": lambda c: nn.Sequential(nn.Conv2d(c, 4 * c, 3, padding=1), nn.PixelShuffle(2)),
}
UPSAMPLERS = tuple(DOUBLING)


class UpsamplingNet(nn.Module):
    """An encoder of max pooling, a decoder that goes back up by one of eight upsamplers, no skip connections.

    Encoder, bottleneck, head and the decoder's other layers are the same for all. An upsampler brings the parameters
    that are its own: the first four have none.

    Args:
        upsampler: one of UPSAMPLERS.
        widths: channels of the encoder's levels, from the full size down; the bottleneck has twice the last.
        num_classes: K.

    Raises:
        ValueError: if `upsampler` is none of these.

    Example:
        >>> tuple(UpsamplingNet("sub-pixel")(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(self, upsampler: str = "bilinear", widths: Sequence[int] = (16, 32, 64), num_classes: int = 7):
        super().__init__()
        if upsampler not in UPSAMPLERS:
            raise ValueError(
                f"upsampler must be one of {', '.join(UPSAMPLERS)}; got {upsampler!r}; choose one of these"
            )
        self.encoder = nn.ModuleList(map(double_conv, (3, *widths), widths))
        self.bottleneck = double_conv(widths[-1], 2 * widths[-1])
        upwards = widths[::-1]
        self.decoder = nn.ModuleList(
            DecoderLevel(deep, channels, upsampler) for deep, channels in zip((2 * upwards[0], *upwards), upwards)
        )
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        pooled_from = []
        features = images  # (B, 3, H, W)
        for level in self.encoder:
            features = level(features)  # (B, C, h, w)
            size = features.shape[-2:]
            features, positions = F.max_pool2d(features, 2, ceil_mode=True, return_indices=True)  # (B, C, h/2, w/2)
            pooled_from.append((positions, size))
        features = self.bottleneck(features)  # (B, 2 C, h, w)
        for level, (positions, size) in zip(self.decoder, reversed(pooled_from)):
            features = level(features, positions, size)  # (B, C, h, w) of the matching encoder level
        return self.head(features)  # (B, K, H, W)


class DecoderLevel(nn.Module):
    """One step up: bring the channels to those of the encoder's level, double the size, refine.

    Args:
        deep_channels: channels that come from below.
        channels: channels of the encoder's level and of the output.
        upsampler: one of UPSAMPLERS.

    Example:
        >>> _, positions = F.max_pool2d(torch.rand(2, 32, 12, 15), 2, ceil_mode=True, return_indices=True)
        >>> tuple(DecoderLevel(64, 32, "max unpooling")(torch.zeros(2, 64, 6, 8), positions, (12, 15)).shape)
        (2, 32, 12, 15)
    """

    def __init__(self, deep_channels: int, channels: int, upsampler: str):
        super().__init__()
        self.narrow = nn.Conv2d(deep_channels, channels, kernel_size=1)
        self.upsample = DOUBLING[upsampler](channels)
        self.refine = double_conv(channels, channels)

    def forward(self, deep: torch.Tensor, positions: torch.Tensor, size: Pair) -> torch.Tensor:
        """Bring features up to the size they had before a pooling layer.

        Args:
            deep: from below, (B, deep_channels, h, w).
            positions: where the pooling layer found its maxima, (B, channels, h, w); only max unpooling looks.
            size: (height, width) before the pooling layer in px; an odd one was rounded up when it was halved.

        Returns:
            Features (B, channels, *size).
        """
        features = self.narrow(deep)  # (B, channels, h, w)
        if isinstance(self.upsample, nn.MaxUnpool2d):
            features = self.upsample(features, positions, output_size=size)  # (B, channels, *size)
        else:
            features = self.upsample(features)[..., : size[0], : size[1]]  # (B, channels, 2h, 2w), cut to size
        return self.refine(features)  # (B, channels, *size)


class BedOfNails(nn.Module):
    """Put every px into the top left corner of a 2x2 block of zeros; torch has no operator for it.

    Example:
        >>> BedOfNails()(torch.tensor([[[[1.0, 2.0]]]]))[0, 0].tolist()
        [[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Double the size.

        Args:
            features: (B, C, h, w).

        Returns:
            (B, C, 2h, 2w).
        """
        return bed_of_nails(features)
