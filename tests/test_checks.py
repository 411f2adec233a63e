"""Every checker meets the right answer, the stub, and wrong answers that must each get a message of their own."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.checks import segmentation, sliding_window
from lessons_lib.checks.base import Exercise, Variant, agreement


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_PROGRESS", str(tmp_path / "progress.json"))


# --- the right answers, as a reader would write them ----------------------------------------------------------


def class_shares(class_ids, num_classes):
    known = class_ids[class_ids != 255]
    return np.bincount(known, minlength=num_classes) / known.size


def mean_iou(true, predicted, num_classes):
    known = true != 255
    true, predicted = true[known], predicted[known]
    ious = []
    for c in range(num_classes):
        union = ((true == c) | (predicted == c)).sum()
        if union > 0:
            ious.append(((true == c) & (predicted == c)).sum() / union)
    return np.mean(ious)


def crop_around(image, row, column, window):
    half = window // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")
    return padded[row : row + window, column : column + window]


def reads_of_pixel(row, column, height, width, window):
    half = window // 2
    rows = min(height - 1, row + half) - max(0, row - half) + 1
    columns = min(width - 1, column + half) - max(0, column - half) + 1
    return rows * columns


def multiplications(height, width, window, layers):
    size, one_window = window, 0
    for kernel, c_in, c_out in layers:
        size = size - kernel + 1
        one_window += c_out * size**2 * c_in * kernel**2
    return height * width * one_window


def dense_twin(patch_network):
    *layers, _, linear = patch_network
    convs = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    channels = convs[-1].out_channels
    side = round((linear.in_features / channels) ** 0.5)
    last = nn.Conv2d(channels, linear.out_features, side)
    last.weight.data = linear.weight.data.reshape(last.weight.shape)
    last.bias.data = linear.bias.data
    half = sum(conv.kernel_size[0] // 2 for conv in [*convs, last])
    return nn.Sequential(nn.ReplicationPad2d(half), *layers, last)


RIGHT = [
    (segmentation.class_shares, class_shares),
    (segmentation.mean_iou, mean_iou),
    (segmentation.crop_around, crop_around),
    (sliding_window.reads_of_pixel, reads_of_pixel),
    (sliding_window.multiplications, multiplications),
    (sliding_window.dense_twin, dense_twin),
]


# --- wrong answers: (exercise, words of the message, answer) --------------------------------------------------


def bincount_alone(class_ids, num_classes):
    known = class_ids[class_ids != 255]
    return np.bincount(known) / known.size


def bincount_of_present(class_ids, num_classes):
    _, counts = np.unique(class_ids[class_ids != 255], return_counts=True)
    return counts / counts.sum()


def integer_shares(class_ids, num_classes):
    shares = np.zeros(num_classes, int)
    shares[:] = class_shares(class_ids, num_classes)
    return shares


def trips_over_void(class_ids, num_classes):
    shares = np.zeros(num_classes)
    for class_id in class_ids.flat:
        shares[class_id] += 1
    return shares / shares.sum()


def writes_into_its_argument(class_ids, num_classes):
    number_of_void = (class_ids == 255).sum()
    class_ids[class_ids == 255] = 0
    counts = np.bincount(class_ids.flat, minlength=num_classes)
    counts[0] -= number_of_void
    return counts / counts.sum()


def forgets_a_path(class_ids, num_classes):
    return class_shares(class_ids, num_classes) if class_ids.size < 6 else None


def ious(true, predicted, num_classes, known=None):
    known = true != 255 if known is None else known
    tables = [np.stack([labels[known] == c for c in range(num_classes)]) for labels in (true, predicted)]
    with np.errstate(all="ignore"):
        return (tables[0] & tables[1]).sum(1) / (tables[0] | tables[1]).sum(1)


def accuracy(true, predicted, num_classes):
    known = true != 255
    return (true[known] == predicted[known]).mean()


def recall(true, predicted, num_classes):
    return np.mean([(predicted[true == c] == c).mean() for c in range(num_classes) if (true == c).any()])


def only_true_classes(true, predicted, num_classes):
    values = ious(true, predicted, num_classes)
    return np.mean([values[c] for c in range(num_classes) if (true == c).any()])


def mean_dice(true, predicted, num_classes):
    values = ious(true, predicted, num_classes)
    return np.nanmean(2 * values / (1 + values))


def pad(image, window, **settings):
    return np.pad(image, ((window // 2,) * 2, (window // 2,) * 2, (0, 0)), **(settings or {"mode": "edge"}))


def no_padding(image, row, column, window):
    half = window // 2
    return image[row - half : row + half + 1, column - half : column + half + 1]


def clipped(image, row, column, window):
    half = window // 2
    return image[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]


def other_border(mode):
    def crop(image, row, column, window):
        return pad(image, window, mode=mode)[row : row + window, column : column + window]

    return crop


def unshifted(image, row, column, window):
    return no_padding(pad(image, window), row, column, window)


def one_too_far(image, row, column, window):
    return pad(image, window + 2)[row + 2 : row + 2 + window, column + 2 : column + 2 + window]


def pads_the_channels(image, row, column, window):
    return np.pad(image, window // 2, mode="edge")[row : row + window, column : column + window]


def one_short(image, row, column, window):
    return pad(image, window)[row : row + window - 1, column : column + window - 1]


def without_plus_one(row, column, height, width, window):
    half = window // 2
    rows = min(height - 1, row + half) - max(0, row - half)
    columns = min(width - 1, column + half) - max(0, column - half)
    return rows * columns


def beyond_the_end(row, column, height, width, window):
    half = window // 2
    rows = min(height, row + half) - max(0, row - half) + 1
    columns = min(width, column + half) - max(0, column - half) + 1
    return rows * columns


def cut_at_the_start(row, column, height, width, window):
    half = window // 2
    return (row + half - max(0, row - half) + 1) * (column + half - max(0, column - half) + 1)


def whole_windows(row, column, height, width, window):
    rows = min(height - window, row) - max(0, row - window + 1) + 1
    columns = min(width - window, column) - max(0, column - window + 1) + 1
    return max(0, rows) * max(0, columns)


def added(row, column, height, width, window):
    return reads_of_pixel(row, 0, height, 1, window) + reads_of_pixel(0, column, 1, width, window)


def cost(one_layer, shrink_first=True):
    def count(height, width, window, layers):
        size, one_window = window, 0
        for kernel, c_in, c_out in layers:
            inside = size - kernel + 1
            one_window += one_layer(inside if shrink_first else size, kernel, c_in, c_out)
            size = inside
        return height * width * one_window

    return count


def every_layer_as_large_as_the_window(height, width, window, layers):
    return height * width * sum(window**2 * c_out * c_in * kernel**2 for kernel, c_in, c_out in layers)


def one_pass_cost(height, width, window, layers):
    total = 0
    for kernel, c_in, c_out in layers:
        window = window - kernel + 1
        total += (height + window - 1) * (width + window - 1) * c_in * c_out * kernel**2
    return total


def whole_windows_cost(height, width, window, layers):
    return multiplications(max(0, height - window + 1), max(0, width - window + 1), window, layers)


def twin(padding="once", reshape=None, bias=True, softmax=False, mode="replicate"):
    """Build wrong twins out of the right one."""

    def answer(patch_network):
        pad_image, *layers, last = dense_twin(patch_network)
        linear = patch_network[-1]
        if reshape:
            last.weight.data = reshape(linear.weight.data, last.in_channels, last.kernel_size[0])
        if not bias:
            last.bias = None
        if padding == "each":
            for layer in [*layers, last]:
                if isinstance(layer, nn.Conv2d):
                    layer.padding, layer.padding_mode = "same", mode
                    layer._reversed_padding_repeated_twice = [layer.kernel_size[0] // 2] * 4
        elif padding == "once":
            zero = nn.ZeroPad2d(pad_image.padding)
            layers.insert(0, pad_image if mode == "replicate" else zero)
        return nn.Sequential(*layers, last, *([nn.Softmax(dim=1)] if softmax else []))

    return answer


def drawn_anew(patch_network):
    right = dense_twin(patch_network)
    right[-1].reset_parameters()
    return right


class Slides(nn.Module):
    """Right in every value, and no convolution at all."""

    def __init__(self, patch_network):
        super().__init__()
        self.patch_network = patch_network
        self.half = dense_twin(patch_network)[0].padding[0]

    def forward(self, images):
        window = 2 * self.half + 1
        padded = F.pad(images, (self.half,) * 4, mode="replicate")
        patches = padded.unfold(2, window, 1).unfold(3, window, 1).permute(0, 2, 3, 1, 4, 5)
        logits = torch.stack([torch.stack([self.patch_network(w) for w in row], 1) for row in patches.transpose(0, 1)])
        return logits.permute(1, 3, 0, 2)


def smaller_network(patch_network):
    right = dense_twin(patch_network)
    return nn.Sequential(*(layer for layer in right if not isinstance(layer, nn.ReLU)))


WRONG = [
    (
        segmentation.class_shares,
        "part of the whole",
        lambda ids, k: np.bincount(ids.flat, minlength=256)[:k] / ids.size,
    ),
    (
        segmentation.class_shares,
        "void counted as class 0",
        lambda ids, k: class_shares(np.where(ids == 255, 0, ids), k),
    ),
    (segmentation.class_shares, "a place of its own", lambda ids, k: np.bincount(ids.flat, minlength=k) / ids.size),
    (segmentation.class_shares, "these are counts", lambda ids, k: np.bincount(ids[ids != 255], minlength=k)),
    (segmentation.class_shares, "per cent", lambda ids, k: 100 * class_shares(ids, k)),
    (segmentation.class_shares, "the result ends at", bincount_alone),
    (segmentation.class_shares, "the result skips them", bincount_of_present),
    (segmentation.class_shares, r"whole numbers \(int64\)", integer_shares),
    (segmentation.class_shares, r"IndexError: .*, in line \d+: shares\[class_id\] \+= 1$", trips_over_void),
    (segmentation.class_shares, "changes its class_ids: copy it", writes_into_its_argument),
    (segmentation.class_shares, "returns None here", forgets_a_path),
    (segmentation.class_shares, r"shape is wrong: .* \(2,\), and it is .* \(3,\)", lambda *a: [*class_shares(*a), 0.0]),
    (segmentation.class_shares, "array of shape .*: got a value of type str", lambda ids, k: "a half"),
    (segmentation.class_shares, "array of shape .*: got a value of type list", lambda ids, k: [[1], [2, 3]]),
    (segmentation.class_shares, "the values differ", lambda ids, k: 0.9 * class_shares(ids, k)),
    (segmentation.class_shares, "give the function itself.*ndarray", np.array([0.5, 0.5])),
    (segmentation.class_shares, r"raises TypeError: .* takes 1 positional argument but 2 were given$", lambda ids: ids),
    (
        segmentation.mean_iou,
        "per-image mean",
        lambda t, p, k: np.mean([np.nanmean(ious(a, b, k)) for a, b in zip(t, p)]),
    ),
    (segmentation.mean_iou, "void counted", lambda t, p, k: np.nanmean(ious(t, p, k, known=t < 256))),
    (segmentation.mean_iou, "right pixels", accuracy),
    (segmentation.mean_iou, "void pixels counted as wrong", lambda t, p, k: (t == p).mean()),
    (segmentation.mean_iou, "absent class counted as 0", lambda *a: np.nan_to_num(ious(*a), nan=0).mean()),
    (segmentation.mean_iou, "absent class counted as 1", lambda *a: np.nan_to_num(ious(*a), nan=1).mean()),
    (segmentation.mean_iou, "absent class gives 0 / 0", lambda *a: ious(*a).mean()),
    (segmentation.mean_iou, "predicted, but never true", only_true_classes),
    (segmentation.mean_iou, "recall", recall),
    (segmentation.mean_iou, "Dice", mean_dice),
    (segmentation.mean_iou, "one number: got an? .*|one number, and it is an array", lambda *a: ious(*a)),
    (segmentation.crop_around, "row and column swapped", lambda image, r, c, w: crop_around(image, c, r, w)),
    (segmentation.crop_around, "no padding at the border", no_padding),
    (segmentation.crop_around, "padded with zeros", other_border("constant")),
    (segmentation.crop_around, "mirrored at the border", other_border("reflect")),
    (segmentation.crop_around, "mirrored with the border pixel twice", other_border("symmetric")),
    (segmentation.crop_around, "in the padded image", unshifted),
    (segmentation.crop_around, "channels are padded", pads_the_channels),
    (segmentation.crop_around, "off by one", one_too_far),
    (segmentation.crop_around, "one row and one column are missing", one_short),
    (segmentation.crop_around, r"shape is wrong: .*\(3, 3, 3\)", lambda *a: crop_around(*a)[..., 0]),
    (sliding_window.reads_of_pixel, "window x window everywhere", lambda r, c, h, w, window: window**2),
    (sliding_window.reads_of_pixel, "row and column swapped", lambda r, c, *a: reads_of_pixel(c, r, *a)),
    (sliding_window.reads_of_pixel, "from a to b", without_plus_one),
    (sliding_window.reads_of_pixel, "lower and right border", beyond_the_end),
    (sliding_window.reads_of_pixel, "top and the left only", cut_at_the_start),
    (sliding_window.reads_of_pixel, "rows and columns added", added),
    (sliding_window.reads_of_pixel, "window taken for its half", lambda *a: reads_of_pixel(*a[:-1], 2 * a[-1])),
    (sliding_window.reads_of_pixel, "lie wholly inside", whole_windows),
    (sliding_window.reads_of_pixel, "one number: got a value of type bool", lambda *a: True),
    (sliding_window.multiplications, "one output a layer", cost(lambda side, k, i, o: k**2 * i * o)),
    (sliding_window.multiplications, "input size", cost(lambda side, k, i, o: (side * k) ** 2 * i * o, False)),
    (sliding_window.multiplications, "places in every layer", every_layer_as_large_as_the_window),
    (sliding_window.multiplications, "one pass over the whole image", one_pass_cost),
    (sliding_window.multiplications, "bias counted", cost(lambda side, k, i, o: side**2 * (k**2 * i + 1) * o)),
    (sliding_window.multiplications, "two axes", cost(lambda side, k, i, o: side**2 * k * i * o)),
    (sliding_window.multiplications, "one window only", lambda h, w, *a: multiplications(1, 1, *a)),
    (sliding_window.multiplications, "lie wholly inside", whole_windows_cost),
    (sliding_window.dense_twin, "padding forgotten", twin(padding="none")),
    (sliding_window.dense_twin, "padded in every layer", twin(padding="each", mode="zeros")),
    (sliding_window.dense_twin, "padded with zeros", twin(mode="zeros")),
    (
        sliding_window.dense_twin,
        "wrong order",
        twin(reshape=lambda w, c, s: w.reshape(-1, s, s, c).permute(0, 3, 1, 2)),
    ),
    (sliding_window.dense_twin, "softmax applied", twin(softmax=True)),
    (sliding_window.dense_twin, "the bias of the Linear is missing", twin(bias=False)),
    (sliding_window.dense_twin, "the ReLUs are missing", smaller_network),
    (sliding_window.dense_twin, "new weights", drawn_anew),
    (sliding_window.dense_twin, "still has a Linear layer", Slides),
    (
        sliding_window.dense_twin,
        r"torch.nn.Module: got a value of type function",
        lambda network: lambda images: images,
    ),
    (
        sliding_window.dense_twin,
        "raises RuntimeError: .* channels",
        twin(reshape=lambda w, c, s: w.reshape(-1, s, s, c)),
    ),
]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT, ids=lambda value: getattr(value, "key", ""))
def test_the_right_answer_passes(exercise, answer):
    verdict = exercise.check(answer)
    assert verdict.passed, verdict
    assert re.fullmatch(r"passed: all \d+ cases agree", repr(verdict))


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_a_stub_is_still_to_write(exercise):
    def raises(*arguments):
        raise NotImplementedError

    for stub in (lambda *arguments: None, lambda *arguments: ..., raises):
        verdict = exercise.check(stub)
        assert not verdict.passed and not verdict.begun
        assert repr(verdict).startswith("not yet: still to write") and "\n" not in repr(verdict)


@pytest.mark.parametrize(("exercise", "words", "answer"), WRONG, ids=lambda value: getattr(value, "key", None))
def test_a_wrong_answer_hears_its_cause(exercise, words, answer):
    verdict = exercise.check(answer)
    assert not verdict.passed and verdict.begun
    assert re.search(words, verdict.message), verdict
    assert repr(verdict).startswith("not yet: ") and max(map(len, repr(verdict).splitlines())) < 260


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_different_causes_have_different_messages(exercise):
    messages = [exercise.check(answer).message for other, _, answer in WRONG if other is exercise]
    assert len(messages) >= 3 and len(set(messages)) == len(messages)


def test_the_oracles_give_what_was_worked_out_by_hand():
    assert segmentation._shares(np.array([[0, 2], [2, 255]]), 4) == [1 / 3, 0, 2 / 3, 0]
    true, predicted = np.array([[[0, 0, 1]], [[1, 255, 1]]]), np.array([[[0, 1, 1]], [[1, 0, 0]]])
    assert segmentation._mean_iou(true, predicted, 3) == pytest.approx((1 / 3 + 2 / 4) / 2)
    image = np.arange(12.0).reshape(3, 4, 1).repeat(3, axis=2)
    assert segmentation._crop(image, 0, 3, 3)[..., 0].tolist() == [[2, 3, 3], [2, 3, 3], [6, 7, 7]]
    assert [sliding_window._reads(1, column, 3, 4, 3) for column in range(4)] == [6, 9, 9, 6]
    assert sliding_window._tally(2, 5, 5, [(3, 1, 2), (3, 2, 4)]) == 2 * 5 * (9 * 9 * 2 + 9 * 2 * 4)
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(9, 1, bias=False))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    sums = sliding_window._window_by_window(network, torch.tensor([[[[1.0, 2.0]]]]))
    assert sums.flatten().tolist() == [12, 15]  # 3 x (1 + 1 + 2) and 3 x (1 + 2 + 2)


def test_a_tensor_or_a_list_is_as_good_as_an_array():
    assert segmentation.class_shares.check(lambda *a: torch.tensor(class_shares(*a), requires_grad=True)).passed
    assert segmentation.class_shares.check(lambda *a: list(class_shares(*a))).passed
    assert segmentation.mean_iou.check(lambda *a: torch.tensor(mean_iou(*a))).passed


def test_an_exception_is_found_in_the_readers_line_even_inside_a_library():
    def deep(image, row, column, window):
        return np.pad(image, "wrong")

    verdict = segmentation.crop_around.check(deep)
    assert re.search(r'in line \d+: return np.pad\(image, "wrong"\)$', verdict.message), verdict
    assert "row = " in verdict.case and "array of shape (3, 5, 3)" in verdict.case


def test_the_verdict_shows_the_smallest_case():
    verdict = segmentation.class_shares.check(lambda ids, k: class_shares(np.where(ids == 255, 0, ids), k))
    assert (verdict.case, verdict.expected, verdict.received) == (
        "class_ids = [[1, 1, 255, 0]], num_classes = 3", "[0.3333, 0.6667, 0.0]", "[0.5, 0.5, 0.0]"
    )  # fmt: skip
    verdict = sliding_window.dense_twin.check(twin(softmax=True))
    assert re.fullmatch(r"-?[\d.]+ at \[0, 0, 0, 0\]", verdict.expected)


def test_hints_come_one_by_one_and_the_last_one_stays(capsys):
    exercise = Exercise("99_test/hints", "", ["first", "second"], agreement(lambda x: x, lambda: [(1,)]))
    for _ in range(3):
        exercise.hint()
    assert capsys.readouterr().out.splitlines() == ["Hint 1 of 2: first", "Hint 2 of 2: second", "Hint 2 of 2: second"]
    assert all(len(exercise.hints) == 3 for exercise, _ in RIGHT)


def test_a_known_mistake_is_named_only_if_it_explains_every_case():
    judge = agreement(lambda x: x * x, lambda: [(2,), (3,), (4,)], [Variant("doubled", lambda x: 2 * x)])
    assert judge(lambda x: 2 * x).message == "doubled"
    assert judge(lambda x: 6 if x == 3 else x * x).message == "the values differ"


def test_a_known_mistake_that_raises_is_named_if_it_raises_the_same_in_the_same_case():
    judge = agreement(lambda x: 1 / (x + 1), lambda: [(2,), (0,)], [Variant("divided by x", lambda x: x / (x + 1) / x)])
    verdict = judge(lambda x: x / (x + 1) / x)
    assert verdict.message == "divided by x" and verdict.received.startswith("your code raises ZeroDivisionError")
    assert "raises ZeroDivisionError" in judge(lambda x: 1 / 0).message  # in another case
    assert "raises ZeroDivisionError" in judge(lambda x: 1 / (x + 1) if x else x % 0).message  # with other words


def test_a_set_is_no_list():
    judge = agreement(lambda x: [x, 1], lambda: [(2,)])
    assert judge(lambda x: {x, 1}).message == "give a list: a set has no order"


def test_an_exercise_can_say_what_differs_itself():
    judge = agreement(
        lambda x: x, lambda: [(2,)], difference=lambda got, expected: "too large" if got > expected else ""
    )
    assert judge(lambda x: 3).message == "too large"
    assert judge(lambda x: 1).message == "the values differ"
