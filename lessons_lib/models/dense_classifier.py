"""An image classifier asked at every place of a picture: class maps at strides 32, 16 and 8."""

import torch
from torch import nn

from lessons_lib.models.efficientnet import STAGES, EfficientNetLite0
from lessons_lib.shapes import Layer

LEVELS = {32: 7, 16: 5, 8: 3}  # stride: stages that run before the maps are shifted


@torch.no_grad()
def dense_logits(network: EfficientNetLite0, images: torch.Tensor, stride: int = 32) -> torch.Tensor:
    """Classify every place of images: the classifier as a 1x1 convolution, before the average and not after it.

    A stride below 32 shifts and stitches: it moves the picture by `stride` px at a time, asks for the map of stride
    32 each time, and interleaves the maps. The move is made late, where it costs least: one px of a map at 1/16 is
    16 px of the picture. Where padding does not reach, that is the same number.

    Args:
        network: in evaluation mode.
        images: (B, 3, H, W) in [0, 1], of any size.
        stride: px of the picture from cell to cell, 32, 16 or 8.

    Returns:
        Logits (B, 1000, h, w) with h = H / stride and w = W / stride, rounded up. Every second cell of stride 16 is
        a cell of stride 32. The mean over all cells of stride 32 is `network(images)`.

    Raises:
        ValueError: if the stride is none of these.

    Source:
        Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, sections
        3.1 and 3.2.

    Example:
        >>> dense_logits(EfficientNetLite0().eval(), torch.zeros(1, 3, 65, 97), stride=16).shape
        torch.Size([1, 1000, 5, 7])
    """
    if stride not in LEVELS:
        raise ValueError(f"a stride is one of {', '.join(map(str, LEVELS))} px: got {stride}; choose one of these")
    before, after = network.stages[: LEVELS[stride]], network.stages[LEVELS[stride] :]
    maps = nn.Sequential(network.stem, *before)((images * 255 - 127) / 128)  # (B, C, h, w)
    rest = nn.Sequential(*after, network.top)
    weight, bias = network.classifier.weight, network.classifier.bias
    (rows, columns), shifts = maps.shape[2:], 32 // stride
    padded = nn.functional.pad(maps, (0, shifts - 1, 0, shifts - 1))  # zeros follow, as in every convolution here
    logits = maps.new_empty(len(maps), len(weight), *(-(-size // shifts) * shifts for size in (rows, columns)))
    for down in range(shifts):
        for right in range(shifts):
            seen = rest(padded[:, :, down : down + rows, right : right + columns])  # (B, 1280, H / 32, W / 32)
            dense = nn.functional.conv2d(seen, weight[:, :, None, None], bias)  # (B, 1000, H / 32, W / 32)
            logits[:, :, down::shifts, right::shifts] = dense
    return logits[:, :, :rows, :columns]


def first_centre(size: int) -> int:
    """Say where in the picture the first cell of a map looks; cell i looks `i * stride` px further.

    Padding gives an odd px to the end, so the centre moves wherever a layer of stride 2 meets an even size.

    Args:
        size: of the picture along the axis, px.

    Returns:
        Px in the middle of the first cell's receptive field: 0 for sizes 33, 65, 97 ..., 31 for 32, 64, 96 ...

    Example:
        >>> first_centre(225), first_centre(224)
        (0, 31)
    """
    centre = 0
    for step in (1, 2, 4, 8, 16):
        centre += step * (size % 2 == 0)
        size = -(-size // 2)
    return centre


def layers() -> list[Layer]:
    """List the convolutions of the network that see more than one px, for `shapes.receptive_field`.

    Returns:
        One layer each, from the input to the output, without padding.

    Example:
        >>> from lessons_lib.shapes import jump, receptive_field
        >>> receptive_field(layers()), jump(layers())
        (851, 32)
    """
    found = [Layer(3, 2)]
    for blocks, kernel_size, stride, *_ in STAGES:
        found += [Layer(kernel_size, stride if block == 0 else 1) for block in range(blocks)]
    return found
