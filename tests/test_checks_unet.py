"""The checkers of chapter 5 meet the right answer, the stub, and wrong answers that must each hear their own cause."""

import re
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib import losses
from lessons_lib.checks import unet as chapter
from lessons_lib.models.tiling import tile_with_margin
from lessons_lib.models.unet import UNet


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_PROGRESS", str(tmp_path / "progress.json"))


# --- the right answers, as a reader would write them ----------------------------------------------------------


def crop_and_join(deep, shallow):
    height, width = deep.shape[2:]
    top = (shallow.shape[2] - height) // 2
    left = (shallow.shape[3] - width) // 2
    return torch.cat([shallow[:, :, top : top + height, left : left + width], deep], dim=1)


def convolve_unjoined(deep, shallow, kernel, bias):
    first = shallow.shape[1]
    return F.conv2d(shallow, kernel[:, :first], bias) + F.conv2d(deep, kernel[:, first:])


def unet_parameters(widths, num_classes):
    def block(a, b):
        return 9 * a * b + 9 * b * b + 4 * b

    channels = (3, *widths, 2 * widths[-1])
    total = sum(block(a, b) for a, b in pairwise(channels))
    for deep, width in zip(channels[2:], widths):
        total += deep * width + width + block(2 * width, width)
    return total + widths[0] * num_classes + num_classes


def dice_loss(probabilities, class_ids):
    truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1)
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    area = (probabilities + truth).sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    return 1 - (2 * overlap[present] / area[present]).mean()


def freeze(encoder):
    encoder.requires_grad_(False).eval()
    encoder.train = lambda mode=True: encoder
    return encoder


def tiled(network, images, tile, reach, grid):
    margin = -(-reach // grid) * grid
    height, width = images.shape[2:]
    bands = []
    for top in range(0, height, tile):
        band = []
        for left in range(0, width, tile):
            above, before = max(0, top - margin), max(0, left - margin)
            crop = images[:, :, above : top + tile + margin, before : left + tile + margin]
            logits = network(crop)[:, :, top - above :, left - before :]
            band.append(logits[:, :, : min(tile, height - top), : min(tile, width - left)])
        bands.append(torch.cat(band, dim=3))
    return torch.cat(bands, dim=2)


RIGHT = [
    (chapter.crop_and_join, crop_and_join),
    (chapter.convolve_unjoined, convolve_unjoined),
    (chapter.unet_parameters, unet_parameters),
    (chapter.dice_loss, dice_loss),
    (chapter.freeze, freeze),
    (chapter.tiled, tiled),
]


# --- wrong answers: (exercise, words of the message, answer) --------------------------------------------------


def crop_from(start):
    """Crop from this function of the surplus on."""

    def answer(deep, shallow):
        rows, columns = shallow.shape[2] - deep.shape[2], shallow.shape[3] - deep.shape[3]
        crop = shallow[:, :, start(rows) :, start(columns) :][:, :, : deep.shape[2], : deep.shape[3]]
        return torch.cat([crop, deep], dim=1)

    return answer


def pad_deep(deep, shallow):
    y, x = shallow.shape[2] - deep.shape[2], shallow.shape[3] - deep.shape[3]
    return torch.cat([shallow, F.pad(deep, (x // 2, x - x // 2, y // 2, y - y // 2))], dim=1)


def deep_first(deep, shallow, kernel, bias):
    first = deep.shape[1]
    return F.conv2d(deep, kernel[:, :first], bias) + F.conv2d(shallow, kernel[:, first:])


def cut_in_the_middle(deep, shallow, kernel, bias):
    half = kernel.shape[1] // 2
    return F.conv2d(shallow, kernel[:, :half], bias) + F.conv2d(deep, kernel[:, half:])


def bias_twice(deep, shallow, kernel, bias):
    first = shallow.shape[1]
    return F.conv2d(shallow, kernel[:, :first], bias) + F.conv2d(deep, kernel[:, first:], bias)


def joined_all_the_same(deep, shallow, kernel, bias):
    return F.conv2d(torch.cat([shallow, deep], 1), kernel, bias)


def parameters(
    incoming=2, norm=4, biases=0, second=1, up=lambda d, w: d * w + w, bottom=2, head=lambda w, k: w * k + k
):
    def block(a, b):
        return 9 * a * b + second * 9 * b * b + norm * b + biases * b

    def answer(widths, num_classes):
        total, channels = 0, 3
        for width in widths:
            total, channels = total + block(channels, width), width
        if bottom:
            total, channels = total + block(channels, bottom * channels), bottom * channels
        for width in reversed(widths):
            total, channels = total + up(channels, width) + block(incoming * width, width), width
        return total + head(channels, num_classes)

    return answer


def dice_with(score, mean):
    def answer(probabilities, class_ids):
        truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1)
        overlap = (probabilities * truth).sum(dim=(0, 2, 3))
        area = (probabilities + truth).sum(dim=(0, 2, 3))
        return mean(score(overlap, area), truth.sum(dim=(0, 2, 3)) > 0)

    return answer


def plain(overlap, area):
    return 2 * overlap / area


def over_all(dice, present):
    return 1 - dice.mean()


def over_present(dice, present):
    return 1 - dice[present].mean()


def overlapping_only(probabilities, class_ids):
    truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1)
    overlap, area = (maps.sum((0, 2, 3)) for maps in (probabilities * truth, probabilities + truth))
    return over_present(2 * overlap / area, overlap > 0)


def dice_of_each_map(probabilities, class_ids):
    truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1)
    dice = 2 * (probabilities * truth).sum((2, 3)) / (probabilities + truth).sum((2, 3))
    return 1 - dice[truth.sum((2, 3)) > 0].mean()


def dice_with_squares(probabilities, class_ids):
    truth = F.one_hot(class_ids, probabilities.shape[1]).movedim(3, 1)
    dice = 2 * (probabilities * truth).sum((0, 2, 3)) / (probabilities**2 + truth).sum((0, 2, 3))
    return 1 - dice[truth.sum((0, 2, 3)) > 0].mean()


def dice_by_argmax(probabilities, class_ids):
    chosen = F.one_hot(probabilities.argmax(dim=1), probabilities.shape[1]).movedim(3, 1)
    return dice_loss(chosen, class_ids)


def only_weights(encoder):
    return encoder.requires_grad_(False)


def weights_and_eval(encoder):
    return encoder.requires_grad_(False).eval()


def only_eval(encoder):
    encoder.eval()
    encoder.train = lambda mode=True: encoder
    return encoder


def only_convolutions(encoder):
    freeze(encoder).requires_grad_(True)
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.requires_grad_(False)
    return encoder


def no_momentum(encoder):
    for layer in encoder.requires_grad_(False).modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0
    return encoder


def only_normalisations(encoder):
    for layer in encoder.requires_grad_(False).modules():
        if isinstance(layer, nn.BatchNorm2d):
            freeze(layer)
    return encoder


def frozen_in_place(encoder):
    freeze(encoder)


def no_gradients_at_all(encoder):
    torch.set_grad_enabled(False)
    return encoder.eval()


class Frozen(nn.Module):
    """The other good answer: a module of its own round the encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images):
        return self.encoder(images)


def tiles(margin, shift=False, clamp=True, after=True):
    """Cut with this margin, a function of reach and grid."""

    def answer(network, images, tile, reach, grid):
        m = margin(reach, grid)
        output = torch.zeros(len(images), 2, *images.shape[2:])
        for top in range(0, output.shape[2], tile):
            for left in range(0, output.shape[3], tile):
                above, before = (max(at - m, 0) if clamp else at - m for at in (top, left))
                below, behind = (at + tile + (m if after else 0) for at in (top, left))
                logits = network(images[:, :, above:below, before:behind])
                row, column = (m, m) if shift else (top - above, left - before)
                kept = logits[:, :, row : row + tile, column : column + tile]
                part = output[:, :, top : top + tile, left : left + tile]
                part[:] = kept[:, :, : part.shape[2], : part.shape[3]]
        return output

    return answer


def tiles_of_padded(mode):
    def answer(network, images, tile, reach, grid):
        m = -(-reach // grid) * grid
        wide = F.pad(images, (m, m, m, m), mode=mode)
        rows = []
        for top in range(0, images.shape[2], tile):
            row = [
                network(wide[:, :, top : top + tile + 2 * m, left : left + tile + 2 * m])[
                    :, :, m : m + tile, m : m + tile
                ]
                for left in range(0, images.shape[3], tile)
            ]
            rows.append(torch.cat(row, dim=3))
        return torch.cat(rows, dim=2)[:, :, : images.shape[2], : images.shape[3]]

    return answer


def both_margins_cut(network, images, tile, reach, grid):
    m = rounded_up(reach, grid)
    rows = []
    for top in range(0, images.shape[2], tile):
        row = []
        for left in range(0, images.shape[3], tile):
            crop = images[:, :, max(0, top - m) : top + tile + m, max(0, left - m) : left + tile + m]
            row.append(network(crop)[:, :, m:-m, m:-m])
        rows.append(torch.cat([part for part in row if part.numel()] or row, dim=3))
    return torch.cat([row for row in rows if row.numel()], dim=2)


def rounded_up(reach, grid):
    return (reach + grid - 1) // grid * grid


WRONG = [
    (chapter.crop_and_join, "at the bottom and right only", crop_from(lambda surplus: 0)),
    (chapter.crop_and_join, "at the top and left only", crop_from(lambda surplus: surplus)),
    (chapter.crop_and_join, "odd px is cut at the top", crop_from(lambda surplus: (surplus + 1) // 2)),
    (chapter.crop_and_join, "deep comes first", lambda d, s: crop_and_join(d, s).roll(d.shape[1], 1)),
    (chapter.crop_and_join, r"has to be an array of shape \(1, 2, 2, 2\), and it is .*\(1, 2, 3, 3\)", pad_deep),
    (chapter.crop_and_join, "the skip is resized", lambda d, s: torch.cat([F.interpolate(s, d.shape[2:]), d], 1)),
    (chapter.crop_and_join, "not cropped", lambda d, s: torch.cat([s, d], 1)),
    (chapter.crop_and_join, "along dim=0", lambda d, s: torch.cat([s[:, :, : d.shape[2], : d.shape[3]], d])),
    (chapter.convolve_unjoined, "the bias counts twice", bias_twice),
    (chapter.convolve_unjoined, "the bias is missing", lambda *case: convolve_unjoined(*case[:3], None)),
    (chapter.convolve_unjoined, "the parts are swapped", deep_first),
    (chapter.convolve_unjoined, "cut in the middle", cut_in_the_middle),
    (chapter.convolve_unjoined, "the maps are joined", joined_all_the_same),
    (chapter.unet_parameters, "as with addition", parameters(incoming=1)),
    (chapter.unet_parameters, "normalisations are missing", parameters(norm=0)),
    (chapter.unet_parameters, "make 4 b", parameters(norm=2)),
    (chapter.unet_parameters, "encoder 98 .*, head 3", parameters(up=lambda d, w: 0, head=lambda w, k: w * k)),
    (chapter.unet_parameters, "running means and variances", parameters(norm=8)),
    (chapter.unet_parameters, "a bias in each", parameters(biases=2)),
    (chapter.unet_parameters, "one convolution a block", parameters(second=0, norm=2)),
    (chapter.unet_parameters, "that narrow on the way up are missing", parameters(up=lambda d, w: 0)),
    (chapter.unet_parameters, "that narrow have biases", parameters(up=lambda d, w: d * w)),
    (chapter.unet_parameters, "as in the paper", parameters(up=lambda d, w: 4 * d * w + w)),
    (chapter.unet_parameters, "the bottleneck is missing", parameters(bottom=0)),
    (chapter.unet_parameters, "twice the last width", parameters(bottom=1)),
    (chapter.unet_parameters, "the head is missing", parameters(head=lambda w, k: 0)),
    (chapter.unet_parameters, "the head has biases", parameters(head=lambda w, k: w * k)),
    (chapter.dice_loss, "counts as a loss of 1", dice_with(lambda o, a: 2 * o / (a + 1e-6), over_all)),
    (chapter.dice_loss, "the network missed", overlapping_only),
    (chapter.dice_loss, "neither true nor predicted", dice_with(plain, over_all)),
    (chapter.dice_loss, "counts as a loss of 0", dice_with(plain, lambda d, present: 1 - d.where(present, 1).mean())),
    (chapter.dice_loss, "1 added above and below", dice_with(lambda o, a: (2 * o + 1) / (a + 1), over_all)),
    (chapter.dice_loss, "a Dice for each image", dice_of_each_map),
    (chapter.dice_loss, "squared probabilities", dice_with_squares),
    (chapter.dice_loss, "has to fall", dice_with(plain, lambda d, present: d[present].mean())),
    (chapter.dice_loss, "are added", dice_with(plain, lambda d, present: (1 - d[present]).sum())),
    (chapter.dice_loss, "the IoU's", dice_with(lambda o, a: o / (a - o), over_present)),
    (chapter.dice_loss, "class 0 is left out", dice_with(plain, lambda d, p: 1 - d[1:][p[1:]].mean())),
    (chapter.dice_loss, "has to be one number", dice_with(plain, lambda d, present: 1 - d)),
    (chapter.dice_loss, "no gradient reaches", dice_by_argmax),
    (chapter.freeze, "the weights move", only_eval),
    (chapter.freeze, "some weights still move, 1.bias", only_convolutions),
    (chapter.freeze, "BatchNorm is in training mode; eval mode has to outlast", weights_and_eval),
    (chapter.freeze, "uses the batch's own mean", no_momentum),
    (chapter.freeze, "a Dropout still drops", only_normalisations),
    (chapter.freeze, "your code raises RuntimeError: element 0", no_gradients_at_all),
    (chapter.freeze, "doesn't come back", frozen_in_place),
    (chapter.tiled, "where a tile ends", tiles(lambda reach, grid: 0)),
    (chapter.tiled, "margin is one grid", tiles(lambda reach, grid: grid)),
    (chapter.tiled, "rounded down", tiles(lambda reach, grid: reach // grid * grid)),
    (chapter.tiled, "off the poolings' grid", tiles(lambda reach, grid: reach)),
    (chapter.tiled, "made up beyond the image", tiles_of_padded("reflect")),
    (chapter.tiled, "below and at the right", tiles(rounded_up, after=False)),
    (chapter.tiled, "nothing is to be cut off", tiles(rounded_up, shift=True)),
    (chapter.tiled, "is below 0", tiles(rounded_up, clamp=False)),
    (chapter.tiled, "px are missing", both_margins_cut),
    (chapter.tiled, "18 px at once, and 12 are enough", lambda network, images, *_: network(images)),
    (chapter.tiled, "16 px at once.*smallest margin", tiles(lambda reach, grid: reach // grid * grid + grid)),
]  # fmt: skip


def test_the_right_answer_passes():
    for exercise, answer in RIGHT:
        assert re.fullmatch(r"passed: all \d+ cases agree", repr(exercise.check(answer))), exercise.check(answer)
        assert len(exercise.hints) == 3
        assert exercise.key.startswith("05_unet/")


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_a_stub_is_still_to_write(exercise):
    for stub in (lambda *arguments: None, lambda *arguments: ...):
        verdict = exercise.check(stub)
        assert not verdict.begun
        assert repr(verdict) == "not yet: still to write: the function returns nothing so far"


@pytest.mark.parametrize(("exercise", "words", "answer"), WRONG, ids=lambda value: getattr(value, "key", None))
def test_a_wrong_answer_hears_its_cause(exercise, words, answer):
    verdict = exercise.check(answer)
    assert not verdict.passed and verdict.begun
    assert re.search(words, verdict.message), verdict
    assert max(map(len, repr(verdict).splitlines())) < 280


@pytest.mark.parametrize(
    ("exercise", "words", "answer"),
    [
        (chapter.freeze, "BatchNorm is in training mode", only_weights),
        (chapter.unet_parameters, "make 4 b", parameters(norm=0, biases=2)),
        (
            chapter.unet_parameters,
            "the function returns None here",
            lambda w, k: None if k == 1 else unet_parameters(w, k),
        ),
    ],
)
def test_another_answer_hears_the_same_cause(exercise, words, answer):
    assert re.search(words, exercise.check(answer).message), exercise.check(answer)


def test_the_parts_of_the_small_case_are_those_of_the_network():
    network = UNet((2, 3), 1)
    parts = [*network.encoder, network.bottleneck, *(level.narrow for level in network.decoder)]
    parts += [*(level.refine for level in network.decoder), network.head]
    counts = [sum(parameter.numel() for parameter in part.parameters()) for part in parts]
    assert [int(number) for number in re.findall(r"\d+", chapter.PARTS.split(": ")[1])] == counts
    assert sum(counts) == chapter._counted((2, 3), 1)


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_the_case_line_is_in_words(exercise):
    for other, _, answer in WRONG:
        if other is exercise:
            case = exercise.check(answer).case
            assert len(case) < 250 and not re.search(r"0x|functools|kernel_size|\.\.\.", case), case


@pytest.mark.parametrize("exercise", [chapter.tiled, chapter.crop_and_join], ids=lambda exercise: exercise.key)
def test_the_first_hint_gives_no_formula(exercise):
    assert "//" not in exercise.hints[0] and "rounded" not in exercise.hints[0]


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_different_causes_have_different_messages(exercise):
    messages = [exercise.check(answer).message for other, _, answer in WRONG if other is exercise]
    assert len(set(messages)) == len(messages) >= 3


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (chapter.freeze, Frozen),
        (chapter.freeze, lambda encoder: nn.Sequential(Frozen(encoder))),
        (
            chapter.tiled,
            lambda network, images, *case: tile_with_margin(network, images, case[0], rounded_up(*case[1:])),
        ),
        (chapter.dice_loss, lambda probabilities, class_ids: losses.dice_loss(probabilities.log(), class_ids)),
    ],
)
def test_other_ways_pass_too(exercise, answer):
    assert exercise.check(answer).passed, exercise.check(answer)


def test_the_oracles_give_what_was_worked_out_by_hand():
    skip, deep = torch.arange(9.0).reshape(1, 1, 3, 3), torch.full((1, 1, 2, 2), 9.0)
    assert chapter._side_by_side(deep, skip).tolist() == [[[[0, 1], [3, 4]], [[9, 9], [9, 9]]]]
    skip = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert chapter._side_by_side(deep, skip)[0, 0].tolist() == [[5, 6], [9, 10]]
    # widths (1,), K 1; blocks 3 to 1, 1 to 2, 2 to 1: 9 a b + 9 b b + 4 b; narrow 2 + 1, head 1 + 1
    assert chapter._counted((1,), 1) == (27 + 9 + 4) + (18 + 36 + 8) + (2 + 1) + (18 + 9 + 4) + 2
    probabilities = torch.tensor([[[[0.75, 0.5]], [[0.25, 0.5]], [[0.0, 0.0]]]])
    both = 1 - 2 * 0.75 / 2.25, 1 - 2 * 0.5 / 1.75
    assert chapter._pixel_by_pixel(probabilities, torch.tensor([[[0, 1]]])) == pytest.approx(sum(both) / 2)
    assert chapter._pixel_by_pixel(probabilities, torch.tensor([[[0, 0]]])) == pytest.approx(1 - 2.5 / 3.25)


def test_the_reach_is_how_far_an_output_sees():
    torch.manual_seed(0)
    for network, images, tile, reach, grid in chapter._tilings():
        assert tile % grid == 0 and all(side % grid == 0 for side in images.shape[2:])
        seen = torch.zeros(2)
        for row in range(20, 20 + grid):
            drawn = torch.rand(1, 1, 45, 45, requires_grad=True)
            network(drawn)[0, :, row, row].sum().backward()
            places = drawn.grad[0, 0].nonzero() - row
            seen = torch.maximum(seen, torch.stack([-places.min(), places.max()]))
        assert seen.tolist() == [reach, reach], (seen, reach)


def test_a_reach_may_lie_on_the_grid_or_beside_it():
    assert {reach % grid == 0 for *_, reach, grid in chapter._tilings()} == {True, False}


def test_switching_gradients_off_lasts_no_longer_than_the_check():
    assert not chapter.freeze.check(no_gradients_at_all).passed
    assert torch.is_grad_enabled() and chapter.freeze.check(freeze).passed
