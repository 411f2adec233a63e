"""Every way to upsample, written out: what torch's operators compute, small enough to read.

Maps are (B, C, H, W): B batch, C channels, H W size in px. Settings are as in torch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lessons_lib.shapes import Pair, conv_output, pool_output, transposed_output


def nearest(maps: Tensor, factor: int = 2) -> Tensor:
    """Copy every px into a block of factor x factor px.

    Args:
        maps: (B, C, H, W).
        factor: output px for each input px, along both axes.

    Returns:
        (B, C, factor H, factor W).

    Raises:
        ValueError: if `maps` is not (B, C, H, W), or the factor is smaller than 1.

    Example:
        >>> nearest(torch.tensor([[[[1, 2], [3, 4]]]]))[0, 0].tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    """
    _check_maps(maps)
    _check_at_least_1("factor", factor)
    return maps.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def bed_of_nails(maps: Tensor, factor: int = 2) -> Tensor:
    """Put every px into the top left corner of a block of zeros, factor x factor px.

    Args:
        maps: (B, C, H, W).
        factor: output px for each input px, along both axes.

    Returns:
        (B, C, factor H, factor W).

    Raises:
        ValueError: if `maps` is not (B, C, H, W), or the factor is smaller than 1.

    Example:
        >>> bed_of_nails(torch.tensor([[[[1, 2], [3, 4]]]]))[0, 0].tolist()
        [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    """
    _check_maps(maps)
    _check_at_least_1("factor", factor)
    nails = maps.new_zeros(*maps.shape[:2], factor * maps.shape[2], factor * maps.shape[3])
    nails[..., ::factor, ::factor] = maps
    return nails


def max_pool_with_positions(maps: Tensor, kernel: int = 2) -> tuple[Tensor, Tensor]:
    """Keep the largest px of every kernel x kernel block, and remember where it stood.

    Args:
        maps: (B, C, H, W).
        kernel: side of a block in px, and the stride; px that fill no block are left out.

    Returns:
        pooled (B, C, h, w), and positions, int64 (B, C, h, w): row * W + column in `maps`, of the first of equal px.

    Raises:
        ValueError: if `maps` is not (B, C, H, W), or no block fits.

    Example:
        >>> pooled, positions = max_pool_with_positions(torch.tensor([[[[1, 2, 6, 3], [3, 5, 2, 1]]]]))
        >>> pooled.flatten().tolist(), positions.flatten().tolist()
        ([5, 6], [5, 2])
    """
    _check_maps(maps)
    height, width = pool_output(tuple(maps.shape[2:]), kernel)
    blocks = maps.unfold(2, kernel, kernel).unfold(3, kernel, kernel)  # (B, C, h, w, kernel, kernel)
    pooled, place = blocks.flatten(4).max(dim=4)  # (B, C, h, w); place counts from 0 along the rows of a block
    rows = kernel * torch.arange(height, device=maps.device)[:, None] + place // kernel
    columns = kernel * torch.arange(width, device=maps.device) + place % kernel
    return pooled, rows * maps.shape[3] + columns


def max_unpool(maps: Tensor, positions: Tensor, size: Pair) -> Tensor:
    """Put every px back where a max pooling layer found its maximum, and zeros everywhere else.

    Args:
        maps: (B, C, h, w).
        positions: int64 (B, C, h, w), of the pooling layer: row * W + column.
        size: (H, W) in px of what that layer pooled.

    Returns:
        (B, C, H, W).

    Raises:
        ValueError: if the shapes differ, or a position lies outside the size.

    Example:
        >>> max_unpool(torch.tensor([[[[7, 8]]]]), torch.tensor([[[[5, 2]]]]), size=(2, 4))[0, 0].tolist()
        [[0, 0, 8, 0], [0, 7, 0, 0]]
    """
    _check_maps(maps)
    if positions.shape != maps.shape:
        raise ValueError(
            f"every px of maps needs one position; got positions {tuple(positions.shape)} for maps "
            f"{tuple(maps.shape)}; take those of the pooling layer that made maps of this shape"
        )
    height, width = size
    if positions.numel() and not 0 <= positions.min() <= positions.max() < height * width:
        raise ValueError(
            f"positions must lie in the output; got {positions.min()} to {positions.max()}, size {height} x {width} "
            f"has 0 to {height * width - 1}; use the size that the pooling layer saw"
        )
    empty = maps.new_zeros(*maps.shape[:2], height * width)
    return empty.scatter(2, positions.flatten(2), maps.flatten(2)).unflatten(2, (height, width))


def bilinear(maps: Tensor, factor: int = 2) -> Tensor:
    """Mix every output px from the input px round it, the nearer the more; px are squares, not points.

    The middle of output px i lies at (i + 0.5) / factor - 0.5 in the input; beyond the middles of the outermost px
    nothing changes any more. This is what torch calls `align_corners=False`.

    Args:
        maps: (B, C, H, W), floating point.
        factor: output px for each input px, along both axes.

    Returns:
        (B, C, factor H, factor W).

    Raises:
        ValueError: if `maps` is not (B, C, H, W), or the factor is smaller than 1.

    Example:
        >>> bilinear(torch.tensor([[[[0.0, 4.0]]]]))[0, 0].tolist()
        [[0.0, 1.0, 3.0, 4.0], [0.0, 1.0, 3.0, 4.0]]
    """
    _check_maps(maps)
    _check_at_least_1("factor", factor)
    for _ in range(2):  # along the width, then, turned over, along the height
        size = maps.shape[3]
        middles = (torch.arange(factor * size, device=maps.device, dtype=maps.dtype) + 0.5) / factor - 0.5
        middles = middles.clamp(min=0)
        left = middles.long()
        right = (left + 1).clamp(max=size - 1)
        maps = torch.lerp(maps[..., left], maps[..., right], middles - left).mT
    return maps


def transposed_convolution(
    maps: Tensor,
    weight: Tensor,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Stamp a copy of the kernel for every input px, weighted by it, and sum the copies where they overlap.

    Args:
        maps: (B, C, H, W).
        weight: (C, D, kernel height, kernel width), from C to D channels.
        stride: output px between the copies of neighbouring input px.
        padding: px cut off from each side of the output.
        output_padding: px by which the cut at the end is shorter; those beyond the last copy are 0.
        dilation: px between neighbouring weights.

    Returns:
        (B, D, *size) with the size of `shapes.transposed_output`.

    Raises:
        ValueError: if `maps` is not (B, C, H, W), the weight is not for C channels, or the settings allow no output.

    Source:
        Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, chapter 4.

    Example:
        >>> maps, weight = torch.tensor([[[[0, 1], [2, 3]]]]), torch.tensor([[[[4, 1], [2, 3]]]])
        >>> transposed_convolution(maps, weight)[0, 0].tolist()
        [[0, 4, 1], [8, 16, 6], [4, 12, 9]]
    """
    _check_maps(maps)
    if weight.dim() != 4 or len(weight) != maps.shape[1]:
        raise ValueError(
            f"weight must be (channels of maps, channels out, height, width); got {tuple(weight.shape)} for maps with "
            f"{maps.shape[1]} channels; put the axis of these channels first, weight.transpose(0, 1) if it is second"
        )
    size, kernel_size = tuple(maps.shape[2:]), tuple(weight.shape[2:])
    output = transposed_output(size, kernel_size, stride, padding, output_padding, dilation)
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    stamps = torch.einsum("bchw,cdkl->klbdhw", maps, weight)  # every input px (h, w) weights its own copy of the kernel
    canvas = maps.new_zeros(*stamps.shape[2:4], output[0] + 2 * padding[0], output[1] + 2 * padding[1])
    for i, kernel_row in enumerate(stamps):
        for j, stamp in enumerate(kernel_row):  # weight (i, j) of all copies, (B, D, H, W): they lie `stride` apart
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (size[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (size[1] - 1) * stride[1] + 1, stride[1])
            canvas[..., rows, columns] += stamp
    return canvas[..., padding[0] : padding[0] + output[0], padding[1] : padding[1] + output[1]]


def zero_stuffed(maps: Tensor, stride: int) -> Tensor:
    """Put stride - 1 zeros between neighbouring px; outside nothing is added.

    Args:
        maps: (B, C, H, W).
        stride: output px from one input px to the next, along both axes.

    Returns:
        (B, C, stride (H - 1) + 1, stride (W - 1) + 1).

    Raises:
        ValueError: if `maps` is not (B, C, H, W), or the stride is smaller than 1.

    Example:
        >>> zero_stuffed(torch.tensor([[[[1, 2], [3, 4]]]]), stride=2)[0, 0].tolist()
        [[1, 0, 2], [0, 0, 0], [3, 0, 4]]
    """
    _check_at_least_1("stride", stride)
    return bed_of_nails(maps, stride)[..., : stride * (maps.shape[2] - 1) + 1, : stride * (maps.shape[3] - 1) + 1]


def convolution_matrix(weight: Tensor, size: int | Pair, stride: int | Pair = 1, padding: int | Pair = 0) -> Tensor:
    """Write a convolution of one channel as a matrix: it times the input's px, row by row, is the output's px.

    Column i is what the convolution makes of an image that is 1 at px i and 0 elsewhere.

    Args:
        weight: (kernel height, kernel width), floating point.
        size: of the input in px; an int stands for both axes.
        stride: input px that the kernel moves for each output px.
        padding: px of zeros added on each side.

    Returns:
        (h w, H W) for an input of H x W px and an output of h x w px.

    Raises:
        ValueError: if `weight` is not (kernel height, kernel width), or the settings allow no output.

    Example:
        >>> convolution_matrix(torch.tensor([[1.0, 2.0]]), size=(1, 3)).tolist()
        [[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]
    """
    if weight.dim() != 2:
        raise ValueError(
            f"weight must be (kernel height, kernel width), for one channel; got {tuple(weight.shape)}; "
            f"pick one pair of channels, weight[0, 0]"
        )
    height, width = _pair(size)
    conv_output((height, width), tuple(weight.shape), stride, padding)  # raises where nothing fits
    images = torch.eye(height * width, dtype=weight.dtype, device=weight.device).unflatten(1, (1, height, width))
    return F.conv2d(images, weight[None, None], stride=stride, padding=padding).flatten(1).T


def bilinear_kernel(stride: int) -> Tensor:
    """Weights with which a transposed convolution of this stride interpolates bilinearly.

    The kernel is a tent: it falls linearly from its middle and would reach 0 `stride` px away, where the copy of the
    neighbouring input px has its peak. An odd stride gets an odd kernel, so that the tent has a middle px.

    With the padding stride // 2 it equals `bilinear`, except in the outermost stride // 2 px of the output: there the
    copies of px beyond the edge are missing.

    Args:
        stride: output px between neighbouring input px.

    Returns:
        float32 (2 stride - stride % 2, 2 stride - stride % 2); its sum is stride^2.

    Raises:
        ValueError: if the stride is smaller than 1.

    Source:
        Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 3.3.

    Example:
        >>> bilinear_kernel(2)[1].tolist()
        [0.1875, 0.5625, 0.5625, 0.1875]
    """
    _check_at_least_1("stride", stride)
    size = 2 * stride - stride % 2
    tent = 1 - (torch.arange(size) - (size - 1) / 2).abs() / stride  # (size,)
    return tent[:, None] * tent


def overlap(size: int | Pair, kernel_size: int | Pair, stride: int | Pair) -> Tensor:
    """Count the kernel copies that a transposed convolution without padding sums in every output px.

    Args:
        size: input size in px; an int counts along one axis, a pair over the plane.
        kernel_size: weights along each axis.
        stride: output px between the copies of neighbouring input px.

    Returns:
        int64, (output size,) or (output height, output width).

    Raises:
        ValueError: if a value is smaller than 1.

    Example:
        >>> overlap(3, kernel_size=3, stride=2).tolist()
        [1, 1, 2, 1, 2, 1, 1]
        >>> overlap((2, 2), kernel_size=3, stride=2).tolist()[2]
        [2, 2, 4, 2, 2]
    """
    if isinstance(size, tuple):
        rows, columns = map(overlap, size, _pair(kernel_size), _pair(stride))
        return rows[:, None] * columns
    counts = torch.zeros(transposed_output(size, kernel_size, stride), dtype=torch.int64)
    for start in range(0, size * stride, stride):
        counts[start : start + kernel_size] += 1
    return counts


def subpixel(maps: Tensor, factor: int = 2) -> Tensor:
    """Lay the px of factor^2 channels side by side, as one block of factor x factor px.

    Args:
        maps: (B, factor^2 C, H, W); channel 0 gives the top left px of the blocks, channel 1 the one right of it.
        factor: output px for each input px, along both axes.

    Returns:
        (B, C, factor H, factor W).

    Raises:
        ValueError: if `maps` is not (B, C, H, W), the factor is smaller than 1, or the channels do not fill blocks.

    Source:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
        Neural Network", CVPR 2016, equation 4.

    Example:
        >>> subpixel(torch.tensor([1, 2, 3, 4]).view(1, 4, 1, 1))[0, 0].tolist()
        [[1, 2], [3, 4]]
    """
    _check_maps(maps)
    _check_at_least_1("factor", factor)
    if maps.shape[1] % factor**2:
        raise ValueError(
            f"channels must be a multiple of factor^2; got {maps.shape[1]} channels for factor {factor}; "
            f"use {factor**2} channels for each one that goes out"
        )
    blocks = maps.unflatten(1, (-1, factor, factor))  # (B, C, factor, factor, H, W)
    return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)  # (B, C, factor H, factor W)


def _check_maps(maps: Tensor) -> None:
    if maps.dim() != 4:
        raise ValueError(
            f"maps must be (B, C, H, W); got shape {tuple(maps.shape)}; add the axes that are missing with maps[None]"
        )


def _check_at_least_1(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1; got {value}; use 1 or more")


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value)
