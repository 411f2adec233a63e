"""Checkers of chapter 4, "Upsampling". Every oracle goes pixel by pixel or stamp by stamp."""

import dis
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import product
from types import CodeType

import numpy as np
import torch
import torch.nn.functional as F

from lessons_lib.checks.base import Exercise, Refusal, Variant, agreement

# --- transposed_size(size, kernel, stride, padding, output_padding, dilation) ----------------------------


def _size_cases() -> Iterator[tuple]:
    yield 2, 3, 1, 0, 0, 1
    yield 2, 3, 2, 0, 0, 1
    yield 2, 3, 2, 1, 0, 1
    yield 2, 3, 2, 1, 1, 1
    for size, kernel, stride, padding, dilation in product((1, 3, 6), (1, 2, 5), (1, 2, 3), (0, 1, 2), (1, 3)):
        for output_padding in range(0, stride, 2):
            if _reached(size, kernel, stride, padding, output_padding, dilation) > 0:
                yield size, kernel, stride, padding, output_padding, dilation


def _reached(size, kernel, stride, padding, output_padding, dilation):
    """Lay every weight of every stamp down and see how far they reach."""
    places = [stamp * stride + weight * dilation for stamp in range(size) for weight in range(kernel)]
    first, last = min(places) + padding, max(places) - padding
    return last - first + 1 + output_padding


def _formula(size, kernel, stride, padding, output_padding, dilation, steps=-1, sides=-2, plus=1, end=1):
    """Equation (1); the settings bring in mistakes."""
    span = dilation * (kernel - 1)
    return (size + steps) * stride + sides * padding + span + end * output_padding + plus


transposed_size = Exercise(
    key="04_upsampling/transposed_size",
    title="The size of a transposed convolution's output",
    hints=(
        "Where does the last stamp start? The first starts at 0, and each next one starts `stride` places later.",
        "The last stamp starts at (size - 1) * stride and spans dilation * (kernel - 1) + 1 places.",
        "Then cut `padding` places at both ends, and add `output_padding` at one.",
    ),
    judge=agreement(
        _reached,
        _size_cases,
        [
            Variant(
                "you added the padding: a convolution adds it to its input, so its reverse cuts it from the output",
                partial(_formula, sides=2),
            ),
            Variant("the padding is cut at one end only: it is cut at both", partial(_formula, sides=-1)),
            Variant("the padding is missing: it is cut from both ends", partial(_formula, sides=0)),
            Variant(
                "one step too many: between `size` stamps there are size - 1 steps",
                partial(_formula, steps=0),
            ),
            Variant(
                "off by one: a kernel of `kernel` weights spans dilation * (kernel - 1) + 1 places",
                partial(_formula, plus=0),
            ),
            Variant(
                "the dilation is missing: the weights of the kernel lie `dilation` places apart",
                lambda *case: _formula(*case[:-1], 1),
            ),
            Variant(
                "dilation * kernel is too long: between `kernel` weights there are kernel - 1 gaps",
                lambda *case: _formula(*case) + case[-1] - 1,
            ),
            Variant("output_padding is missing: it is added at the far end", partial(_formula, end=0)),
            Variant("output_padding is added at one end only, not at both", partial(_formula, end=2)),
            Variant(
                "that is the size of a convolution's output: the transposed one goes the other way",
                lambda size, k, s, p, extra, d: (size + 2 * p - d * (k - 1) - 1) // s + 1,
            ),
        ],
    ),
)


# --- collapsing_sizes(output, kernel, stride, padding) ---------------------------------------------------


def _collapse_cases() -> Iterator[tuple]:
    yield 4, 3, 2, 1
    yield 4, 3, 1, 1
    yield 1, 2, 3, 1
    for output, kernel, stride in product((1, 2, 5), (1, 2, 3, 4), (1, 2, 3, 4)):
        for padding in range(0, kernel // 2 + 1):
            if _tried(output, kernel, stride, padding):
                yield output, kernel, stride, padding


def _tried(output, kernel, stride, padding, smallest=1):
    """Try every size: let the kernel walk until it falls off the padded end."""
    sizes = []
    for size in range(smallest, output * stride + kernel + 1):
        start = steps = 0
        while start + kernel <= size + 2 * padding:
            start, steps = start + stride, steps + 1
        if steps == output:
            sizes.append(size)
    return sizes


def _smallest(output, kernel, stride, padding):
    return (output - 1) * stride + kernel - 2 * padding


def _listed(answer, *case):
    result = answer(*case)
    if result is None or result is Ellipsis:
        return None
    if isinstance(result, set | frozenset):
        return result
    if not isinstance(result, list | tuple | range | np.ndarray | torch.Tensor):
        raise Refusal(f"give all the sizes, as a list: got a value of type {type(result).__name__}")
    return np.sort(np.asarray(result))


def _wrong_sizes(received, expected):
    """Name the sizes that are missing or too many."""
    if received is None:
        return ""
    there, right = (Counter(np.ravel(sizes).tolist()) for sizes in (received, expected))
    groups = {
        "missing": sorted(right - there),
        "too many": sorted(size for size in there if size not in right),
        "there more than once": sorted(size for size in there if there[size] > right[size] > 0),
    }
    return ", and ".join(_these(sizes, what) for what, sizes in groups.items() if sizes)


def _these(sizes, what):
    words = [f"{size:g}" for size in sizes]
    words = [*words[:2], f"{len(words) - 2} more"] if len(words) > 3 else words
    return f"{' and '.join(filter(None, [', '.join(words[:-1]), words[-1]]))} {'are' if words[1:] else 'is'} {what}"


def _from(first, past):
    return np.arange(max(1, first), max(1, past))


collapsing_sizes = Exercise(
    key="04_upsampling/collapsing_sizes",
    title="Which input sizes collapse into one",
    hints=(
        "The smallest size is the one that the transposed convolution returns to without output_padding.",
        "It is (output - 1) * stride + kernel - 2 * padding. How far on until the kernel fits again?",
        "There are `stride` sizes in a row, but a size is at least 1.",
    ),
    judge=agreement(
        _tried,
        _collapse_cases,
        [
            Variant(
                "only the smallest of them: the end may move on until the kernel fits once more",
                lambda *case: [_smallest(*case)],
            ),
            Variant(
                "sizes below 1 are among them: a map has at least one pixel",
                lambda *case: _tried(*case, smallest=_smallest(*case)),
            ),
            Variant(
                "one size too many: at smallest + stride the kernel fits once more",
                lambda *case: _from(_smallest(*case), _smallest(*case) + case[2] + 1),
            ),
            Variant(
                "always two sizes: with stride s there are s of them",
                lambda *case: _from(_smallest(*case), _smallest(*case) + 2),
            ),
            Variant(
                "wrong direction: you start at the smallest and go down, the others are larger",
                lambda *case: _from(_smallest(*case) - case[2] + 1, _smallest(*case) + 1),
            ),
            Variant(
                "the padding is missing: it is part of what the kernel walks over, so the map itself is smaller",
                lambda output, k, s, p: _from(_smallest(output, k, s, 0), _smallest(output, k, s, 0) + s),
            ),
            Variant(
                "you added the padding: it is part of what the kernel walks over, so the map itself is smaller",
                lambda output, k, s, p: _from(_smallest(output, k, s, -p), _smallest(output, k, s, -p) + s),
            ),
        ],
        call=_listed,
        difference=_wrong_sizes,
    ),
)


# --- bed_of_nails(maps, factor) -------------------------------------------------------------------------------


def _loops(code: CodeType) -> bool:
    """Say whether a function's code, or one inside it, goes back or through an iterator."""
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    steps = dis.get_instructions(code)
    back = any(step.opname.startswith("FOR_ITER") or "JUMP_BACKWARD" in step.opname for step in steps)
    return back or any(map(_loops, inner))


def _without_loop(answer, *case):
    result = answer(*case)
    if result is not None and hasattr(answer, "__code__") and _loops(answer.__code__):
        raise Refusal("the result may be right, but there is a loop in it: index all places at once")
    return result


def _drawn(generator, *shape):
    """Whole numbers and halves, so that sums are exact in any order."""
    return torch.randint(1, 40, shape, generator=generator) / 2


def _nail_cases() -> Iterator[tuple]:
    yield torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2
    generator = torch.Generator().manual_seed(4)
    for shape, factor in [((1, 1, 1, 2), 3), ((1, 2, 2, 3), 2), ((2, 3, 3, 2), 1), ((2, 1, 2, 4), 4)]:
        yield _drawn(generator, *shape), factor


def _nails(maps, factor, corner=0):
    batch, channels, height, width = maps.shape
    output = torch.zeros(batch, channels, height * factor, width * factor)
    for row, column in product(range(height), range(width)):
        output[:, :, row * factor + corner, column * factor + corner] = maps[:, :, row, column]
    return output


def _every_second(maps, factor):
    output = maps.new_zeros(*maps.shape[:2], maps.shape[2] * factor, maps.shape[3] * factor)
    output[..., ::2, ::2] = maps
    return output


bed_of_nails = Exercise(
    key="04_upsampling/bed_of_nails",
    title="A bed of nails without a loop",
    hints=(
        "Start with zeros of the final size: maps.new_zeros(B, C, factor * H, factor * W).",
        "Every second element of a list is list[::2]. A slice with a step can also be assigned to.",
        "In `nails[..., ::factor, ::factor]` there is one place for every number of `maps`.",
    ),
    judge=agreement(
        _nails,
        _nail_cases,
        [
            Variant(
                "that is nearest neighbour: each number fills its block; a nail stands in one place only",
                lambda maps, factor: F.interpolate(maps, scale_factor=factor),
            ),
            Variant(
                "the nail stands in the lower right corner of its block: put it into the upper left one",
                lambda maps, factor: _nails(maps, factor, corner=factor - 1),
            ),
            Variant(
                "the nail stands in the middle of its block: put it into the upper left corner",
                lambda maps, factor: _nails(maps, factor, corner=factor // 2),
            ),
            Variant("factor is taken for 2 throughout", lambda maps, factor: _nails(maps, 2)),
            Variant("factor isn't always 2: the slices with a step of 2 are right for that one only", _every_second),
            Variant(
                "the last zeros are missing: every block has factor x factor places, those at the end too",
                lambda maps, factor: _nails(maps, factor)[..., : 1 - factor or None, : 1 - factor or None],
            ),
            Variant(
                "there are zeros between the rows only: the columns need them too",
                lambda maps, factor: _nails(maps, factor)[..., ::factor],
            ),
        ],
        call=_without_loop,
    ),
)


# --- max_unpool(maps, positions, size) ------------------------------------------------------------------------


def _unpool_cases() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(5)
    for shape in [(1, 1, 2, 6), (1, 1, 4, 4), (1, 2, 4, 6), (2, 1, 6, 4), (2, 3, 5, 7)]:
        before = torch.rand(shape, generator=generator)
        pooled, positions = F.max_pool2d(before, 2, return_indices=True)
        yield _drawn(generator, *pooled.shape), positions, shape[2:]


def _unpooled(maps, positions, size, divide_by=None):
    output = torch.zeros(*maps.shape[:2], *size)
    width = divide_by or size[1]
    for place in product(*map(range, maps.shape)):
        row, column = divmod(int(positions[place]), width)
        if row < size[0] and column < size[1]:
            output[*place[:2], row, column] = maps[place]
    return output


def _all_in_one(maps, positions, size):
    """Count positions through the whole batch, as if it were one map."""
    output = torch.zeros(*maps.shape[:2], *size)
    output.view(-1)[positions.flatten()] = maps.flatten()
    return output


def _corners(maps, positions, size):
    output = torch.zeros(*maps.shape[:2], *size)
    height, width = maps.shape[2:]
    output[..., : 2 * height : 2, : 2 * width : 2] = maps
    return output


def _by_columns(maps, positions, size):
    """Read a position as column * height + row."""
    column, row = positions // size[0], positions % size[0]
    return _unpooled(maps, row * size[1] + column, size)


def _by_index(maps, positions, size, divide_by=None):
    """Index as readers do, where _unpooled leaves out what lies outside."""
    output = torch.zeros(*maps.shape[:2], *size)
    images, channels = (torch.arange(n) for n in maps.shape[:2])
    rows, columns = positions // divide_by(maps, size), positions % divide_by(maps, size)
    output[images[:, None, None, None], channels[:, None, None], rows, columns] = maps
    return output


def _into_all(maps, positions, size, which=()):
    """Write to all maps at the positions of all of them, of one image, or of one map."""
    output = torch.zeros(*maps.shape[:2], *size)
    output[:, :, positions[which] // size[1], positions[which] % size[1]] = maps
    return output


DIVIDED = "divided by the height: positions count along the rows, and a row has `width` places"
DIVIDED_SMALL = "divided by the small map's width: positions count in the map before the pooling"

max_unpool = Exercise(
    key="04_upsampling/max_unpool",
    title="Max unpooling from positions, without a loop",
    hints=(
        "Make every map a single row: flatten(2) turns (B, C, h, w) into (B, C, h * w). Positions count along it.",
        "zeros.scatter_(dim, index, values) puts values[b, c, n] to the place index[b, c, n] along one axis.",
        "zeros of shape (B, C, H * W), scatter_ along axis 2, then reshape to (B, C, H, W).",
    ),
    judge=agreement(
        _unpooled,
        _unpool_cases,
        [
            Variant(
                "the positions are ignored: that is a bed of nails, with every number in its block's corner",
                _corners,
            ),
            Variant(DIVIDED, lambda maps, positions, size: _unpooled(maps, positions, size, divide_by=size[0])),
            Variant(DIVIDED, partial(_by_index, divide_by=lambda maps, size: size[0])),
            Variant(
                "divide by the width: positions count along the rows, so one is row * width + column, "
                "not column * height + row",
                _by_columns,
            ),
            Variant(
                DIVIDED_SMALL,
                lambda maps, positions, size: _unpooled(maps, positions, size, divide_by=maps.shape[3]),
            ),
            Variant(DIVIDED_SMALL, partial(_by_index, divide_by=lambda maps, size: maps.shape[3])),
            Variant(
                "all numbers are in the first map: positions start from 0 in every map of every image",
                _all_in_one,
            ),
            Variant(
                "all channels use the positions of the first one: each has its own",
                lambda maps, positions, size: _unpooled(maps, positions[:, :1].expand_as(positions), size),
            ),
            Variant(
                "all images use the positions of the first one: each has its own",
                lambda maps, positions, size: _unpooled(maps, positions[:1].expand_as(positions), size),
            ),
            Variant(
                "all maps use the positions of the first image's first map: each map has its own positions",
                partial(_into_all, which=(0, 0)),
            ),
            Variant(
                "all images use the first image's positions, and `[:, :, ...]` writes every map's numbers into all "
                "maps: each map has its own positions",
                partial(_into_all, which=0),
            ),
            Variant(
                "`[:, :, ...]` writes every map's numbers into all maps: each map has its own positions",
                _into_all,
            ),
            Variant(
                "the maps come out as one row: bring them back to (B, C, H, W)",
                lambda *case: _unpooled(*case).flatten(2),
            ),
        ],
        call=_without_loop,
    ),
)


# --- transposed_convolution(image, kernel, stride, padding) ---------------------------------------------------


def _stamp_cases() -> Iterator[tuple]:
    yield torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 1.0], [2.0, 3.0]]), 1, 0
    generator = torch.Generator().manual_seed(6)
    for shape, kernel, stride, padding in [
        ((2, 2), (3, 3), 2, 0), ((2, 3), (3, 2), 1, 0), ((2, 2), (3, 3), 2, 1), ((1, 3), (2, 2), 3, 0),
        ((3, 2), (4, 3), 2, 1), ((2, 3), (5, 4), 3, 1),
    ]:  # fmt: skip
        yield _drawn(generator, *shape), _drawn(generator, *kernel), stride, padding


def _by_definition(image, kernel, stride, padding):
    """O(x, y) = sum over i, j of I(i, j) K(x - i s, y - j s), then the padding cut off."""
    high, wide = ((n - 1) * stride + k for n, k in zip(image.shape, kernel.shape))
    output = np.zeros((high, wide))
    for x, y, i, j in product(range(high), range(wide), *map(range, image.shape)):
        u, v = x - i * stride, y - j * stride
        if 0 <= u < kernel.shape[0] and 0 <= v < kernel.shape[1]:
            output[x, y] += float(image[i, j]) * float(kernel[u, v])
    return output[padding : high - padding, padding : wide - padding]


def _stamped(image, kernel, stride, padding, add=True, near=None, far=None):
    """Lay stamps down; the settings bring in mistakes."""
    (height, width), (rows, columns) = image.shape, kernel.shape
    high, wide = (height - 1) * stride + rows, (width - 1) * stride + columns
    output = torch.zeros(high, wide)
    for i, j in product(range(height), range(width)):
        place = slice(i * stride, i * stride + rows), slice(j * stride, j * stride + columns)
        stamp = image[i, j] * kernel
        output[place] = output[place] + stamp if add else stamp
    near, far = padding if near is None else near, padding if far is None else far
    return output[near : high - far, near : wide - far]


def _minus_zero(image, kernel, stride, padding):
    return _stamped(image, kernel, stride, 0)[padding:-padding, padding:-padding]


def _cropped(image, kernel, stride, padding):
    """Gather into an output of size * stride: what lies beyond is lost."""
    high, wide = (n * stride for n in image.shape)
    full = F.pad(_stamped(image, kernel, stride, 0), (0, wide, 0, high))[:high, :wide]
    return full[padding : high - padding, padding : wide - padding]


def _in_place(output, rows, columns, stamp):
    output[rows, columns] += stamp


def _anew(output, rows, columns, stamp):
    output[rows, columns] = output[rows, columns] + stamp


def _pixel_by_pixel(output, rows, columns, stamp):
    for u, v in product(*map(range, stamp.shape)):
        output[rows.start + u, columns.start + v] += stamp[u, v]


def _too_small(image, kernel, stride, padding, add):
    """Lay stamps onto size * stride places; one that reaches beyond raises, and how depends on the way of adding."""
    output = torch.zeros(*(n * stride for n in image.shape))
    for i, j in product(*map(range, image.shape)):
        rows, columns = (slice(n * stride, n * stride + k) for n, k in zip((i, j), kernel.shape))
        add(output, rows, columns, image[i, j] * kernel)
    return output[padding : output.shape[0] - padding, padding : output.shape[1] - padding]


CANVAS = (
    "size * stride is not the canvas's size: the last stamp starts at (size - 1) * stride and is as long as the kernel"
)

transposed_convolution = Exercise(
    key="04_upsampling/transposed_convolution",
    title="Transposed convolution from its definition",
    hints=(
        "Take the stamps: the one of image[i, j] starts at row i * stride and column j * stride.",
        "Make zeros, (H - 1) * stride + rows of the kernel high and so for the columns. Add every stamp to its place.",
        "At the end cut `padding` rows and columns from each of the four sides.",
    ),
    judge=agreement(
        _by_definition,
        _stamp_cases,
        [
            Variant(
                "stamps overwrite each other: where they overlap, add them",
                partial(_stamped, add=False),
            ),
            Variant(
                "the stride is ignored: neighbouring stamps start `stride` places apart",
                lambda image, kernel, stride, padding: _stamped(image, kernel, 1, padding),
            ),
            Variant(
                "the padding is not cut off: take `padding` rows and columns from each side",
                partial(_stamped, near=0, far=0),
            ),
            Variant(
                "you added the padding: a transposed convolution is smaller for it, so cut",
                lambda image, kernel, stride, padding: F.pad(_stamped(image, kernel, stride, 0), (padding,) * 4),
            ),
            Variant(
                "all the padding is cut at the end: half of it belongs to the beginning",
                lambda image, kernel, stride, padding: _stamped(image, kernel, stride, padding, 1, 0, 2 * padding),
            ),
            Variant("-0 is 0: with padding 0, the slice [padding:-padding] is [0:0], which is empty", _minus_zero),
            Variant(
                "the padding is cut at the beginning only: `padding` rows and columns go at the end, too",
                partial(_stamped, far=0),
            ),
            Variant(
                "the padding is cut at the end only: `padding` rows and columns go at the beginning, too",
                partial(_stamped, near=0),
            ),
            Variant(CANVAS, _cropped),
            *(Variant(CANVAS, partial(_too_small, add=add)) for add in (_in_place, _anew, _pixel_by_pixel)),
            Variant(
                "the kernel is turned round: a stamp is the kernel as it is; only a convolution over zeros turns it",
                lambda image, kernel, stride, padding: _stamped(image, kernel.flip(0, 1), stride, padding),
            ),
            Variant(
                "that is a convolution: it gathers many inputs into one output, and here one input goes to many",
                lambda image, kernel, stride, padding: F.conv2d(
                    F.pad(image, (kernel.shape[1],) * 2 + (kernel.shape[0],) * 2)[None, None],
                    kernel[None, None],
                    stride=stride,
                )[0, 0],
            ),
        ],
    ),
)
