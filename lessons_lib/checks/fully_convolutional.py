"""Checkers of chapter 3, "Fully convolutional networks". Every oracle goes place by place."""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.checks.base import Exercise, Refusal, Variant, agreement

# --- seen_by(layers) ---------------------------------------------------------------------------------------


def _stacks() -> Iterator[tuple]:
    yield ([],)
    yield ([(3, 1, 1)],)
    yield ([(3, 1, 1), (3, 1, 1)],)
    yield ([(3, 2, 1), (3, 1, 1)],)
    yield ([(3, 1, 1), (3, 1, 2)],)
    generator = np.random.default_rng(1)
    for size in range(40):
        choices = ((1, 2, 3, 5), (1, 1, 2, 3), (1, 1, 2, 4))
        yield ([tuple(int(generator.choice(choice)) for choice in choices) for _ in range(1 + size // 10)],)


def _behind(layers):
    """Go back from one output, layer by layer, and keep every place that it reads."""
    places = {0}
    for kernel_size, stride, dilation in reversed(layers):
        places = {place * stride + weight * dilation for place in places for weight in range(kernel_size)}
    return max(places) - min(places) + 1


def _counted(layers, seen=1, grow=lambda k, s, d, step: d * (k - 1) * step, move=lambda step, s: step * s, early=False):
    """Count with field and jump; the settings bring in mistakes."""
    step = 1
    for kernel_size, stride, dilation in layers:
        step = move(step, stride) if early else step
        seen += grow(kernel_size, stride, dilation, step)
        step = step if early else move(step, stride)
    return seen


seen_by = Exercise(
    key="03_fully_convolutional/seen_by",
    title="The receptive field of a stack of layers",
    hints=(
        "Keep two numbers, both 1 at the image: what an output sees, and the px from one place to the next.",
        "A kernel reaches dilation * (kernel_size - 1) places further, and neighbouring places lie a jump apart.",
        "For each layer: seen += dilation * (kernel_size - 1) * step, and only then step *= stride.",
    ),
    judge=agreement(
        _behind,
        _stacks,
        [
            Variant(
                "the jump is missing: after a stride of 2 neighbouring places lie 2 px apart, so kernels reach further",
                lambda layers: _counted(layers, grow=lambda k, s, d, step: d * (k - 1)),
            ),
            Variant(
                "a layer's own stride counted too early: it moves the places of this layer's output, so what "
                "this layer reads still lies as far apart as before",
                lambda layers: _counted(layers, early=True),
            ),
            Variant(
                "dilation left out: the weights stand `dilation` places apart",
                lambda layers: _counted(layers, grow=lambda k, s, d, step: (k - 1) * step),
            ),
            Variant(
                "kernel_size where kernel_size - 1 belongs: the first weight adds nothing, the field was there already",
                lambda layers: _counted(layers, grow=lambda k, s, d, step: d * k * step),
            ),
            Variant(
                "a dilated kernel is shorter: from its first to its last weight it reaches "
                "dilation * (kernel_size - 1) places, not dilation * kernel_size - 1",
                lambda layers: _counted(layers, grow=lambda k, s, d, step: (d * k - 1) * step),
            ),
            Variant(
                "off by one: begin with 1, for no layers see their own px",
                lambda layers: _counted(layers, seen=0),
            ),
            Variant(
                "strides added: the jump is their product",
                lambda layers: _counted(layers, move=lambda step, s: step + s - 1),
            ),
            Variant(
                "the stride added to the jump: each layer multiplies it, step *= stride",
                lambda layers: _counted(layers, move=lambda step, s: step + s),
            ),
            Variant(
                "stride and dilation swapped: a layer is (kernel size, stride, dilation), in this order",
                lambda layers: _counted([(kernel_size, d, s) for kernel_size, s, d in layers]),
            ),
            Variant(
                "only the last stride counts here: the jump is the product of all strides so far",
                lambda layers: _counted(layers, move=lambda step, s: s),
            ),
            Variant(
                "counted from the output to the image: a stride moves what comes after it, so begin at the image",
                lambda layers: _counted(layers[::-1]),
            ),
            Variant(
                "this is the jump, the px from one output to the next, not what an output sees",
                lambda layers: prod(stride for _, stride, _ in layers),
            ),
        ],
    ),
)


# --- convolutionalize(classifier) -----------------------------------------------------------------------------


def _classifiers() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(2)
    cases = [  # kernels, pools after each, side of the last map, size of the images
        ((3,), (2,), 1, (4, 6)),
        ((3,), (2,), 2, (9, 7)),
        ((3, 3), (3, 2), 1, (16, 23)),
        ((3, 1, 3), (2, 1, 2), 3, (25, 22)),
    ]
    for kernels, pools, side, (height, width) in cases:
        layers, channels = [], 2
        for kernel, pool in zip(kernels, pools):
            layers += [nn.Conv2d(channels, channels + 1, kernel), nn.ReLU(), *[nn.MaxPool2d(pool)] * (pool > 1)]
            channels += 1
        layers += [nn.Flatten(), nn.Linear(channels * side**2, 5), nn.ReLU(), nn.Linear(5, 3)]
        classifier = nn.Sequential(*layers)
        for parameter in classifier.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 2
        yield classifier, torch.rand(2, 2, height, width, generator=generator)


def _parts(classifier):
    """Return the layers before Flatten, both Linear, and channels and side of the maps that Flatten gets."""
    *features, _, first, _, second = classifier
    channels = [layer for layer in features if isinstance(layer, nn.Conv2d)][-1].out_channels
    return features, first, second, channels, round((first.in_features // channels) ** 0.5)


def _pools(classifier):
    return [layer.stride for layer in classifier if isinstance(layer, nn.MaxPool2d)]


@torch.no_grad()
def _laid_down(classifier, images):
    """Lay the classifier down on every crop, a stride apart."""
    features, *_, crop = _parts(classifier)
    for layer in reversed(features):
        if isinstance(layer, nn.MaxPool2d):
            crop = (crop - 1) * layer.stride + layer.kernel_size
        elif isinstance(layer, nn.Conv2d):
            crop += layer.kernel_size[0] - 1
    stride = prod(_pools(classifier))
    rows, columns = (range(0, size - crop + 1, stride) for size in images.shape[2:])
    logits = torch.empty(len(images), classifier[-1].out_features, len(rows), len(columns))
    for row, column in product(rows, columns):
        answer = classifier(images[:, :, row : row + crop, column : column + crop])
        logits[:, :, row // stride, column // stride] = answer
    return logits


@torch.no_grad()
def _dense(classifier, images, order="chw", relu=True, bias=True, pad=False, pool=True, strided=True):
    """Run the classifier as convolutions over the whole images; the settings bring in mistakes."""
    features, first, second, channels, side = _parts(classifier)
    shape = {"c": channels, "h": side, "w": side}
    kernel = first.weight.reshape(-1, *(shape[axis] for axis in order))
    kernel = kernel.permute(0, *(1 + order.index(axis) for axis in "chw"))
    maps = images
    for layer in features:
        if isinstance(layer, nn.MaxPool2d):
            if pool:
                maps = F.max_pool2d(maps, layer.kernel_size, layer.stride if strided else 1)
        elif isinstance(layer, nn.Conv2d) and pad:
            maps = F.conv2d(maps, layer.weight, layer.bias, padding="same")
        else:
            maps = layer(maps)
    maps = F.conv2d(maps, kernel, first.bias if bias else None)
    maps = maps.relu() if relu else maps
    return F.conv2d(maps, second.weight[:, :, None, None], second.bias if bias else None)


def _weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters() if parameter.ndim > 1])


def _run_dense(answer, classifier, images):
    weights = _weights(classifier)  # before the answer can touch them
    given = answer(classifier)
    if given is None or given is Ellipsis:
        return None
    if not isinstance(given, tuple) or len(given) != 2:
        raise Refusal(f"return two things, the network and its output stride: got one of type {type(given).__name__}")
    network, stride = given
    if not isinstance(network, nn.Module):
        raise Refusal(f"the network has to be a torch.nn.Module: got a value of type {type(network).__name__}")
    if any(isinstance(module, nn.Linear | nn.Flatten) for module in network.modules()):
        raise Refusal("a Flatten or Linear is left: they tie the network to one size; convolutions replace both Linear")
    if not torch.isin(weights, _weights(network)).all():
        raise Refusal("new weights: the network has to carry the classifier's numbers, not train or draw its own")
    pools = _pools(classifier)
    if stride != prod(pools):
        causes = {
            len(pools): "this is the number of poolings: multiply their strides",
            sum(pools): "strides added: each pooling multiplies the distance by its own stride",
            1: "an output stride of 1: that is the distance in the map; ask for px of the image",
        }
        raise Refusal(causes.get(stride, f"the output stride is the product of the poolings' strides: got {stride}"))
    try:
        with torch.no_grad():
            return network(images)
    except RuntimeError as error:
        first = next(layer for layer in classifier if isinstance(layer, nn.Linear))
        kernels = [module.weight.shape[1:] for module in network.modules() if isinstance(module, nn.Conv2d)]
        if (first.in_features, 1, 1) in kernels:
            raise Refusal(SMALL) from error
        raise


SMALL = "a 1 x 1 kernel reads one place: the first Linear needs a kernel as large as the maps that Flatten gets"
ORDER = "the first Linear reshaped in the wrong order: Flatten puts channels first, then rows, then columns (C, h, w)"

convolutionalize = Exercise(
    key="03_fully_convolutional/convolutionalize",
    title="A classifier with pooling, made fully convolutional",
    hints=(
        "Everything before Flatten takes any size already. Only Flatten and the two Linear have to go.",
        "The first Linear becomes a convolution whose kernel is as large as the maps that Flatten got; after it there "
        "is one place for each place of the classifier, so the second becomes a 1 x 1 convolution.",
        "conv.weight is linear.weight.reshape(K, C, h, h) with h = sqrt(in_features / C). The output stride is the "
        "product of the poolings' strides.",
    ),
    judge=agreement(
        _laid_down,
        _classifiers,
        [
            Variant(
                "padding added: the classifier has none, and zeros are not what it sees; leave its convolutions alone",
                lambda *case: _dense(*case, pad=True),
            ),
            Variant(
                "poolings left out: the weights behind them were learned on halved maps; keep every pooling",
                lambda *case: _dense(*case, pool=False),
            ),
            Variant(
                "poolings moved by 1 px: the weights behind them were learned on a wider grid; keep their stride",
                lambda *case: _dense(*case, strided=False),
            ),
            Variant(ORDER, lambda *case: _dense(*case, order="hwc")),
            Variant(ORDER, lambda *case: _dense(*case, order="cwh")),
            Variant(
                "the ReLU between the two Linear is missing: it belongs between the two convolutions",
                lambda *case: _dense(*case, relu=False),
            ),
            Variant(
                "the biases of the Linear are missing: they become those of the convolutions",
                lambda *case: _dense(*case, bias=False),
            ),
            Variant(
                "averaged over the places: that is one word for the whole image; leave the map as it is",
                lambda *case: _dense(*case).mean((2, 3)),
            ),
            Variant(
                "averaged over the places: that is one word for the whole image; leave the map as it is",
                lambda *case: _dense(*case).mean((2, 3), keepdim=True),
            ),
            Variant(
                "softmax applied: give logits, as the classifier does",
                lambda *case: _dense(*case).softmax(1),
            ),
        ],
        call=_run_dense,
        tolerance=1e-4,
    ),
)


# --- fuse(coarse, fine) ---------------------------------------------------------------------------------------


def _score_maps() -> Iterator[tuple]:
    generator = np.random.default_rng(3)

    def draw(*shape):
        return torch.from_numpy(generator.integers(-9, 10, shape).astype(np.float32))

    yield draw(1, 1, 1, 2), draw(1, 1, 2, 4)
    yield draw(1, 1, 2, 3), draw(1, 1, 3, 5)
    for size in range(16):
        height, width = (int(side) for side in generator.integers(1, 3 + size // 4, 2))
        lost = generator.integers(0, 2, 2)  # px that rounding up has added
        batch, classes = 1 + size % 2, 1 + size % 3
        shape = batch, classes, max(1, 2 * height - int(lost[0])), max(1, 2 * width - int(lost[1]))
        yield draw(batch, classes, height, width), draw(*shape)


def _added(coarse, fine):
    total = fine.clone()
    for image, class_id, row, column in product(*map(range, fine.shape)):
        total[image, class_id, row, column] += coarse[image, class_id, row // 2, column // 2]
    return total


def _copied(coarse):
    return coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _nails(coarse):
    rows, columns = (torch.arange(2 * size) % 2 == 0 for size in coarse.shape[2:])
    return _copied(coarse) * (rows[:, None] & columns)


def _cropped(enlarged, fine):
    return enlarged[:, :, : fine.shape[2], : fine.shape[3]]


fuse = Exercise(
    key="03_fully_convolutional/fuse",
    title="Two maps of scores, added",
    hints=(
        "coarse.repeat_interleave(2, dim=2) copies every row; do the same with dim=3 for the columns.",
        "The copy may have one row or column too many: keep the first H rows and W columns, [:, :, :H, :W].",
        "Add what is left to fine.",
    ),
    judge=agreement(
        _added,
        _score_maps,
        [
            Variant(
                "cropped at the top and left: that moves every score by a place; keep the first rows and columns",
                lambda coarse, fine: fine + _copied(coarse)[:, :, -fine.shape[2] :, -fine.shape[3] :],
            ),
            Variant(
                "the whole map set beside itself: repeat_interleave copies each score, repeat and tile copy the map",
                lambda coarse, fine: fine + _cropped(coarse.repeat(1, 1, 2, 2), fine),
            ),
            Variant(
                "enlarged bilinearly: here each score is copied into 2 x 2 places",
                lambda coarse, fine: fine + F.interpolate(coarse, fine.shape[2:], mode="bilinear"),
            ),
            Variant(
                "enlarged bilinearly: here each score is copied into 2 x 2 places",
                lambda coarse, fine: fine + _cropped(F.interpolate(coarse, scale_factor=2, mode="bilinear"), fine),
            ),
            Variant(
                "three of four places got nothing: copy each score into all of its 2 x 2 places",
                lambda coarse, fine: fine + _cropped(_nails(coarse), fine),
            ),
            Variant(
                "averaged, not added: the scores lose half of their weight",
                lambda coarse, fine: (fine + _cropped(_copied(coarse), fine)) / 2,
            ),
            Variant(
                "multiplied, not added: two scores below 0 would become one above",
                lambda coarse, fine: fine * _cropped(_copied(coarse), fine),
            ),
            Variant(
                "joined, not added: that gives twice as many channels, and each class has to keep one",
                lambda coarse, fine: torch.cat([fine, _cropped(_copied(coarse), fine)], dim=1),
            ),
            Variant(
                "the fine map is missing: these are the coarse scores alone",
                lambda coarse, fine: _cropped(_copied(coarse), fine),
            ),
            Variant(
                "the fine map shrunk to the coarse one: enlarge the coarse one instead, that keeps the fine places",
                lambda coarse, fine: coarse + fine[:, :, ::2, ::2],
            ),
            *(  # torch says the two sizes in the order of the sum
                variant
                for cause, mend in (
                    ("not cropped: the enlarged map may be 1 px too large; crop it to the size of fine", _copied),
                    (
                        "added as it is: coarse has half as many rows and columns; enlarge it first",
                        lambda coarse: coarse,
                    ),
                )
                for variant in (
                    Variant(cause, lambda coarse, fine, mend=mend: fine + mend(coarse)),
                    Variant(cause, lambda coarse, fine, mend=mend: mend(coarse) + fine),
                )
            ),
        ],
    ),
)
