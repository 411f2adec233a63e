"""Checkers of chapter 2, "Sliding window". Every oracle goes window by window."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.checks.base import Exercise, Refusal, Variant, agreement

# --- reads_of_pixel(row, column, height, width, window) -------------------------------------------------------


def _read_cases() -> Iterator[tuple]:
    yield 0, 0, 3, 3, 3
    yield 1, 1, 3, 3, 3
    generator = np.random.default_rng(1)
    for size in range(60):
        height, width = (int(side) for side in generator.integers(1, 4 + size // 8, 2))
        row, column = int(generator.integers(height)), int(generator.integers(width))
        yield row, column, height, width, 2 * int(generator.integers(0, 4)) + 1


def _reads(row, column, height, width, window, margin=0):
    """Try every centre that is at least `margin` px away from the border."""
    half, reads = window // 2, 0
    for r, c in product(range(margin, height - margin), range(margin, width - margin)):
        if abs(row - r) <= half and abs(column - c) <= half:
            reads += 1
    return reads


def _rows_and_columns(row, column, height, width, window, plus=1, beyond=0):
    """Count the rows and the columns that a centre can have; the settings bring in mistakes."""
    half = window // 2
    rows = min(height - 1 + beyond, row + half) - max(0, row - half) + plus
    columns = min(width - 1 + beyond, column + half) - max(0, column - half) + plus
    return rows, columns


SWAPPED = "row and column swapped: the row goes with the height, the column with the width"

reads_of_pixel = Exercise(
    key="02_sliding_window/reads_of_pixel",
    title="How many windows read one pixel",
    hints=(
        "Turn it round: a window reads the pixel if its centre is at most window // 2 away, in rows and in columns.",
        "Such a centre lies in the rows max(0, row - window // 2) to min(height - 1, row + window // 2).",
        "From a to b there are b - a + 1 rows. Count the columns alike, then multiply.",
    ),
    judge=agreement(
        _reads,
        _read_cases,
        [
            Variant(
                "window x window everywhere: that holds inside, but near the border there are fewer centres",
                lambda *case: case[-1] ** 2,
            ),
            Variant(SWAPPED, lambda row, column, *others: _reads(column, row, *others)),
            Variant(SWAPPED, lambda row, column, *others: np.prod(_rows_and_columns(column, row, *others))),
            Variant(
                "off by one: from a to b there are b - a + 1 numbers",
                lambda *case: np.prod(_rows_and_columns(*case, plus=0)),
            ),
            Variant(
                "off by one at the lower and right border: the last row is height - 1, the last column width - 1",
                lambda *case: np.prod(_rows_and_columns(*case, beyond=1)),
            ),
            Variant(
                "cut off at the top and the left only: near the lower and the right border centres are missing too",
                lambda *case: np.prod(_rows_and_columns(*case, beyond=case[-1])),
            ),
            Variant(
                "rows and columns added: each row of centres holds all the columns, so multiply",
                lambda *case: sum(_rows_and_columns(*case)),
            ),
            Variant(
                "window taken for its half: it reaches window // 2 px to each side of its centre",
                lambda *case: _reads(*case[:-1], 2 * case[-1] + 1),
            ),
            Variant(
                "only the windows that lie wholly inside: there is a window round every pixel, the border included",
                lambda *case: _reads(*case, margin=case[-1] // 2),
            ),
        ],
    ),
)


# --- multiplications(height, width, window, layers) -----------------------------------------------------------


def _layer_cases() -> Iterator[tuple]:
    yield 1, 1, 3, [(3, 1, 1)]
    yield 1, 2, 3, [(3, 2, 1), (1, 1, 2)]
    generator = np.random.default_rng(2)
    for size in range(12):
        channels = [int(c) for c in generator.integers(1, 4, 4)]
        kernels = [int(k) for k in generator.choice([1, 3], 1 + size // 4)]
        layers = [(k, channels[i], channels[i + 1]) for i, k in enumerate(kernels)]
        window = 1 + sum(k - 1 for k in kernels) + 2 * (size % 2)
        yield int(generator.integers(1, 9)), int(generator.integers(1, 9)), window, layers


def _tally(height, width, window, layers):
    total = 0
    for _ in range(height * width):  # one window round every pixel
        size = window
        for kernel, c_in, c_out in layers:
            size = size - kernel + 1  # places for the kernel along each axis
            for _ in product(range(c_out), range(size), range(size)):  # every value of the output
                total += c_in * kernel * kernel
    return total


def _cost(height, width, window, layers, places="output", power=2, bias=0):
    """Compute the cost by formula; the settings bring in mistakes."""
    cost, size = 0, window
    for kernel, c_in, c_out in layers:
        sides = {"input": size, "output": size - kernel + 1, "window": window, "one": 1}
        cost += c_out * sides[places] ** 2 * (c_in * kernel**power + bias)
        size = sides["output"]
    return height * width * cost


def _one_pass_cost(height, width, window, layers):
    cost, side = 0, window
    for kernel, c_in, c_out in layers:
        side -= kernel - 1
        cost += (height + side - 1) * (width + side - 1) * c_out * c_in * kernel**2
    return cost


multiplications = Exercise(
    key="02_sliding_window/multiplications",
    title="What an image costs, window by window",
    hints=(
        "Begin with one window: its first layer makes maps of side window - kernel + 1, the input of the second.",
        "One output value costs c_in * kernel * kernel multiplications, and a layer has c_out * side * side values.",
        "Add up the layers of one window, then multiply by the number of windows: one round every pixel.",
    ),
    judge=agreement(
        _tally,
        _layer_cases,
        [
            Variant(
                "one output a layer: the maps of a layer have side x side values, and each is computed "
                "(one value a layer and pixel is the price of the one-pass network)",
                lambda *case: _cost(*case, places="one"),
            ),
            Variant(
                "input size instead of output size: a kernel has only size - kernel + 1 places along each axis",
                lambda *case: _cost(*case, places="input"),
            ),
            Variant(
                "window x window places in every layer: nothing pads here, so each layer leaves the next smaller maps",
                lambda *case: _cost(*case, places="window"),
            ),
            Variant(
                "that is the price of one pass over the whole image: here every window pays for its own maps",
                _one_pass_cost,
            ),
            Variant(
                "bias counted: it is added, not multiplied",
                lambda *case: _cost(*case, bias=1),
            ),
            Variant(
                "the kernel has two axes: kernel x kernel weights for each pair of channels",
                lambda *case: _cost(*case, power=1),
            ),
            Variant(
                "one window only: there is one round every pixel, height x width in all",
                lambda height, width, *others: _cost(1, 1, *others),
            ),
            Variant(
                "only the windows that lie wholly inside: there is a window round every pixel, the border included",
                lambda height, width, window, layers: _cost(
                    max(0, height - window + 1), max(0, width - window + 1), window, layers
                ),
            ),
        ],
    ),
)


# --- dense_twin(patch_network) --------------------------------------------------------------------------------


def _network_cases() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(3)
    for kernels, last, height, width in [((3,), 1, 3, 4), ((3,), 3, 6, 5), ((3, 3), 1, 5, 7), ((5, 3), 3, 10, 9)]:
        layers, channels = [], 2
        for kernel in kernels:
            layers += [nn.Conv2d(channels, channels + 2, kernel), nn.ReLU()]
            channels += 2
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * last * last, 3))
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 2
        yield network, torch.rand(2, 2, height, width, generator=generator)


def _measures(patch_network):
    """Return channels and side of the maps that enter the Linear, and the side of the window, in px."""
    convs = [layer for layer in patch_network if isinstance(layer, nn.Conv2d)]
    channels = convs[-1].out_channels
    side = round((patch_network[-1].in_features // channels) ** 0.5)
    return channels, side, side + sum(conv.kernel_size[0] - 1 for conv in convs)


@torch.no_grad()
def _window_by_window(patch_network, images):
    half = _measures(patch_network)[2] // 2
    batch, _, height, width = images.shape
    logits = torch.empty(batch, patch_network[-1].out_features, height, width)
    for row, column in product(range(height), range(width)):
        rows = [min(max(row + i, 0), height - 1) for i in range(-half, half + 1)]
        columns = [min(max(column + i, 0), width - 1) for i in range(-half, half + 1)]
        patches = images[:, :, rows][:, :, :, columns]
        logits[:, :, row, column] = patch_network(patches)
    return logits


@torch.no_grad()
def _dense(patch_network, images, pad="once", mode="replicate", order="chw", bias=True, relu=True):
    """Run the network as convolutions over the whole images; the settings bring in mistakes."""
    channels, side, window = _measures(patch_network)
    linear = patch_network[-1]
    shape = {"c": channels, "h": side, "w": side}
    kernel = linear.weight.reshape(-1, *(shape[axis] for axis in order))
    kernel = kernel.permute(0, *(1 + order.index(axis) for axis in "chw"))
    maps = _padded(images, window if pad == "once" else 1, mode)
    for layer in patch_network[:-2]:
        if isinstance(layer, nn.Conv2d):
            maps = layer(_padded(maps, layer.kernel_size[0] if pad == "each" else 1, mode))
        elif relu:
            maps = layer(maps)
    maps = _padded(maps, side if pad == "each" else 1, mode)
    return F.conv2d(maps, kernel, linear.bias if bias else None)


def _padded(maps, window, mode):
    return F.pad(maps, (window // 2,) * 4, mode=mode)


def _weights(network):
    return {value for parameter in network.parameters() if parameter.ndim > 1 for value in parameter.flatten().tolist()}


def _run_twin(answer, patch_network, images):
    weights = _weights(patch_network)  # before the answer can touch them
    twin = answer(patch_network)
    if twin is None or twin is Ellipsis:
        return None
    if not isinstance(twin, nn.Module):
        raise Refusal(f"the twin has to be a torch.nn.Module: got a value of type {type(twin).__name__}")
    if any(isinstance(module, nn.Linear) for module in twin.modules()):
        raise Refusal("the twin still has a Linear layer: a convolution with a kernel as large as its maps replaces it")
    if not weights <= _weights(twin):
        raise Refusal("new weights: the twin has to carry the numbers of the patch network, not train or draw its own")
    with torch.no_grad():
        return twin(images)


EACH_LAYER = (
    "padded in every layer: right inside, wrong at the border, where the later layers see padding instead of features; "
    "pad the image once, by window // 2"
)
REPEAT = "repeat the outermost pixels, as the windows do (mode='replicate')"
ORDER = "the Linear reshaped in the wrong order: Flatten puts channels first, then rows, then columns (C, h, w)"

dense_twin = Exercise(
    key="02_sliding_window/dense_twin",
    title="The dense twin of a patch network",
    hints=(
        "A Linear over flattened maps (C, h, w) is a convolution with a kernel of h x w that has one place to stand.",
        "conv.weight has the shape (K, C, h, w): linear.weight.reshape(K, C, h, w). The bias stays as it is.",
        "Every convolution shrinks the maps; together they take window - 1 px. Give these to the image beforehand: "
        "window // 2 on each side, with nn.ReplicationPad2d, once.",
    ),
    judge=agreement(
        _window_by_window,
        _network_cases,
        [
            Variant(
                "padding forgotten: the map is smaller than the image; pad the image by window // 2 on each side",
                lambda *case: _dense(*case, pad="none"),
            ),
            Variant(EACH_LAYER, lambda *case: _dense(*case, pad="each", mode="constant")),
            Variant(EACH_LAYER, lambda *case: _dense(*case, pad="each")),
            Variant(f"padded with zeros: {REPEAT}", lambda *case: _dense(*case, mode="constant")),
            Variant(ORDER, lambda *case: _dense(*case, order="hwc")),
            Variant(ORDER, lambda *case: _dense(*case, order="cwh")),
            Variant(
                "softmax applied: the twin has to give logits, as the patch network does",
                lambda *case: _dense(*case).softmax(1),
            ),
            Variant(
                "the bias of the Linear is missing: it becomes the bias of the convolution",
                lambda *case: _dense(*case, bias=False),
            ),
            Variant(
                "the ReLUs are missing: only Flatten and Linear are replaced, all else stays",
                lambda *case: _dense(*case, relu=False),
            ),
        ],
        call=_run_twin,
        tolerance=1e-4,
    ),
)
