"""Parts that several networks share. Letters: B batch, C channels, H W input size, h w current size."""

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.shapes import Layer, Pair, multiplications, receptive_field

DILATIONS = (1, 1, 2, 4, 8, 16)  # one for each hidden layer of a WindowEncoder
# With the first 0, 1, .. 6 of them: 1, 3, 5, 9, 17, 33, 65 px
WINDOWS = tuple(receptive_field(Layer(3, dilation=step) for step in DILATIONS[:count]) for count in range(7))


class WindowEncoder(nn.Module):
    """Six convolutions that turn the window round a pixel into that pixel's features.

    The first layers are 3x3 convolutions with dilations 1, 1, 2, 4, 8, 16, as many as the window has room for; the
    others are 1x1 convolutions. So every window gets a network of the same depth. No layer pads.

    Args:
        window: side of the window in px, one of WINDOWS.
        in_channels: channels of the input.
        width: channels of every layer.

    Raises:
        ValueError: if no number of layers gives this window.

    Example:
        >>> encoder = WindowEncoder(window=9, width=16)
        >>> tuple(encoder(torch.zeros(2, 3, 24, 31)).shape)
        (2, 16, 24, 31)
    """

    def __init__(self, window: int, in_channels: int = 3, width: int = 32):
        super().__init__()
        if window not in WINDOWS:
            raise ValueError(f"window must be one of {str(WINDOWS)[1:-1]} px; got {window}; choose one of these")
        self.window = window
        looking = WINDOWS.index(window)  # layers that look beyond their own px
        channels = (in_channels,) + (width,) * len(DILATIONS)
        self.layers = nn.Sequential()
        for index, dilation in enumerate(DILATIONS):
            kernel_size = 3 if index < looking else 1
            conv = nn.Conv2d(channels[index], channels[index + 1], kernel_size, dilation=dilation)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
            self.layers.extend([conv, nn.ReLU()])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Encode every pixel.

        Args:
            images: (B, in_channels, H, W).

        Returns:
            Features (B, width, H, W).
        """
        padded = pad_edges(images, self.window // 2)  # (B, C, H + window - 1, W + window - 1)
        return self.layers(padded)  # (B, width, H, W)

    def multiplications(self, size: int | Pair) -> int:
        """Count the multiplications of one pass of the unpadded layers.

        Args:
            size: height and width in px of the features at the end; an int stands for both.

        Returns:
            Number of multiplications.
        """
        height, width = (size, size) if isinstance(size, int) else size
        total = 0
        for conv in reversed([layer for layer in self.layers if isinstance(layer, nn.Conv2d)]):
            total += multiplications((height, width), conv.in_channels, conv.out_channels, conv.kernel_size)
            grow = conv.dilation[0] * (conv.kernel_size[0] - 1)  # the layer's input is larger than its output
            height, width = height + grow, width + grow
        return total


def standardize(images: torch.Tensor) -> torch.Tensor:
    """Bring values in [0, 1] to about mean 0 and standard deviation 1, where a network trains well.

    Args:
        images: of any shape, in [0, 1].

    Returns:
        The same shape, in [-2, 2].

    Example:
        >>> standardize(torch.tensor([0.0, 0.5, 1.0])).tolist()
        [-2.0, 0.0, 2.0]
    """
    return 4 * (images - 0.5)


def pad_edges(images: torch.Tensor, margin: int) -> torch.Tensor:
    """Repeat the outermost pixels outwards.

    Args:
        images: (B, C, H, W).
        margin: px added on each side.

    Returns:
        (B, C, H + 2 margin, W + 2 margin).

    Example:
        >>> pad_edges(torch.tensor([[[[1.0, 2.0]]]]), margin=1)[0, 0, 0].tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    return F.pad(images, (margin,) * 4, mode="replicate")


def resize(features: torch.Tensor, size: Pair) -> torch.Tensor:
    """Resize bilinearly to an explicit size.

    Args:
        features: (B, C, h, w).
        size: height and width of the result in px.

    Returns:
        (B, C, *size).

    Example:
        >>> tuple(resize(torch.zeros(1, 4, 12, 12), (25, 24)).shape)
        (1, 4, 25, 24)
    """
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)


def middle(features: torch.Tensor, size: Pair) -> torch.Tensor:
    """Cut the same number of px from opposite sides; of an odd number the bottom and the right lose one more.

    Args:
        features: (B, C, h, w).
        size: height and width of the result in px, no larger than h and w.

    Returns:
        A view (B, C, *size).

    Example:
        >>> middle(torch.arange(5).reshape(1, 1, 1, 5), (1, 3)).tolist()
        [[[[1, 2, 3]]]]
    """
    top, left = ((have - want) // 2 for have, want in zip(features.shape[-2:], size))
    return features[..., top : top + size[0], left : left + size[1]]


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions that keep the size, each with batch normalisation and a ReLU that overwrites it.

    Args:
        in_channels: channels that come in.
        out_channels: channels of both layers.

    Returns:
        A module from (B, in_channels, h, w) to (B, out_channels, h, w).

    Example:
        >>> tuple(double_conv(3, 16)(torch.zeros(2, 3, 9, 10)).shape)
        (2, 16, 9, 10)
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),  # the normalisation has the bias
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
