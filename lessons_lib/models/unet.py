"""U-Net: down to see what it is, up to see where it is, with skip connections in between."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import double_conv, resize

SKIPS = ("concat", "add", "none")


class UNet(nn.Module):
    """An encoder and a decoder with a skip connection at every size.

    Args:
        widths: channels of the encoder's levels, from the full size down; the bottleneck has twice the last.
        num_classes: K.
        skip: how a decoder level takes in the encoder's features: "concat" joins the channels, "add" adds
            them, "none" leaves them out.
        in_channels: of the images: 3 of a colour photo, 1 of a microscope's.

    Raises:
        ValueError: if `skip` is none of these.

    Source:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015. Here convolutions pad, so that the output is as large as the input.

    Example:
        >>> tuple(UNet()(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
    """

    def __init__(
        self, widths: Sequence[int] = (16, 32, 64), num_classes: int = 7, skip: str = "concat", in_channels: int = 3
    ):
        super().__init__()
        if skip not in SKIPS:
            raise ValueError(f"skip must be one of {', '.join(SKIPS)}; got {skip!r}; choose one of these")
        self.encoder = nn.ModuleList(map(double_conv, (in_channels, *widths), widths))
        self.bottleneck = double_conv(widths[-1], 2 * widths[-1])
        upwards = widths[::-1]
        self.decoder = nn.ModuleList(
            DecoderLevel(deep, shallow, skip) for deep, shallow in zip((2 * upwards[0], *upwards), upwards)
        )
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, in_channels, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        skips = []
        features = images  # (B, C, H, W)
        for level in self.encoder:
            features = level(features)  # (B, C, h, w)
            skips.append(features)
            features = F.max_pool2d(features, 2, ceil_mode=True)  # (B, C, h / 2, w / 2), rounded up
        features = self.bottleneck(features)  # (B, 2 C, h, w)
        for level, shallow in zip(self.decoder, reversed(skips)):
            features = level(features, shallow)  # (B, C, h, w) of this skip
        return self.head(features)  # (B, K, H, W)


class DecoderLevel(nn.Module):
    """One step up: halve the channels, resize to the skip's size, take in the skip, refine.

    Args:
        deep_channels: channels that come from below.
        channels: channels of the output, and of the skip unless `skip_channels` says otherwise.
        skip: "concat", "add" or "none".
        skip_channels: channels of the skip where they differ; a sum can't have that, "concat" can.

    Example:
        >>> level = DecoderLevel(64, 32, skip="add")
        >>> tuple(level(torch.zeros(2, 64, 6, 8), torch.zeros(2, 32, 12, 15)).shape)
        (2, 32, 12, 15)
    """

    def __init__(self, deep_channels: int, channels: int, skip: str, skip_channels: int | None = None):
        super().__init__()
        self.skip = skip
        self.narrow = nn.Conv2d(deep_channels, channels, kernel_size=1)
        joined = channels if skip_channels is None else skip_channels
        self.refine = double_conv(channels + joined if skip == "concat" else channels, channels)

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
        """Bring features up to the size of the skip.

        Args:
            deep: from below, (B, deep_channels, h, w).
            shallow: the skip, (B, skip_channels, 2h, 2w).

        Returns:
            Features (B, channels, 2h, 2w).
        """
        features = resize(self.narrow(deep), shallow.shape[-2:])  # (B, channels, 2h, 2w)
        if self.skip == "concat":
            features = torch.cat([shallow, features], dim=1)  # (B, skip_channels + channels, 2h, 2w)
        elif self.skip == "add":
            features = shallow + features  # (B, channels, 2h, 2w)
        return self.refine(features)  # (B, channels, 2h, 2w)
