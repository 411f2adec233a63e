"""The operators of `lessons_lib.upsampling` against torch's, against their definition as a loop, and by algebra."""

import random
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from lessons_lib import upsampling
from lessons_lib.models.blocks import pad_edges
from lessons_lib.shapes import conv_output
from tools import bench_upsampling

FACTORS = (1, 2, 3, 4)
SIZES = ((1, 1), (1, 4), (3, 2), (5, 6))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def maps_of(channels, size, batch=2):
    return torch.randn(batch, channels, *size, dtype=torch.float64, requires_grad=True)


def assert_equal_with_gradients(ours, theirs, *inputs):
    """Compare two functions of the same tensors: their outputs, and what flows back to every input."""
    mine, expected = ours(*inputs), theirs(*inputs)
    torch.testing.assert_close(mine, expected)
    flow = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(mine, inputs, flow), torch.autograd.grad(expected, inputs, flow))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", SIZES)
def test_fixed_upsamplers_equal_torch(factor, size):
    maps = maps_of(3, size)
    one_nail = torch.zeros(3, 1, factor, factor, dtype=torch.float64)
    one_nail[..., 0, 0] = 1
    theirs = {
        upsampling.nearest: lambda x: F.interpolate(x, scale_factor=factor),
        upsampling.bilinear: lambda x: F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False),
        upsampling.bed_of_nails: lambda x: F.conv_transpose2d(x, one_nail, stride=factor, groups=3),
    }
    for ours, expected in theirs.items():
        assert_equal_with_gradients(lambda x, ours=ours: ours(x, factor), expected, maps)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", SIZES)
def test_subpixel_equals_torch(factor, size):
    maps = maps_of(2 * factor**2, size)
    assert_equal_with_gradients(lambda x: upsampling.subpixel(x, factor), lambda x: F.pixel_shuffle(x, factor), maps)


@pytest.mark.parametrize("kernel", (1, 2, 3))
@pytest.mark.parametrize("size", ((3, 3), (4, 7), (9, 6)))
@pytest.mark.parametrize("ties", (False, True))
def test_max_pooling_and_unpooling_equal_torch(kernel, size, ties):
    maps = maps_of(2, size)
    if ties:
        maps = maps.detach().round().requires_grad_()
    expected, there = F.max_pool2d(maps, kernel, return_indices=True)
    pooled, positions = upsampling.max_pool_with_positions(maps, kernel)
    assert positions.dtype == torch.int64
    assert torch.equal(positions, there)
    assert_equal_with_gradients(
        lambda x: upsampling.max_pool_with_positions(x, kernel)[0], lambda x: F.max_pool2d(x, kernel), maps
    )
    assert_equal_with_gradients(
        lambda x: upsampling.max_unpool(x, positions, size),
        lambda x: F.max_unpool2d(x, positions, kernel, output_size=size),
        torch.randn_like(pooled, requires_grad=True),
    )
    assert torch.equal(pooled, expected)


def test_unpooling_undoes_nothing_but_the_maxima():
    maps = torch.rand(2, 3, 6, 8)
    pooled, positions = upsampling.max_pool_with_positions(maps)
    back = upsampling.max_unpool(pooled, positions, (6, 8))
    kept = back != 0
    assert kept.sum() == pooled.numel()
    assert torch.equal(back[kept], maps[kept])
    assert torch.equal(upsampling.max_pool_with_positions(back)[0], pooled)


def stamped_by_definition(image, kernel, stride, padding, output_padding, dilation):
    """O(x, y) = sum of I(i, j) K(x - i s, y - j s), K between dilated weights and beyond its ends 0, then cut."""
    (h, w), (kh, kw) = image.shape, kernel.shape

    def weight(a, b):
        inside = 0 <= a < dilation[0] * kh and 0 <= b < dilation[1] * kw
        on_grid = a % dilation[0] == 0 and b % dilation[1] == 0
        return kernel[a // dilation[0], b // dilation[1]].item() if inside and on_grid else 0.0

    ends = [
        (n - 1) * s + d * (k - 1) + op + 1 - p
        for n, s, d, k, op, p in zip((h, w), stride, dilation, (kh, kw), output_padding, padding)
    ]
    return torch.tensor(
        [
            [
                sum(
                    image[i, j].item() * weight(x - i * stride[0], y - j * stride[1])
                    for i, j in product(range(h), range(w))
                )
                for y in range(padding[1], ends[1])
            ]
            for x in range(padding[0], ends[0])
        ],
        dtype=image.dtype,
    )


def random_settings(draw, invalid=False):
    """Size, kernel_size, and stride, padding, output_padding, dilation, each a (height, width) pair."""
    settings = [
        tuple(draw.randint(low, high) for _ in range(2))
        for low, high in [(1, 5), (1, 4), (1, 4), (0, 3), (0, 2), (1, 3)]
    ]
    if invalid and draw.random() < 0.2:  # one setting out of range
        settings[draw.choice((2, 3, 4, 5))] = draw.choice(((0, 1), (1, -1)))
    return settings


def attempt(function, *arguments):
    """What a function returns, None where it refuses the settings."""
    try:
        return function(*arguments)
    except (ValueError, RuntimeError):
        return None


def torch_transposed(maps, weight, stride, padding, output_padding, dilation):
    # in float64: oneDNN's float32 kernel lets outputs of 0 px pass
    return F.conv_transpose2d(maps, weight, None, stride, padding, output_padding, 1, dilation)


def test_transposed_convolution_equals_torch_on_random_settings():
    draw = random.Random(0)
    refused = 0
    for _ in range(1000):
        size, kernel_size, *settings = random_settings(draw, invalid=True)
        maps = maps_of(2, size)
        weight = torch.randn(2, 3, *kernel_size, dtype=torch.float64, requires_grad=True)
        if attempt(torch_transposed, maps, weight, *settings) is None:
            refused += 1
            with pytest.raises(ValueError, match=r"; use .* or (more|less)"):
                upsampling.transposed_convolution(maps, weight, *settings)
        else:
            assert_equal_with_gradients(
                lambda x, k, settings=settings: upsampling.transposed_convolution(x, k, *settings),
                lambda x, k, settings=settings: torch_transposed(x, k, *settings),
                maps,
                weight,
            )
    assert 200 < refused < 600


def test_transposed_convolution_equals_the_definition():
    draw = random.Random(1)
    compared = 0
    while compared < 200:
        size, kernel_size, *settings = random_settings(draw)
        image, kernel = torch.randn(size, dtype=torch.float64), torch.randn(kernel_size, dtype=torch.float64)
        ours = attempt(upsampling.transposed_convolution, image[None, None], kernel[None, None], *settings)
        if ours is not None:
            torch.testing.assert_close(ours[0, 0], stamped_by_definition(image, kernel, *settings))
            compared += 1


def test_the_lectures_example():
    maps, weight = torch.tensor([[[[0.0, 1], [2, 3]]]]), torch.tensor([[[[4.0, 1], [2, 3]]]])
    expected = [[0, 4, 1], [8, 16, 6], [4, 12, 9]]
    assert upsampling.transposed_convolution(maps, weight)[0, 0].tolist() == expected
    assert stamped_by_definition(maps[0, 0], weight[0, 0], *[(1, 1), (0, 0), (0, 0), (1, 1)]).tolist() == expected
    doubled = upsampling.transposed_convolution(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 3, 3), 2, 1, 1)
    assert doubled.shape[2:] == (4, 4)


def test_settings_are_ints_or_pairs():
    maps, weight = maps_of(2, (3, 4)), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    assert torch.equal(
        upsampling.transposed_convolution(maps, weight, 3, 2, 1, 2),
        upsampling.transposed_convolution(maps, weight, (3, 3), (2, 2), (1, 1), (2, 2)),
    )


def test_it_is_the_adjoint_of_the_convolution():
    """<conv(x), y> = <x, transposed(y)>, once output_padding says which of the possible sizes x has."""
    draw = random.Random(2)
    compared, padded = 0, 0
    while compared < 500:
        size, kernel_size, stride, padding, _, dilation = random_settings(draw)
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        weight = torch.randn(4, 3, *kernel_size, dtype=torch.float64)  # a convolution's: (out, in, height, width)
        small = attempt(conv_output, size, kernel_size, stride, padding, dilation)
        if small is None:
            continue
        y = torch.randn(2, 4, *small, dtype=torch.float64)
        left_over = tuple(  # px at the end that the last position of the kernel does not reach
            (n + 2 * p - d * (k - 1) - 1) % s for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation)
        )
        back = upsampling.transposed_convolution(y, weight, stride, padding, left_over, dilation)
        assert back.shape == x.shape
        forth = F.conv2d(x, weight, None, stride, padding, dilation)
        torch.testing.assert_close((forth * y).sum(), (x * back).sum())
        compared += 1
        padded += any(left_over)
    assert 100 < padded < 400


@pytest.mark.parametrize("size", ((4, 4), (5, 3), (1, 6)))
@pytest.mark.parametrize(("stride", "padding"), ((1, 0), (1, 1), (2, 1), ((2, 3), (1, 2))))
def test_it_is_the_transpose_of_the_convolutions_matrix(size, stride, padding):
    weight = torch.randn(1 if size[0] == 1 else 3, 3, dtype=torch.float64)
    matrix = upsampling.convolution_matrix(weight, size, stride, padding)
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    forth = F.conv2d(x, weight[None, None], stride=stride, padding=padding)
    assert matrix.shape == (forth.numel(), x.numel())
    torch.testing.assert_close(matrix @ x.flatten(), forth.flatten())
    y = torch.randn_like(forth)
    _, gradient = torch.autograd.functional.vjp(
        lambda x: F.conv2d(x, weight[None, None], stride=stride, padding=padding), x, y
    )
    torch.testing.assert_close(matrix.T @ y.flatten(), gradient.flatten())
    back = upsampling.transposed_convolution(y, weight[None, None], stride, padding)
    smaller = gradient[..., : back.shape[2], : back.shape[3]]  # without output_padding the last px may be missing
    torch.testing.assert_close(back, smaller)


@pytest.mark.parametrize("kernel_size", (1, 2, 3, 5))
@pytest.mark.parametrize("stride", (1, 2, 3))
def test_it_is_a_convolution_of_the_zero_stuffed_maps(kernel_size, stride):
    maps = maps_of(2, (3, 4))
    weight = torch.randn(2, 3, kernel_size, kernel_size, dtype=torch.float64)
    stuffed = upsampling.zero_stuffed(maps, stride)
    assert stuffed.shape[2:] == (2 * stride + 1, 3 * stride + 1)
    turned = weight.transpose(0, 1).flip(2, 3)
    torch.testing.assert_close(
        upsampling.transposed_convolution(maps, weight, stride),
        F.conv2d(stuffed, turned, padding=kernel_size - 1),
    )


@pytest.mark.parametrize("stride", (1, 2, 3, 4, 5, 8, 16, 32))
def test_bilinear_kernel_interpolates_bilinearly(stride):
    maps = torch.rand(2, 1, 5, 4, dtype=torch.float64)
    kernel = upsampling.bilinear_kernel(stride)
    assert kernel.dtype == torch.float32
    assert kernel.shape == (2 * stride - stride % 2,) * 2
    torch.testing.assert_close(kernel.sum(), torch.tensor(float(stride**2)))
    weight, expected = kernel.double()[None, None], upsampling.bilinear(maps, stride)
    plain = upsampling.transposed_convolution(maps, weight, stride, padding=stride // 2)
    assert plain.shape == expected.shape
    inside = slice(stride // 2, -(stride // 2) or None)
    torch.testing.assert_close(plain[..., inside, inside], expected[..., inside, inside], rtol=0, atol=1e-6)
    if stride > 1:
        assert (plain - expected)[..., 0, :].abs().min() > 0.001
    edges_repeated = upsampling.transposed_convolution(pad_edges(maps, 1), weight, stride, stride + stride // 2)
    torch.testing.assert_close(edges_repeated, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kernel_size", (1, 2, 3, 4, 6))
@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("size", (1, 2, 7))
def test_overlap_counts_the_copies(kernel_size, stride, size):
    ones, weight = torch.ones(1, 1, size, size), torch.ones(1, 1, kernel_size, kernel_size)
    counts = upsampling.overlap((size, size), kernel_size, stride)
    assert torch.equal(counts.float(), F.conv_transpose2d(ones, weight, stride=stride)[0, 0])
    row = upsampling.overlap(size, kernel_size, stride)
    assert torch.equal(counts, torch.outer(row, row))
    inside = row[kernel_size - 1 : len(row) - kernel_size + 1]
    if len(inside) >= stride:
        assert (len(inside.unique()) == 1) == (kernel_size % stride == 0)  # even where the stride divides the kernel


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
def test_the_type_of_the_maps_stays(dtype):
    maps, weight = torch.rand(1, 4, 3, 3).to(dtype), torch.rand(4, 2, 3, 3).to(dtype)
    for result in (
        upsampling.nearest(maps),
        upsampling.bed_of_nails(maps),
        upsampling.bilinear(maps),
        upsampling.subpixel(maps),
        upsampling.transposed_convolution(maps, weight, stride=2),
        upsampling.max_pool_with_positions(maps)[0],
    ):
        assert result.dtype == dtype


MAPS = torch.rand(1, 3, 4, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: upsampling.nearest(MAPS[0]), r"maps must be \(B, C, H, W\); got shape \(3, 4, 4\); add the axes"),
        (lambda: upsampling.nearest(MAPS, 0), "factor must be at least 1; got 0; use 1 or more"),
        (lambda: upsampling.bilinear(MAPS, 0), "factor must be at least 1; got 0; use 1 or more"),
        (lambda: upsampling.zero_stuffed(MAPS, 0), "stride must be at least 1; got 0; use 1 or more"),
        (lambda: upsampling.bilinear_kernel(0), "stride must be at least 1; got 0; use 1 or more"),
        (lambda: upsampling.overlap(0, 3, 2), "size must be at least 1; got 0; use 1 or more"),
        (lambda: upsampling.subpixel(MAPS), "multiple of factor.2; got 3 channels for factor 2; use 4 channels"),
        (lambda: upsampling.max_pool_with_positions(MAPS, 5), "the window must fit in the padded input; kernel_size 5"),
        (
            lambda: upsampling.max_unpool(MAPS, torch.zeros(1, 3, 2, 2, dtype=torch.int64), (8, 8)),
            r"needs one position; got positions \(1, 3, 2, 2\) for maps \(1, 3, 4, 4\); take those of the pooling",
        ),
        (
            lambda: upsampling.max_unpool(MAPS, torch.full((1, 3, 4, 4), 63), (7, 8)),
            "must lie in the output; got 63 to 63, size 7 x 8 has 0 to 55; use the size that the pooling layer saw",
        ),
        (
            lambda: upsampling.transposed_convolution(MAPS, torch.rand(2, 3, 3, 3)),
            r"got \(2, 3, 3, 3\) for maps with 3 channels; put the axis of these channels first",
        ),
        (
            lambda: upsampling.transposed_convolution(MAPS, torch.rand(3, 2, 3, 3), stride=2, output_padding=2),
            "output_padding must be smaller than stride or dilation; got output_padding 2 for stride 2",
        ),
        (
            lambda: upsampling.transposed_convolution(MAPS, torch.rand(3, 2, 3, 3), padding=3),
            "padding must leave at least 1 px of the output; padding 3 cuts 6 px from 6 px; use padding 2 or less",
        ),
        (lambda: upsampling.convolution_matrix(torch.rand(1, 1, 3, 3), 4), r"got \(1, 1, 3, 3\); pick one pair"),
        (lambda: upsampling.convolution_matrix(torch.rand(3, 3), 2), "the kernel must fit in the padded input"),
    ],
)
def test_error_texts(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_benchmark_prints_a_row_for_every_operator(monkeypatch, capsys):
    monkeypatch.setattr(bench_upsampling, "MAPS", (1, 4, 3, 5))
    monkeypatch.setattr(bench_upsampling, "ROUNDS", 1)
    threads = torch.get_num_threads()
    bench_upsampling.main()
    torch.set_num_threads(threads)
    rows = capsys.readouterr().out.splitlines()[3:]
    assert [row[:24].strip() for row in rows] == list(bench_upsampling.operators())
    assert all(float(number) >= 0 for row in rows for number in row[24:].split())
