"""The U-Net as it was published: no layer pads, so every step costs border, and 572 px come out as 388."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import middle
from lessons_lib.shapes import Pair


class UNet2015(nn.Module):
    """Unpadded 3x3 convolutions, up-convolutions, skips that are cropped before they are joined.

    A logit is given only where the network has seen all of its surroundings: the output is `margin` px smaller on
    each side. `overlap_tile` gives logits for whole images.

    Args:
        widths: channels of the encoder's levels, from the full size down; the bottleneck has twice the last.
        num_classes: K.
        in_channels: of the images; the paper's are grey.

    Attributes:
        grid: px between the pooling windows of the last level, 16 in the paper.
        margin: px that the output lacks on each side, 92 in the paper.

    Source:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015, figure 1 and section 3. The paper drops out "at the end of the contracting path" and names no
        rate; here it is half.

    Example:
        >>> network = UNet2015(widths=(4, 8)).eval()
        >>> network.margin, tuple(network(torch.zeros(1, 1, 64, 80)).shape)
        (20, (1, 2, 24, 40))
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512), num_classes: int = 2, in_channels: int = 1):
        super().__init__()
        self.encoder = nn.ModuleList(map(two_convs, (in_channels, *widths), widths))
        self.bottleneck = nn.Sequential(two_convs(widths[-1], 2 * widths[-1]), nn.Dropout())  # half
        upwards = widths[::-1]
        self.decoder = nn.ModuleList(map(DecoderLevel, (2 * upwards[0], *upwards), upwards))
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)
        self.grid = 2 ** len(widths)
        # A 3x3 convolution takes 1 px of its level from each side: 4 at each level but the bottleneck, which has 2
        self.margin = sum(4 * 2**level for level in range(len(widths))) + 2 * self.grid
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                incoming = layer.in_channels if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=(2 / incoming) ** 0.5)
                nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel but those of the margin.

        Args:
            images: (B, in_channels, H, W); H and W as `check_size` wants them.

        Returns:
            Logits (B, K, H - 2 margin, W - 2 margin) of the middle.

        Raises:
            ValueError: if `check_size` refuses the size.
        """
        self.check_size(images.shape[-2:])
        skips = []
        features = images  # (B, C, H, W)
        for level in self.encoder:
            features = level(features)  # (B, C, h - 4, w - 4)
            skips.append(features)
            features = F.max_pool2d(features, 2)  # (B, C, h / 2, w / 2)
        features = self.bottleneck(features)  # (B, 2 C, h - 4, w - 4)
        for level, shallow in zip(self.decoder, reversed(skips)):
            features = level(features, shallow)  # (B, C of this skip, 2h - 4, 2w - 4)
        return self.head(features)  # (B, K, H - 2 margin, W - 2 margin)

    def check_size(self, size: Pair) -> None:
        """Make sure that every pooling layer halves an even size and that something is left at the end.

        Args:
            size: height and width of the images in px.

        Raises:
            ValueError: if a side does not fit; the message names the nearest that do.
        """
        smallest = 2 * self.margin + min(4, self.grid)
        for name, side in zip(("height", "width"), size):
            below = side - (side + 4) % self.grid  # a level takes 4 px before it halves: the paper's 572 + 4 = 36 x 16
            if below != side or side < smallest:
                nearest = sorted({max(below, smallest), max(below + self.grid, smallest)})
                raise ValueError(
                    f"height + 4 and width + 4 must be multiples of {self.grid}, so that each pooling layer meets an "
                    f"even size, and both at least {smallest} px; got {name} {side}; cut or mirror the images to "
                    f"{' or '.join(map(str, nearest))} px"
                )


class DecoderLevel(nn.Module):
    """One step up: double the size and halve the channels, join the skip's middle, convolve twice.

    Args:
        deep_channels: channels that come from below; in the paper twice those of the skip.
        channels: channels of the skip and of the output.

    Example:
        >>> level = DecoderLevel(16, 8)
        >>> tuple(level(torch.zeros(2, 16, 10, 10), torch.zeros(2, 8, 36, 36)).shape)
        (2, 8, 16, 16)
    """

    def __init__(self, deep_channels: int, channels: int):
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(deep_channels, channels, kernel_size=2, stride=2)
        self.refine = two_convs(2 * channels, channels)

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
        """Bring features up and join what the encoder had in the same place.

        Args:
            deep: from below, (B, deep_channels, h, w).
            shallow: the skip, (B, channels, 2h or more, 2w or more).

        Returns:
            Features (B, channels, 2h - 4, 2w - 4).
        """
        features = self.enlarge(deep)  # (B, channels, 2h, 2w)
        return self.refine(torch.cat([middle(shallow, features.shape[-2:]), features], dim=1))


def two_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two unpadded 3x3 convolutions, each with ReLU.

    Args:
        in_channels: channels that come in.
        out_channels: channels of both layers.

    Returns:
        A module from (B, in_channels, h, w) to (B, out_channels, h - 4, w - 4).

    Example:
        >>> tuple(two_convs(3, 16)(torch.zeros(2, 3, 9, 10)).shape)
        (2, 16, 5, 6)
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, kernel_size=3),
        nn.ReLU(),
    )
