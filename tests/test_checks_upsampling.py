"""The checkers of chapter 4 meet the right answer, the stub, and wrong answers that must each hear their own cause."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lessons_lib import shapes
from lessons_lib.checks import upsampling
from lessons_lib.checks.base import Refusal


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_PROGRESS", str(tmp_path / "progress.json"))


# --- the right answers, as a reader would write them ----------------------------------------------------------


def transposed_size(size, kernel_size, stride, padding, output_padding, dilation):
    return (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1


def collapsing_sizes(output, kernel_size, stride, padding):
    first = (output - 1) * stride + kernel_size - 2 * padding
    return [size for size in range(first, first + stride) if size >= 1]


def bed_of_nails(maps, factor):
    batch, channels, height, width = maps.shape
    nails = maps.new_zeros(batch, channels, factor * height, factor * width)
    nails[..., ::factor, ::factor] = maps
    return nails


def max_unpool(maps, positions, size):
    batch, channels = maps.shape[:2]
    rows = maps.new_zeros(batch, channels, size[0] * size[1])
    return rows.scatter_(2, positions.flatten(2), maps.flatten(2)).reshape(batch, channels, *size)


def transposed_convolution(image, kernel, stride, padding, add=True):
    (height, width), (rows, columns) = image.shape, kernel.shape
    output = torch.zeros((height - 1) * stride + rows, (width - 1) * stride + columns)
    for i in range(height):
        for j in range(width):
            place = output[i * stride : i * stride + rows, j * stride : j * stride + columns]
            place.copy_(image[i, j] * kernel + (place if add else 0))
    return output[padding : output.shape[0] - padding, padding : output.shape[1] - padding]


RIGHT = [
    (upsampling.transposed_size, transposed_size),
    (upsampling.collapsing_sizes, collapsing_sizes),
    (upsampling.bed_of_nails, bed_of_nails),
    (upsampling.max_unpool, max_unpool),
    (upsampling.transposed_convolution, transposed_convolution),
]


# --- wrong answers: (exercise, words of the message, answer) --------------------------------------------------


def down(size, kernel_size, stride, padding, output_padding, dilation):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


def first_size(output, kernel_size, stride, padding):
    return (output - 1) * stride + kernel_size - 2 * padding


def some_sizes(below, above, least=1):
    """Sizes from `below` under the first one up to `above` over it, as functions of the stride."""

    def answer(output, kernel_size, stride, padding):
        first = first_size(output, kernel_size, stride, padding)
        return [size for size in range(first - below(stride), first + above(stride)) if size >= least]

    return answer


def nails_by_loop(maps, factor):
    output = maps.new_zeros(*maps.shape[:2], *(factor * side for side in maps.shape[2:]))
    for row in range(maps.shape[2]):
        for column in range(maps.shape[3]):
            output[:, :, factor * row, factor * column] = maps[:, :, row, column]
    return output


def nails_by_while(maps, factor):
    output, row = maps.new_zeros(*maps.shape[:2], *(factor * side for side in maps.shape[2:])), 0
    while row < maps.shape[2]:
        output[:, :, factor * row, ::factor] = maps[:, :, row]
        row += 1
    return output


def nails_by_while_true(maps, factor):
    output, row = maps.new_zeros(*maps.shape[:2], factor * maps.shape[2], factor * maps.shape[3]), 0
    while True:
        output[:, :, factor * row, ::factor] = maps[:, :, row]
        row += 1
        if row == maps.shape[2]:
            return output


def nails_two_apart(maps, factor):
    batch, channels, height, width = maps.shape
    nails = torch.zeros(batch, channels, factor * height, factor * width)
    nails[:, :, ::2, ::2] = maps
    return nails


def nails_of_a_square(maps, factor):
    """Raises in the same case as `nails_two_apart`, for another cause."""
    nails = torch.zeros(*maps.shape[:2], factor * maps.shape[2], factor * maps.shape[2])
    nails[:, :, ::factor, ::factor] = maps
    return nails


def lower_corner(maps, factor):
    return bed_of_nails(maps.flip(2, 3), factor).flip(2, 3)


def zeros_between(maps, factor):
    return F.conv_transpose2d(maps, torch.eye(maps.shape[1])[..., None, None], stride=factor)


def first_channels_positions(maps, positions, size):
    return max_unpool(maps, positions[:, :1].expand_as(positions), size)


def unpool_into_one(maps, positions, size):
    output = maps.new_zeros(*maps.shape[:2], *size)
    output.view(-1)[positions.flatten()] = maps.flatten()
    return output


def unpool_by_index(divisor):
    def answer(maps, positions, size):
        output = maps.new_zeros(*maps.shape[:2], 99, 99)
        images, channels = torch.meshgrid(*map(torch.arange, maps.shape[:2]), indexing="ij")
        width = divisor(maps, size)
        output[images[..., None, None], channels[..., None, None], positions // width, positions % width] = maps
        return output[..., : size[0], : size[1]]

    return answer


def unpool_column_by_column(maps, positions, size):
    height, width = size
    columns, rows = positions // height, positions % height
    return max_unpool(maps, rows * width + columns, size)


def unpool_into_all(which):
    def answer(maps, positions, size):
        output = torch.zeros(maps.shape[0], maps.shape[1], *size)
        rows, columns = positions[which] // size[1], positions[which] % size[1]
        output[:, :, rows, columns] = maps
        return output

    return answer


def unpool_over_the_edge(divisor):
    def answer(maps, positions, size):
        output = torch.zeros(maps.shape[0], maps.shape[1], *size)
        image = torch.arange(maps.shape[0]).reshape(-1, 1, 1, 1)
        channel = torch.arange(maps.shape[1]).reshape(1, -1, 1, 1)
        width = divisor(maps, size)
        output[image, channel, positions // width, positions % width] = maps
        return output

    return answer


def unpool_by_loop(maps, positions, size):
    return torch.stack([max_unpool(m[None], p[None], size)[0] for m, p in zip(maps, positions)])


def nails_for_maxima(maps, positions, size):
    output = maps.new_zeros(*maps.shape[:2], *size)
    output[..., : size[0] // 2 * 2 : 2, : size[1] // 2 * 2 : 2] = maps
    return output


def stuffed(turn):
    def answer(image, kernel, stride, padding):
        wide = torch.zeros((image.shape[0] - 1) * stride + 1, (image.shape[1] - 1) * stride + 1)
        wide[::stride, ::stride] = image
        rows, columns = kernel.shape
        wide = F.pad(wide, (columns - 1, columns - 1, rows - 1, rows - 1))
        full = F.conv2d(wide[None, None], (kernel.flip(0, 1) if turn else kernel)[None, None])[0, 0]
        return full[padding : full.shape[0] - padding, padding : full.shape[1] - padding]

    return answer


def padded_outside(image, kernel, stride, padding):
    return F.pad(transposed_convolution(image, kernel, stride, 0), (padding,) * 4)


def cut_at_the_end(image, kernel, stride, padding):
    full = transposed_convolution(image, kernel, stride, 0)
    return full[: full.shape[0] - 2 * padding, : full.shape[1] - 2 * padding]


def cut(near, far):
    """Cut by these functions of the padding."""

    def answer(image, kernel, stride, padding):
        full = transposed_convolution(image, kernel, stride, 0)
        return full[near(padding) : full.shape[0] - far(padding), near(padding) : full.shape[1] - far(padding)]

    return answer


def cut_by_minus(image, kernel, stride, padding):
    return transposed_convolution(image, kernel, stride, 0)[padding:-padding, padding:-padding]


def small_canvas_stamps(image, kernel, stride, padding):
    output = torch.zeros(image.shape[0] * stride, image.shape[1] * stride)
    k, m = kernel.shape
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            output[i * stride : i * stride + k, j * stride : j * stride + m] += kernel * image[i, j]
    return output[padding : len(output) - padding, padding : output.shape[1] - padding]


def small_canvas_anew(image, kernel, stride, padding):
    output = torch.zeros(image.shape[0] * stride, image.shape[1] * stride)
    k, m = kernel.shape
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            there = output[i * stride : i * stride + k, j * stride : j * stride + m]
            output[i * stride : i * stride + k, j * stride : j * stride + m] = there + kernel * image[i, j]
    return output


def small_canvas_pixels(image, kernel, stride, padding):
    output = torch.zeros(image.shape[0] * stride, image.shape[1] * stride)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for u in range(kernel.shape[0]):
                for v in range(kernel.shape[1]):
                    output[i * stride + u, j * stride + v] += image[i, j] * kernel[u, v]
    return output


def small_canvas_gathered(image, kernel, stride, padding):
    height, width = image.shape[0] * stride, image.shape[1] * stride
    output = torch.zeros(height, width)
    for x in range(height):
        for y in range(width):
            for i in range(image.shape[0]):
                for j in range(image.shape[1]):
                    u, v = x - i * stride, y - j * stride
                    if 0 <= u < kernel.shape[0] and 0 <= v < kernel.shape[1]:
                        output[x, y] += image[i, j] * kernel[u, v]
    return output[padding : height - padding, padding : width - padding]


WRONG = [
    (upsampling.transposed_size, "you added the padding", lambda n, k, s, p, o, d: transposed_size(n, k, s, -p, o, d)),
    (upsampling.transposed_size, "cut at one end only", lambda n, k, s, p, o, d: (n - 1) * s - p + d * (k - 1) + o + 1),
    (upsampling.transposed_size, "padding is missing", lambda n, k, s, p, o, d: (n - 1) * s + d * (k - 1) + o + 1),
    (upsampling.transposed_size, "one step too many", lambda n, k, s, p, o, d: n * s - 2 * p + d * (k - 1) + o + 1),
    (upsampling.transposed_size, "off by one", lambda *case: transposed_size(*case) - 1),
    (upsampling.transposed_size, "dilation is missing", lambda *case: transposed_size(*case[:-1], 1)),
    (upsampling.transposed_size, "too long", lambda n, k, s, p, o, d: (n - 1) * s - 2 * p + d * k + o),
    (upsampling.transposed_size, "output_padding is missing", lambda *case: transposed_size(*case) - case[4]),
    (upsampling.transposed_size, "at one end only, not at both", lambda *case: transposed_size(*case) + case[4]),
    (upsampling.transposed_size, "size of a convolution's output", down),
    (upsampling.collapsing_sizes, "only the smallest", lambda *case: [first_size(*case)]),
    (upsampling.collapsing_sizes, "below 1", some_sizes(lambda s: 0, lambda s: s, least=-99)),
    (upsampling.collapsing_sizes, "one size too many", some_sizes(lambda s: 0, lambda s: s + 1)),
    (upsampling.collapsing_sizes, "always two", some_sizes(lambda s: 0, lambda s: 2)),
    (upsampling.collapsing_sizes, "wrong direction", some_sizes(lambda s: s - 1, lambda s: 1)),
    (upsampling.collapsing_sizes, "padding is missing", lambda o, k, s, p: collapsing_sizes(o, k, s, 0)),
    (upsampling.collapsing_sizes, "you added the padding", lambda o, k, s, p: collapsing_sizes(o, k, s, -p)),
    (upsampling.collapsing_sizes, "as a list: got a value of type int", first_size),
    (upsampling.collapsing_sizes, "give a list: a set has no order", lambda *case: set(collapsing_sizes(*case))),
    (upsampling.collapsing_sizes, "of type dict", lambda *case: dict.fromkeys(collapsing_sizes(*case))),
    (upsampling.collapsing_sizes, "8 is missing", some_sizes(lambda s: 0, lambda s: s - 1)),
    (upsampling.collapsing_sizes, "6 is too many", some_sizes(lambda s: 1, lambda s: s)),
    (upsampling.collapsing_sizes, "8 is missing, and 6 is too many", some_sizes(lambda s: 1, lambda s: s - 1)),
    (upsampling.collapsing_sizes, "7 and 8 are missing", lambda *case: []),
    (upsampling.collapsing_sizes, "7 is there more than once", lambda *c: [first_size(*c), *collapsing_sizes(*c)]),
    (upsampling.collapsing_sizes, "1, 2 and 10 more are too many", lambda *case: range(1, 15)),
    (upsampling.bed_of_nails, "nearest neighbour", lambda m, f: F.interpolate(m, scale_factor=f)),
    (upsampling.bed_of_nails, "lower right", lower_corner),
    (upsampling.bed_of_nails, "2 throughout", lambda m, f: bed_of_nails(m, 2)),
    (upsampling.bed_of_nails, "last zeros are missing", zeros_between),
    (upsampling.bed_of_nails, "between the rows only", lambda m, f: bed_of_nails(m, f)[..., ::f]),
    (upsampling.bed_of_nails, "factor isn't always 2", nails_two_apart),
    (upsampling.bed_of_nails, "your code raises RuntimeError", nails_of_a_square),
    (upsampling.bed_of_nails, "there is a loop", nails_by_loop),
    (upsampling.max_unpool, "positions are ignored", nails_for_maxima),
    (upsampling.max_unpool, "divided by the height", unpool_by_index(lambda maps, size: size[0])),
    (upsampling.max_unpool, "divide by the width", unpool_column_by_column),
    (upsampling.max_unpool, "first image's first map: each map has its own positions", unpool_into_all((0, 0))),
    (upsampling.max_unpool, "first image's positions, and `[:, :, ...]` writes", unpool_into_all(0)),
    (upsampling.max_unpool, "`[:, :, ...]` writes every map's numbers into all maps: each map", unpool_into_all(...)),
    (upsampling.max_unpool, "small map's width", unpool_by_index(lambda maps, size: maps.shape[3])),
    (upsampling.max_unpool, "all numbers are in the first map", unpool_into_one),
    (upsampling.max_unpool, "positions of the first one: each has its own", first_channels_positions),
    (upsampling.max_unpool, "come out as one row", lambda *case: max_unpool(*case).flatten(2)),
    (upsampling.max_unpool, "there is a loop", unpool_by_loop),
    (upsampling.transposed_convolution, "overwrite", lambda *case: transposed_convolution(*case, add=False)),
    (upsampling.transposed_convolution, "stride is ignored", lambda i, k, s, p: transposed_convolution(i, k, 1, p)),
    (upsampling.transposed_convolution, "padding is not cut", lambda i, k, s, p: transposed_convolution(i, k, s, 0)),
    (upsampling.transposed_convolution, "you added the padding", padded_outside),
    (upsampling.transposed_convolution, "all the padding is cut at the end", cut_at_the_end),
    (upsampling.transposed_convolution, "turned round", stuffed(turn=False)),
    (upsampling.transposed_convolution, "-0 is 0", cut_by_minus),
    (upsampling.transposed_convolution, "at the beginning only", cut(lambda p: p, lambda p: 0)),
    (upsampling.transposed_convolution, "at the end only", cut(lambda p: 0, lambda p: p)),
    (upsampling.transposed_convolution, "size * stride is not the canvas's size", small_canvas_stamps),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "answer"), RIGHT, ids=lambda value: getattr(value, "key", ""))
def test_the_right_answer_passes(exercise, answer):
    verdict = exercise.check(answer)
    assert verdict.passed, verdict
    assert len(exercise.hints) == 3


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_a_stub_is_still_to_write(exercise):
    def raises(*arguments):
        raise NotImplementedError

    for stub in (lambda *arguments: None, lambda *arguments: ..., raises):
        verdict = exercise.check(stub)
        assert not verdict.passed and not verdict.begun and "\n" not in repr(verdict)


@pytest.mark.parametrize(("exercise", "words", "answer"), WRONG, ids=lambda value: getattr(value, "key", None))
def test_a_wrong_answer_hears_its_cause(exercise, words, answer):
    verdict = exercise.check(answer)
    assert not verdict.passed and verdict.begun
    assert words in verdict.message, verdict
    assert max(map(len, repr(verdict).splitlines())) < 260


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_different_causes_have_different_messages(exercise):
    messages = [exercise.check(answer).message for other, _, answer in WRONG if other is exercise]
    assert len(messages) >= 3 and len(set(messages)) == len(messages)


def test_other_right_ways_pass_too():
    assert upsampling.transposed_convolution.check(stuffed(turn=True)).passed
    assert upsampling.transposed_size.check(lambda *case: shapes.transposed_output(*case)).passed
    assert upsampling.collapsing_sizes.check(lambda *case: np.array(collapsing_sizes(*case))[::-1]).passed
    one = torch.ones(1, 1, 1, 1)
    assert upsampling.bed_of_nails.check(
        lambda m, f: F.conv_transpose2d(m.flatten(0, 1)[:, None], one, None, f, 0, f - 1)[:, 0].unflatten(
            0, m.shape[:2]
        )
    ).passed
    assert upsampling.max_unpool.check(lambda m, p, s: F.max_unpool2d(m, p, 2, output_size=s)).passed


def test_the_oracles_agree_with_torch():
    for case in upsampling._size_cases():
        assert upsampling._reached(*case) == shapes.transposed_output(*case)
    for output, *setting in upsampling._collapse_cases():
        sizes = upsampling._tried(output, *setting)
        assert sizes and {shapes.conv_output(size, *setting) for size in sizes} == {output}
    for image, kernel, stride, padding in upsampling._stamp_cases():
        theirs = F.conv_transpose2d(image[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]
        assert np.allclose(upsampling._by_definition(image, kernel, stride, padding), theirs)
    for maps, positions, size in upsampling._unpool_cases():
        theirs = F.max_unpool2d(maps, positions, 2, output_size=size)
        assert torch.equal(upsampling._unpooled(maps, positions, size), theirs)


@pytest.mark.parametrize(
    ("exercise", "words", "answer"),
    [
        (upsampling.max_unpool, "divided by the height", unpool_over_the_edge(lambda maps, size: size[0])),
        (upsampling.max_unpool, "small map's width", unpool_over_the_edge(lambda maps, size: maps.shape[3])),
        (upsampling.transposed_convolution, "size * stride is not", small_canvas_anew),
        (upsampling.transposed_convolution, "size * stride is not", small_canvas_pixels),
        (upsampling.transposed_convolution, "size * stride is not", small_canvas_gathered),
    ],
)
def test_the_same_mistake_in_other_ways_hears_the_same_cause(exercise, words, answer):
    assert words in exercise.check(answer).message


def test_a_named_exception_is_shown_all_the_same():
    verdict = upsampling.bed_of_nails.check(nails_two_apart)
    assert verdict.received.startswith("your code raises RuntimeError") and "nails[:, :, ::2, ::2]" in verdict.received


@pytest.mark.parametrize(
    "answer",
    [nails_by_while, nails_by_while_true, lambda *case: torch.stack([bed_of_nails(*case)[0] for _ in case])],
)
def test_a_loop_of_any_kind_is_found(answer):
    with pytest.raises(Refusal, match="there is a loop"):
        upsampling._without_loop(answer, torch.ones(1, 1, 1, 1), 2)


def test_a_while_loop_that_gives_the_right_result_is_refused():
    def nails(maps, factor):
        batch, channels, height, width = maps.shape
        output, row = torch.zeros(batch, channels, factor * height, factor * width), 0
        while row < height:
            output[:, :, factor * row, ::factor] = maps[:, :, row]
            row += 1
        return output

    verdict = upsampling.bed_of_nails.check(nails)
    assert not verdict.passed and "there is a loop" in verdict.message
