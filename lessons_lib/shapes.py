"""Sizes, receptive fields and costs of convolution, pooling and transposed convolution, in whole numbers.

Sizes are in px, settings as in torch. Every size and setting is an int or a pair (height, width); an int
stands for both axes. A size function returns an int when all its arguments are ints, otherwise a pair.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

Pair = tuple[int, int]


class Layer(NamedTuple):
    """One convolution or pooling layer along one axis, in the argument order of `conv_output`.

    Example:
        >>> conv_output(96, *Layer(kernel_size=3, stride=2, padding=1))
        48
    """

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def conv_output(
    size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> int | Pair:
    """Size of a convolution's output: how many kernel positions fit in the padded input.

    Args:
        size: input size in px.
        kernel_size: weights along the axis.
        stride: input px that the kernel moves for each output px.
        padding: px added on each side.
        dilation: px between neighbouring weights.

    Returns:
        Output size in px, at least 1.

    Raises:
        ValueError: if a setting is out of range, or the kernel does not fit in the padded input.

    Source:
        Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285,
        relation 15.

    Example:
        >>> conv_output(4, kernel_size=3, stride=2, padding=1)
        2
        >>> conv_output((96, 64), kernel_size=(3, 5), stride=2)
        (47, 30)
    """
    return _per_axis(_conv_axis, size, kernel_size, stride, padding, dilation)


def pool_output(
    size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> int | Pair:
    """Size of a pooling layer's output.

    Args:
        size: input size in px.
        kernel_size: px along the window.
        stride: input px that the window moves for each output px; None moves it by `kernel_size`.
        padding: px added on each side, at most half of `kernel_size`.
        dilation: px between neighbouring px of the window.
        ceil_mode: True keeps a last window that runs over the end, if it starts inside the input or the
            padding before it.

    Returns:
        Output size in px, at least 1.

    Raises:
        ValueError: if a setting is out of range, the padding is more than half of the window, or no window
            fits.

    Example:
        >>> pool_output(5, kernel_size=2), pool_output(5, kernel_size=2, ceil_mode=True)
        (2, 3)
    """
    stride = kernel_size if stride is None else stride
    return _per_axis(_pool_axis, size, kernel_size, stride, padding, dilation, int(ceil_mode))


def transposed_output(
    size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> int | Pair:
    """Size of a transposed convolution's output: equations (1) and (2) of the lecture, one for each axis.

    Args:
        size: input size in px.
        kernel_size: weights along the axis.
        stride: output px between the kernel copies of neighbouring input px.
        padding: px cut off from each side of the output.
        output_padding: px added at the end of the output; it chooses among the sizes that the convolution
            with these settings maps to `size`.
        dilation: px between neighbouring weights.

    Returns:
        Output size in px, at least 1.

    Raises:
        ValueError: if a setting is out of range, `output_padding` is not smaller than stride or dilation, or
            the padding cuts the whole output away.

    Example:
        >>> transposed_output(2, kernel_size=3, stride=2, padding=1, output_padding=1)
        4
    """
    return _per_axis(_transposed_axis, size, kernel_size, stride, padding, output_padding, dilation)


def receptive_field(layers: Iterable[Layer]) -> int:
    """Width of the input region that one output px of a stack of layers can see.

    Args:
        layers: from the input to the output.

    Returns:
        Width along the axis in px; 1 for no layers.

    Source:
        Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019,
        equation 2.

    Example:
        >>> receptive_field([Layer(3), Layer(3)]), receptive_field([Layer(3), Layer(2, stride=2), Layer(3)])
        (5, 8)
    """
    seen, step = 1, 1
    for layer in layers:
        seen += step * (_extent(layer.kernel_size, layer.dilation) - 1)
        step *= layer.stride
    return seen


def jump(layers: Iterable[Layer]) -> int:
    """Distance in the input between the centres that neighbouring output px of a stack of layers see.

    Args:
        layers: from the input to the output.

    Returns:
        Distance in px, the product of the strides (the stack's output stride); 1 for no layers.

    Example:
        >>> jump([Layer(3), Layer(2, stride=2), Layer(3, stride=2)])
        4
    """
    step = 1
    for layer in layers:
        step *= layer.stride
    return step


def multiplications(
    size: int | Pair, in_channels: int, out_channels: int, kernel_size: int | Pair, groups: int = 1
) -> int:
    """Multiplications that one image costs in one convolution, counting each use of a weight as one.

    Products with padding zeros count; additions and the bias do not.

    Args:
        size: places where the kernel is laid down: the output size in px of a convolution, the input size in
            px of a transposed convolution.
        in_channels: channels that come in.
        out_channels: channels that go out.
        kernel_size: weights along each axis.
        groups: parts that the channels fall into; each output channel sees only its own part.

    Returns:
        Number of multiplications.

    Raises:
        ValueError: if a value is smaller than 1, or `groups` does not divide both channel counts.

    Example:
        >>> multiplications(96, in_channels=3, out_channels=16, kernel_size=3)
        3981312
    """
    _check_at_least(1, size=size)
    height, width = _pair(size)
    return height * width * parameters(in_channels, out_channels, kernel_size, groups, bias=False)


def parameters(in_channels: int, out_channels: int, kernel_size: int | Pair, groups: int = 1, bias: bool = True) -> int:
    """Parameters of one convolution or transposed convolution.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        kernel_size: weights along each axis.
        groups: parts that the channels fall into; each output channel sees only its own part.
        bias: True counts one bias for each output channel.

    Returns:
        Number of parameters.

    Raises:
        ValueError: if a value is smaller than 1, or `groups` does not divide both channel counts.

    Example:
        >>> parameters(in_channels=3, out_channels=16, kernel_size=3)
        448
    """
    _check_at_least(1, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, groups=groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide in_channels and out_channels; got groups {groups} for {in_channels} -> "
            f"{out_channels} channels; choose a common divisor of both"
        )
    height, width = _pair(kernel_size)
    return out_channels * (in_channels // groups * height * width + bias)


def _conv_axis(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
    _check_axis(size, kernel_size, stride, padding, dilation)
    extent, padded = _extent(kernel_size, dilation), size + 2 * padding
    if extent > padded:
        raise ValueError(
            f"the kernel must fit in the padded input; kernel_size {kernel_size} with dilation {dilation} "
            f"spans {extent} px, size {size} with padding {padding} has {padded} px; use a smaller "
            f"kernel_size or dilation, or padding {-(-(extent - size) // 2)} or more"
        )
    return (padded - extent) // stride + 1


def _pool_axis(size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: int) -> int:
    _check_axis(size, kernel_size, stride, padding, dilation)
    if padding > kernel_size // 2:
        raise ValueError(
            f"pooling padding must be at most half of the window; got padding {padding} for kernel_size "
            f"{kernel_size}; use padding {kernel_size // 2} or less"
        )
    extent, padded = _extent(kernel_size, dilation), size + 2 * padding
    positions = (padded - extent + ceil_mode * (stride - 1)) // stride + 1
    if ceil_mode and (positions - 1) * stride >= size + padding:
        positions -= 1  # this window would start in the padding after the input
    if positions < 1:
        raise ValueError(
            f"the window must fit in the padded input; kernel_size {kernel_size} with dilation {dilation} "
            f"spans {extent} px, size {size} with padding {padding} has {padded} px; use a smaller "
            f"kernel_size or dilation"
        )
    return positions


def _transposed_axis(size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int) -> int:
    _check_axis(size, kernel_size, stride, padding, dilation)
    _check_at_least(0, output_padding=output_padding)
    if output_padding >= max(stride, dilation):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation; got output_padding {output_padding} "
            f"for stride {stride} and dilation {dilation}; use {max(stride, dilation) - 1} or less"
        )
    output = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    if output < 1:
        raise ValueError(
            f"padding must leave at least 1 px of the output; padding {padding} cuts {2 * padding} px from "
            f"{output + 2 * padding} px; use padding {(output + 2 * padding - 1) // 2} or less"
        )
    return output


def _extent(kernel_size: int, dilation: int) -> int:
    """Input px from a kernel's first to its last weight, both included."""
    return dilation * (kernel_size - 1) + 1


def _check_axis(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)


def _check_at_least(minimum: int, **values: int | Pair) -> None:
    for name, value in values.items():
        if min(_pair(value)) < minimum:
            raise ValueError(f"{name} must be at least {minimum}; got {value}; use {minimum} or more")


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value)


def _per_axis(formula: Callable[..., int], *values: int | Pair) -> int | Pair:
    """Apply a one-axis formula once if all values are ints, otherwise to the heights and to the widths."""
    if all(isinstance(value, int) for value in values):
        return formula(*values)
    heights, widths = zip(*(_pair(value) for value in values), strict=True)
    return formula(*heights), formula(*widths)
