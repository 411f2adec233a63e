"""Checkers of chapter 5, "U-Net". Every oracle goes place by place, counts in the network itself, or runs it whole."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.checks.base import Exercise, Refusal, Variant, agreement
from lessons_lib.models.unet import UNet


def _mistakes(function: Callable, *settings: tuple[str, dict]) -> list[Variant]:
    """Name the mistakes that a function makes with other settings."""
    return [Variant(cause, partial(function, **changes)) for cause, changes in settings]


def _drawn(generator, *shape):
    """Whole numbers and halves, so that sums are exact in any order."""
    return torch.randint(1, 40, shape, generator=generator) / 2


# --- crop_and_join(deep, shallow) -----------------------------------------------------------------------------
def _pairs() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(1)
    sizes = [(2, 2, 3, 3), (2, 2, 5, 4), (4, 4, 4, 4), (6, 4, 6, 5), (4, 5, 9, 6), (4, 3, 8, 9)]
    for number, (height, width, *size) in enumerate(sizes):
        batch, deep_channels, channels = 1 + number % 2, 1 + number % 3, 1 + number // 2
        yield _drawn(generator, batch, deep_channels, height, width), _drawn(generator, batch, channels, *size)


def _side_by_side(deep, shallow):
    """Fill the joined map place by place."""
    above, before = ((large - small) // 2 for large, small in zip(shallow.shape[2:], deep.shape[2:]))
    joined = torch.empty(len(deep), shallow.shape[1] + deep.shape[1], *deep.shape[2:])
    for row, column in product(*map(range, deep.shape[2:])):
        joined[:, :, row, column] = torch.cat([shallow[:, :, row + above, column + before], deep[:, :, row, column]], 1)
    return joined


def _joined(deep, shallow, start=lambda surplus: surplus // 2, order=1, dim=1, crop=None):
    """Crop from `start` on, or by `crop`, and join; the settings bring in mistakes."""
    above, before = (start(large - small) for large, small in zip(shallow.shape[2:], deep.shape[2:]))
    middle = shallow[..., above : above + deep.shape[2], before : before + deep.shape[3]]
    return torch.cat([crop(deep, shallow) if crop else middle, deep][::order], dim=dim)


crop_and_join = Exercise(
    key="05_unet/crop_and_join",
    title="A skip connection where the sizes differ",
    hints=(
        "Draw 5 rows, and 2 rows over their middle. How many are too many, how many of these above? And with 6 rows?",
        "surplus // 2 is where the crop begins; it goes on for as many rows as deep has. Columns likewise.",
        "shallow[:, :, top : top + h, left : left + w], with h, w = deep.shape[2:]; then torch.cat along dim=1.",
    ),
    judge=agreement(
        _side_by_side,
        _pairs,
        _mistakes(
            _joined,
            ("cropped at the bottom and right only: half of the surplus is above and left", {"start": lambda n: 0}),
            ("cropped at the top and left only: half of the surplus is below and right", {"start": lambda n: n}),
            ("the odd px is cut at the top: pooling drops the last one", {"start": lambda n: -(-n // 2)}),
            ("deep comes first here: the skip's channels go before those of deep", {"order": -1}),
            ("joined along dim=0, the batch: that would be more images; channels are dim=1", {"dim": 0}),
            ("the skip is resized, which moves px: crop", {"crop": lambda d, s: F.interpolate(s, d.shape[2:])}),
            ("not cropped: all sizes but the channels must agree", {"crop": lambda d, s: s}),
        ),
    ),
)


# --- convolve_unjoined(deep, shallow, kernel, bias) -----------------------------------------------------------
def _kernels() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(2)
    for outputs, deep, shallow, side in [(1, 1, 1, 1), (2, 2, 2, 3), (3, 3, 2, 3), (2, 1, 4, 1)]:
        maps = (_drawn(generator, 2, channels, 4, 5) for channels in (deep, shallow))
        yield *maps, _drawn(generator, outputs, shallow + deep, side, side), _drawn(generator, outputs)


def _unjoined(deep, shallow, kernel, bias, biases=1, order=1, middle=False):
    """Convolve each map on its own; the settings bring in mistakes."""
    maps = (shallow, deep)[::order]
    first = kernel.shape[1] // 2 if middle else maps[0].shape[1]
    return sum(map(F.conv2d, maps, (kernel[:, :first], kernel[:, first:]))) + biases * bias[:, None, None]


def _without_cat(answer, *case):
    if hasattr(answer, "__code__") and {"cat", "concat", "concatenate"} & set(answer.__code__.co_names):
        raise Refusal("the maps are joined: the point is to do without; convolve each with its part of the kernel")
    return answer(*case)


convolve_unjoined = Exercise(
    key="05_unet/convolve_unjoined",
    title="A concatenation that never happens",
    hints=(
        "In the joined maps the first C channels come from shallow. Which part of the kernel do they meet?",
        "kernel[:, :C] meets shallow, kernel[:, C:] meets deep. A convolution sums over the channels that go in.",
        "F.conv2d(shallow, kernel[:, :C], bias) + F.conv2d(deep, kernel[:, C:]), with C = shallow.shape[1].",
    ),
    judge=agreement(
        lambda deep, shallow, kernel, bias: F.conv2d(torch.cat([shallow, deep], dim=1), kernel, bias),
        _kernels,
        _mistakes(
            _unjoined,
            ("the bias counts twice: give it to one of the two convolutions", {"biases": 2}),
            ("the bias is missing", {"biases": 0}),
            ("the parts are swapped: the first channels that the kernel meets are those of the skip", {"order": -1}),
            ("the kernel is cut in the middle: the skip has C channels, and deep may have others", {"middle": True}),
        ),
        call=_without_cat,
        tolerance=1e-3,
    ),
)


# --- unet_parameters(widths, num_classes) ---------------------------------------------------------------------
def _counted(widths, num_classes):
    """Build the network without memory for its numbers, and count them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in UNet(widths, num_classes).parameters())


def _formula(widths, num_classes, bias=0, norm=2, second=1, joined=2, up=(1, 1), bottom=2, head=(1, 1)):
    """Sum over the blocks; the settings bring in mistakes."""

    def block(before, after):
        return (9 * before + bias + norm) * after + second * (9 * after + bias + norm) * after

    deepest = (bottom or 1) * widths[-1]
    total = sum(map(block, (3, *widths), widths)) + (block(widths[-1], deepest) if bottom else 0)
    for deep, width in zip((*widths[1:], deepest), widths):
        total += (up[0] * deep + up[1]) * width + block(joined * width, width)
    return total + (head[0] * widths[0] + head[1]) * num_classes


PARTS = "compare parts with UNet((2, 3), 1): encoder 98 + 147, bottleneck 510, narrow 21 + 8, refine 255 + 116, head 3"

unet_parameters = Exercise(
    key="05_unet/unet_parameters",
    title="The parameters of a U-Net, by formula",
    hints=(
        "Write a helper first. A block from a to b channels has 9 a b + 9 b b weights, and 2 b + 2 b for normalising.",
        "Way down: blocks from 3 to widths[0], from widths[0] to widths[1], …; bottleneck: widths[-1] to 2 widths[-1].",
        "Way up, to each width w from d channels: d w + w to narrow, a block from 2 w to w. Head: widths[0] K + K.",
    ),
    judge=agreement(
        _counted,
        lambda: [((1,), 1), ((4,), 2), ((2, 3), 1), ((16, 32, 64), 7), ((8, 8, 8, 8), 3), ((64, 128, 256, 512), 2)],
        _mistakes(
            _formula,
            ("the blocks on the way up get w channels here, as with addition: joined maps bring 2 w", {"joined": 1}),
            ("the normalisations are missing: a scale and a shift for every channel", {"norm": 0}),
            ("2 b beside a block's weights: two normalisations, each b scales and b shifts, make 4 b", {"norm": 1}),
            ("running means and variances counted: they are no parameters, only scale and shift are", {"norm": 4}),
            ("a bias in each 3 x 3 convolution: these have none, the normalisation shifts already", {"bias": 1}),
            ("one convolution a block: it has two, the second from b to b channels", {"second": 0}),
            ("the 1 x 1 convolutions that narrow on the way up are missing", {"up": (0, 0)}),
            ("the 1 x 1 convolutions that narrow have biases", {"up": (1, 0)}),
            ("2 x 2 up-convolutions, as in the paper: this network resizes, and narrows with 1 x 1", {"up": (4, 1)}),
            ("the bottleneck is missing", {"bottom": 0}),
            ("the bottleneck has twice the last width", {"bottom": 1}),
            ("the head is missing: a 1 x 1 convolution to num_classes", {"head": (0, 0)}),
            ("the head has biases, one a class", {"head": (1, 0)}),
        ),
        difference=lambda given, total: PARTS if isinstance(given, int | float) else "",
    ),
)


# --- dice_loss(probabilities, class_ids) ----------------------------------------------------------------------
def _batches() -> Iterator[tuple]:
    yield torch.tensor([[[[0.75, 0.5]], [[0.25, 0.5]]]]), torch.tensor([[[0, 1]]])
    yield torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]]), torch.tensor([[[0, 1]]])  # class 0 is there, and missed
    generator = torch.Generator().manual_seed(3)
    for batch, num_classes, present in [(1, 3, (0, 2)), (1, 3, (0, 2)), (2, 3, (1, 2)), (3, 4, (0, 1, 3))]:
        class_ids = torch.tensor(present)[torch.randint(len(present), (batch, 3, 4), generator=generator)]
        class_ids[0, :, 1:] = present[0]  # what the batch holds may be empty in one image
        yield torch.randn(batch, num_classes, 3, 4, generator=generator).softmax(dim=1), class_ids
    yield F.one_hot(torch.tensor([[[0, 1, 1]]]), 3).movedim(3, 1).float(), torch.tensor([[[0, 0, 1]]])


def _pixel_by_pixel(probabilities, class_ids):
    losses = []
    for class_id in class_ids.unique().tolist():
        overlap = area = 0
        for image, row, column in product(*map(range, class_ids.shape)):
            probability = float(probabilities[image, class_id, row, column])
            true = int(class_ids[image, row, column] == class_id)
            overlap, area = overlap + probability * true, area + probability + true
        losses.append(1 - 2 * overlap / area)
    return sum(losses) / len(losses)


def _loss(probabilities, class_ids, mean=lambda s, p: 1 - s[p].mean(), axes=(0, 2, 3), power=1, add=(0, 0)):
    """Take the mean of the scores s of the classes, where p says that they are present; settings bring in mistakes."""
    truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1).float()
    overlap, true = (probabilities * truth).sum(axes), truth.sum(axes)
    return mean((2 * overlap + add[0]) / ((probabilities**power).sum(axes) + true + add[1]), true > 0)


def _with_gradient(answer, probabilities, class_ids):
    loss = answer(probabilities.requires_grad_(), class_ids)
    if loss not in (None, ...) and not getattr(loss, "requires_grad", False):
        raise Refusal("no gradient reaches the network: argmax, round, float() and .item() cut it off; stay with sums")
    return loss


EMPTY = "an empty class counts as a loss of 1, whatever the network does: nothing to learn from; leave it out"
MISSED = "a class that the network missed is left out: empty is a class without a true px, not one without overlap"
ADDED = "1 added above and below: that gives empty classes a say, and flatters small ones"
ALL = {"mean": lambda s, p: 1 - s.mean()}

dice_loss = Exercise(
    key="05_unet/dice_loss",
    title="A Dice loss that bears an empty class",
    hints=(
        "F.one_hot(class_ids, K).movedim(3, 1) has the shape of probabilities: 1 where the class is true, else 0.",
        "Sum over images, rows and columns, dim=(0, 2, 3): one number for each class is left.",
        "present = truth.sum((0, 2, 3)) > 0; the loss is 1 - dice[present].mean().",
    ),
    judge=agreement(
        _pixel_by_pixel,
        _batches,
        _mistakes(
            _loss,
            (EMPTY, {"add": (0, 1e-7), **ALL}),
            (EMPTY, {"add": (1e-7, 1e-7), **ALL}),
            (EMPTY, {"mean": lambda s, p: 1 - s.nanmean()}),
            (MISSED, {"mean": lambda s, p: 1 - s[s > 0].mean()}),
            ("0 / 0: a class neither true nor predicted has no Dice; choose the present classes first", ALL),
            (ADDED, {"add": (1, 1)}),
            (ADDED, {"add": (1, 1), **ALL}),
            ("a Dice for each image, then the mean: sum over the images first", {"axes": (2, 3)}),
            ("squared probabilities in the area: others do so; here take their plain sum", {"power": 2}),
            ("an empty class counts as a loss of 0: leave it out", {"mean": lambda s, p: 1 - s.where(p, 1).mean()}),
            ("this is the Dice, and a loss has to fall: 1 minus it", {"mean": lambda s, p: s[p].mean()}),
            ("the classes' losses are added: take their mean", {"mean": lambda s, p: (1 - s[p]).sum()}),
            ("that is the IoU's: Dice has twice the overlap", {"mean": lambda s, p: 1 - (s / (2 - s))[p].mean()}),
            ("class 0 is left out: it counts, too", {"mean": lambda s, p: 1 - s[1:][p[1:]].mean()}),
        ),
        call=_with_gradient,
        tolerance=1e-5,
    ),
)


# --- freeze(encoder) ------------------------------------------------------------------------------------------
class _Layers(nn.Sequential):
    def __repr__(self):
        return f"layers ({', '.join(repr(m) if isinstance(m, _Layers) else type(m).__name__ for m in self)})"


def _encoders() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(4)
    for more in ([nn.ReLU()], [nn.Dropout(0.5), _Layers(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))]):
        encoder = _Layers(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), *more)
        for values in (*encoder.parameters(), *encoder.buffers()):
            values.data = values.data + torch.rand(values.shape, generator=generator).to(values.dtype)
        yield encoder, torch.rand(4, 1, 6, 7, generator=generator)


@torch.enable_grad()
def _train_on_top(answer, encoder, images):
    """Train a new layer on what the answer gives, and look what else has moved."""
    before = deepcopy(encoder.state_dict())
    frozen = answer(encoder)
    if not isinstance(frozen, nn.Module):
        if encoder.training and all(parameter.requires_grad for parameter in encoder.parameters()):
            return frozen
        raise Refusal("the encoder has changed, but it doesn't come back: return it")
    network = nn.Sequential(frozen, nn.Conv2d(2, 2, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(2):
        network.train()
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()
    after = frozen.state_dict().values()
    changed = (name for (name, old), new in zip(before.items(), after) if not torch.equal(old, new))
    moved = {name for name in changed if "num_batches" not in name}  # that number counts, and decides nothing
    learned = moved & dict(encoder.named_parameters()).keys()
    features = network.train()[0](images)
    training = {type(module) for module in frozen.modules() if module.training}
    for wrong, cause in [
        (len(learned) == len([*encoder.parameters()]), "the weights move: switch requires_grad off for each of them"),
        (learned, f"some weights still move, {min(learned, default='')} for one: normalisations have weights, too"),
        (moved, "the running means move: BatchNorm is in training mode; eval mode has to outlast network.train()"),
        (nn.BatchNorm2d in training, "a BatchNorm uses the batch's own mean, as in training: it needs eval mode"),
        (nn.Dropout in training, "a Dropout still drops: the whole encoder needs eval mode, not its BatchNorms alone"),
    ]:
        if wrong:
            raise Refusal(cause)
    return features


freeze = Exercise(
    key="05_unet/freeze",
    title="A frozen encoder that stays frozen",
    hints=(
        "encoder.requires_grad_(False) is for the weights. What else in a BatchNorm changes while a network trains?",
        "encoder.eval() stops the running means too, but network.train() calls train() of every module in it.",
        "A module's method can be replaced: encoder.train = lambda mode=True: encoder. Before that, call eval().",
    ),
    judge=agreement(lambda encoder, images: deepcopy(encoder).eval()(images).detach(), _encoders, call=_train_on_top),
)


# --- tiled(network, images, tile, reach, grid) ----------------------------------------------------------------
class _Padded(partial):
    def __repr__(self):
        return "layers (convolve, pool by {}, convolve, enlarge, convolve {} x {})".format(*self.args, self.args[1])


def _padded(pool, side, images):
    """Convolve, pool, convolve, enlarge, convolve: an output sees 2 * pool + side // 2 px to each side."""
    generator = torch.Generator().manual_seed(pool)
    kernels = (torch.randn(2, *shape, generator=generator) for shape in [(1, 3, 3), (2, 3, 3), (2, side, side)])
    fine, coarse, last = (partial(F.conv2d, weight=kernel, padding="same") for kernel in kernels)
    large = F.interpolate(coarse(F.max_pool2d(fine(images), pool, ceil_mode=True)), scale_factor=pool)
    return last(large[..., : images.shape[2], : images.shape[3]])


def _tilings() -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(5)
    for pool, side, *shape in [(2, 1, 1, 16, 18), (2, 3, 1, 16, 18), (4, 3, 2, 36, 48), (3, 3, 1, 33, 24)]:
        images = torch.rand(shape, generator=generator)[:, None]
        yield _Padded(_padded, pool, side), images, 2 * pool, 2 * pool + side // 2, pool


def _up(reach, grid):
    return -(-reach // grid) * grid


def _tiles(network, images, tile, reach, grid, margin=_up, after=1, nearest=0, shift=False):
    """Go tile by tile; the settings bring in mistakes."""
    output, margin = network(images), margin(reach, grid)
    for top, left in product(*(range(0, size, tile) for size in images.shape[2:])):
        above, before = (max(at - margin, nearest) for at in (top, left))
        below, behind = (at + tile + after * margin for at in (top, left))
        row, column = (margin, margin) if shift else (top - above, left - before)
        kept = network(images[..., above:below, before:behind])[..., row : row + tile, column : column + tile]
        output[..., top : top + tile, left : left + tile] = kept
    return output


def _beyond(network, images, tile, reach, grid, mode):
    margin = _up(reach, grid)
    return F.pad(network(F.pad(images, (margin,) * 4, mode=mode)), (-margin,) * 4)


def _watched(answer, network, images, tile, reach, grid):
    sizes, limit = [0], tile + 2 * _up(reach, grid)

    def watched(crop):
        sizes.append(max(crop.shape[2:]))
        return network(crop)

    result = answer(watched, images, tile, reach, grid)
    if max(sizes) > limit:
        raise Refusal(f"{max(sizes)} px at once, and {limit} are enough: a tile, and the smallest margin that works")
    return result


SMALL = "px are missing: a crop at the border has no margin there to cut off, and the last tile may be smaller"
BORDER = "px made up beyond the image: this network pads in every layer by itself; end the crop with the image"

tiled = Exercise(
    key="05_unet/tiled",
    title="Tiles without seams",
    hints=(
        "A crop holds all that the tile's logits see, and begins where a pooling's cell does. Which margin does both?",
        "Round the reach up to a multiple of grid. A crop at the border has no margin there: where in it is the tile?",
        "Crop from above = max(0, top - margin) to top + tile + margin, and keep tile rows, from top - above on.",
    ),
    judge=agreement(
        lambda network, images, tile, reach, grid: network(images),
        _tilings,
        _mistakes(
            _tiles,
            ("no margin: where a tile ends it meets the network's padding", {"margin": lambda reach, grid: 0}),
            ("the margin is one grid, and an output sees further", {"margin": lambda reach, grid: grid}),
            ("the margin is rounded down: round up", {"margin": lambda reach, grid: reach // grid * grid}),
            ("crops begin off the poolings' grid: round the reach up", {"margin": lambda reach, grid: reach}),
            ("no margin below and at the right: an output sees to all sides", {"after": 0}),
            ("a crop at the border has no margin there: nothing is to be cut off at that side", {"shift": True}),
            ("top - margin is below 0, and a slice takes that from the end: max(0, …)", {"nearest": -99}),
        )
        + _mistakes(_beyond, *((BORDER, {"mode": mode}) for mode in ("constant", "reflect", "replicate"))),
        call=_watched,
        difference=lambda given, whole: SMALL if getattr(given, "shape", whole.shape) < whole.shape else "",
        tolerance=1e-4,
    ),
)
