"""The arithmetic of `lessons_lib.shapes` against torch: sizes, errors, gradients, counted operations."""

import random

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from lessons_lib import shapes
from lessons_lib.shapes import Layer


def torch_conv(size, kernel_size, stride, padding, dilation):
    images, weight = torch.zeros(1, 1, *size), torch.zeros(1, 1, *kernel_size)
    return functional.conv2d(images, weight, None, stride, padding, dilation)


def torch_pool(size, kernel_size, stride, padding, dilation, ceil_mode):
    return functional.max_pool2d(torch.zeros(1, 1, *size), kernel_size, stride, padding, dilation, ceil_mode)


def torch_transposed(size, kernel_size, stride, padding, output_padding, dilation):
    # float64 runs torch's own kernel: oneDNN's float32 one lets outputs of 0 px pass, this one refuses them
    images = torch.zeros(1, 1, *size, dtype=torch.float64)
    weight = torch.zeros(1, 1, *kernel_size, dtype=torch.float64)
    return functional.conv_transpose2d(images, weight, None, stride, padding, output_padding, 1, dilation)


def random_pair(draw, low, high):
    return draw.randint(low, high), draw.randint(low, high)


def output_or_none(compute, *settings):
    """(height, width) that `compute` returns for the settings, None where it refuses them."""
    try:
        output = compute(*settings)
    except (RuntimeError, ValueError):
        return None
    return tuple(output.shape[2:]) if isinstance(output, torch.Tensor) else output


def assert_equal_to_torch(ours, theirs, random_settings):
    """Compare 1000 drawn settings and make sure that the draw holds many valid and many invalid ones."""
    draw = random.Random(0)
    outputs = []
    for _ in range(1000):
        settings = random_settings(draw)
        expected = output_or_none(theirs, *settings)
        assert output_or_none(ours, *settings) == expected, settings
        outputs.append(expected)
    assert 200 < sum(output is None for output in outputs) < 800


def test_conv_output_equals_torch():
    def settings(draw):
        size, kernel_size, stride, padding, dilation = (
            random_pair(draw, low, high) for low, high in [(1, 12), (1, 5), (1, 4), (0, 3), (1, 3)]
        )
        if draw.random() < 0.2:  # one setting out of range
            stride, padding, dilation = draw.choice(
                [((0, 1), padding, dilation), (stride, (1, -1), dilation), (stride, padding, (1, 0))]
            )
        return size, kernel_size, stride, padding, dilation

    assert_equal_to_torch(shapes.conv_output, torch_conv, settings)


def test_pool_output_equals_torch():
    def settings(draw):
        size, kernel_size, stride, padding, dilation = (
            random_pair(draw, low, high) for low, high in [(1, 12), (1, 5), (1, 4), (0, 2), (1, 2)]
        )
        if draw.random() < 0.1:  # one setting out of range
            kernel_size, padding, dilation = draw.choice(
                [
                    ((0, 1), padding, dilation),
                    (kernel_size, (1, -1), dilation),
                    (kernel_size, padding, (1, 0)),
                ]
            )
        return size, kernel_size, stride, padding, dilation, draw.random() < 0.5

    assert_equal_to_torch(shapes.pool_output, torch_pool, settings)


def test_transposed_output_equals_torch():
    def settings(draw):
        size, kernel_size, stride, padding, output_padding, dilation = (
            random_pair(draw, low, high) for low, high in [(1, 6), (1, 5), (1, 4), (0, 3), (0, 2), (1, 3)]
        )
        if draw.random() < 0.1:  # one setting out of range
            stride, padding, output_padding = draw.choice(
                [((0, 1), padding, output_padding), (stride, (1, -1), (0, 0)), (stride, padding, (-1, 0))]
            )
        return size, kernel_size, stride, padding, output_padding, dilation

    assert_equal_to_torch(shapes.transposed_output, torch_transposed, settings)


def test_ints_give_an_int_and_pairs_stay_in_their_axis():
    assert shapes.conv_output(7, 3, 2) == 3
    assert shapes.conv_output((7, 9), 3, 2) == (3, 4)
    assert shapes.conv_output(7, (3, 5), 2) == (3, 2)
    assert shapes.pool_output((7, 9), 2, ceil_mode=True) == (4, 5)
    assert shapes.transposed_output((2, 3), 3, stride=(2, 1), padding=1) == (3, 3)


def test_pool_stride_defaults_to_the_window():
    assert shapes.pool_output(9, 3) == shapes.pool_output(9, 3, stride=3) == 3


def test_convolution_undoes_transposed_convolution():
    for output_padding in range(3):
        size = shapes.transposed_output(5, 4, stride=3, padding=1, output_padding=output_padding)
        assert shapes.conv_output(size, 4, stride=3, padding=1) == 5


@pytest.mark.parametrize(
    ("function", "settings", "message"),
    [
        (shapes.conv_output, (0, 3), "size must be at least 1; got 0; use 1 or more"),
        (shapes.conv_output, (5, 3, (1, 0)), "stride must be at least 1; got 0; use 1 or more"),
        (shapes.conv_output, (5, 3, 1, -1), "padding must be at least 0; got -1; use 0 or more"),
        (
            shapes.conv_output,
            (4, 3, 1, 0, 2),
            "spans 5 px, size 4 with padding 0 has 4 px; .* padding 1 or more",
        ),
        (shapes.pool_output, (9, 3, 1, 2), "at most half .* got padding 2 for kernel_size 3; use padding 1"),
        (shapes.pool_output, (2, 3), "the window must fit .* use a smaller kernel_size"),
        (shapes.transposed_output, (2, 3, 2, 1, 2), "smaller than stride or dilation; .* use 1 or less"),
        (shapes.transposed_output, (2, 3, 1, 2), "padding 2 cuts 4 px from 4 px; use padding 1 or less"),
        (shapes.parameters, (4, 6, 3, 4), "groups 4 for 4 -> 6 channels; choose a common divisor"),
        (shapes.multiplications, ((8, 0), 4, 6, 3), r"size must be at least 1; got \(8, 0\)"),
    ],
)
def test_errors_name_rule_value_and_remedy(function, settings, message):
    with pytest.raises(ValueError, match=message):
        function(*settings)


def test_the_padding_that_an_error_proposes_is_the_smallest_that_works():
    for size, kernel_size, dilation, padding in [(4, 3, 2, 1), (1, 5, 1, 2), (2, 5, 1, 2), (3, 4, 3, 4)]:
        with pytest.raises(ValueError, match=f"padding {padding} or more"):
            shapes.conv_output(size, kernel_size, 1, padding - 1, dilation)
        assert shapes.conv_output(size, kernel_size, 1, padding, dilation) >= 1


def reached_by_gradient(layers, size, position):
    """First and last input px with a gradient from one output px of convolutions of ones."""
    line = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
    output = line
    for layer in layers:
        weight = torch.ones(1, 1, layer.kernel_size, dtype=torch.float64)
        output = functional.conv1d(output, weight, None, layer.stride, layer.padding, layer.dilation)
    output[0, 0, output.shape[-1] // 2 + position].backward()
    reached = line.grad[0, 0].nonzero().flatten().tolist()
    return reached[0], reached[-1]


def test_receptive_field_and_jump_equal_the_gradient_of_an_output_pixel():
    draw = random.Random(0)
    for _ in range(30):
        layers = [
            Layer(draw.randint(1, 5), draw.randint(1, 2), draw.randint(0, 2), draw.randint(1, 3))
            for _ in range(draw.randint(1, 5))
        ]
        size = 4 * shapes.receptive_field(layers) + 4 * shapes.jump(layers)
        first, last = reached_by_gradient(layers, size, position=0)
        next_first, _ = reached_by_gradient(layers, size, position=1)
        assert first > 0 and last < size - 1, "the border cuts the field: use a longer line"
        assert last - first + 1 == shapes.receptive_field(layers)
        assert next_first - first == shapes.jump(layers)


def test_a_stack_of_no_layers_sees_its_own_pixel():
    assert (shapes.receptive_field([]), shapes.jump([])) == (1, 1)


def random_channels(draw):
    groups = draw.randint(1, 3)
    return groups * draw.randint(1, 4), groups * draw.randint(1, 4), groups


def test_multiplications_and_parameters_of_a_convolution_equal_torch_counts():
    draw = random.Random(0)
    for _ in range(50):
        in_channels, out_channels, groups = random_channels(draw)
        kernel_size, size, bias = random_pair(draw, 1, 4), random_pair(draw, 4, 9), draw.random() < 0.5
        layer = torch.nn.Conv2d(in_channels, out_channels, kernel_size, padding=1, groups=groups, bias=bias)
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(1, in_channels, *size))
        output = shapes.conv_output(size, kernel_size, padding=1)
        counted = shapes.multiplications(output, in_channels, out_channels, kernel_size, groups)
        assert 2 * counted == counter.get_total_flops()
        assert shapes.parameters(in_channels, out_channels, kernel_size, groups, bias) == sum(
            parameter.numel() for parameter in layer.parameters()
        )


def test_multiplications_of_a_transposed_convolution_equal_torch_counts():
    draw = random.Random(1)
    for _ in range(20):
        in_channels, out_channels, groups = random_channels(draw)
        kernel_size, size = random_pair(draw, 1, 4), random_pair(draw, 1, 6)
        layer = torch.nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride=2, groups=groups)
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(1, in_channels, *size))
        counted = shapes.multiplications(size, in_channels, out_channels, kernel_size, groups)
        assert 2 * counted == counter.get_total_flops()


def test_an_int_size_is_a_square():
    assert shapes.multiplications(8, 3, 4, 3) == shapes.multiplications((8, 8), 3, 4, (3, 3))
