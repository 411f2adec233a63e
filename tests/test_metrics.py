"""`lessons_lib.metrics` against tables worked by hand, slow loops and torchmetrics."""

import math
import random

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex
from torchmetrics.segmentation import DiceScore

from lessons_lib.metrics import (
    boundary_f_score,
    confusion_matrix,
    dice,
    instance_counts,
    instance_f1,
    iou,
    match_instances,
    mean_iou,
    pixel_accuracy,
)

VOID = 255
TRUE = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, VOID], [2, 2, 2, VOID]])
PREDICTED = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1], [2, 2, 1, 0], [2, 2, 4, 3]])
# by hand, five classes: 3 appears only under void, 4 only in the prediction
TABLE = torch.tensor([[4, 0, 0, 0, 0], [1, 3, 0, 0, 0], [0, 1, 4, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def random_maps(seed, num_classes=6, present=(0, 1, 2, 4), size=(3, 9, 11)):
    """Truth with void, prediction mostly right; classes 3 and 5 never in truth, 5 never predicted either."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.tensor(present)[torch.randint(len(present), size, generator=draw)]
    guess = torch.randint(num_classes - 1, size, generator=draw)
    predicted = torch.where(torch.rand(size, generator=draw) < 0.6, true, guess)
    true[torch.rand(size, generator=draw) < 0.1] = VOID
    return true, predicted


def test_table_worked_by_hand():
    confusion = confusion_matrix(TRUE, PREDICTED, num_classes=5)
    assert torch.equal(confusion, TABLE)
    assert confusion.dtype == torch.int64
    assert pixel_accuracy(confusion) == 11 / 14
    expected = torch.tensor([4 / 5, 3 / 5, 4 / 6, math.nan, 0], dtype=torch.float64)
    torch.testing.assert_close(iou(confusion), expected, equal_nan=True)
    assert mean_iou(confusion) == pytest.approx((4 / 5 + 3 / 5 + 4 / 6 + 0) / 4)
    assert dice(confusion) == pytest.approx((8 / 9 + 6 / 8 + 8 / 10 + 0) / 4)


@pytest.mark.parametrize("seed", range(5))
def test_confusion_matrix_equals_the_slow_loop(seed):
    true, predicted = random_maps(seed)
    expected = torch.zeros(6, 6, dtype=torch.int64)
    for row, column in zip(true.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        if row != VOID:
            expected[row, column] += 1
    assert torch.equal(confusion_matrix(true, predicted, num_classes=6), expected)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_torchmetrics(seed):
    true, predicted = random_maps(seed)
    confusion = confusion_matrix(true, predicted, num_classes=6)

    def reference(metric, **settings):
        return metric(num_classes=6, ignore_index=VOID, **settings)(predicted, true)

    assert torch.equal(confusion, reference(MulticlassConfusionMatrix))
    assert pixel_accuracy(confusion) == pytest.approx(reference(MulticlassAccuracy, average="micro").item())
    assert mean_iou(confusion) == pytest.approx(reference(MulticlassJaccardIndex).item())
    per_class = reference(MulticlassJaccardIndex, average="none").double()
    torch.testing.assert_close(iou(confusion).nan_to_num(0), per_class, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_dice_equals_torchmetrics_over_the_data_set(seed):
    true, predicted = random_maps(seed)
    predicted = torch.where(true == VOID, 0, predicted)
    true = torch.where(true == VOID, 0, true)  # DiceScore knows no void
    reference = DiceScore(num_classes=6, average="none", input_format="index", aggregation_level="global")
    per_class = reference(predicted, true)
    present = torch.tensor([0, 1, 2, 3, 4])
    confusion = confusion_matrix(true, predicted, num_classes=6)
    assert dice(confusion) == pytest.approx(per_class[present].mean().item())


def test_absent_classes():
    confusion = torch.tensor([[5, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0], [3, 0, 0, 0]])
    scores = iou(confusion)
    assert scores[0] == 5 / 10
    assert scores[1].isnan(), "in neither truth nor prediction"
    assert scores[2] == 0, "only predicted"
    assert scores[3] == 0, "only missed"
    assert mean_iou(confusion) == pytest.approx(0.5 / 3)
    assert dice(confusion) == pytest.approx(10 / 15 / 3)


def test_nothing_but_void_has_no_score():
    true, predicted = torch.full((1, 4, 4), VOID), torch.zeros(1, 4, 4, dtype=torch.int64)
    confusion = confusion_matrix(true, predicted, num_classes=3)
    assert confusion.sum() == 0
    assert iou(confusion).isnan().all()
    assert math.isnan(pixel_accuracy(confusion))
    assert math.isnan(mean_iou(confusion))
    assert math.isnan(dice(confusion))
    assert math.isnan(boundary_f_score(true, predicted, num_classes=3))


def test_matrices_of_parts_add_up_and_scores_are_no_mean_over_images():
    true, predicted = random_maps(0)
    parts = [confusion_matrix(true[i], predicted[i], num_classes=6) for i in range(3)]
    assert torch.equal(sum(parts), confusion_matrix(true, predicted, num_classes=6))
    # one image of 15 right pixels, one of a single wrong pixel: 15 / 16 of the pixels, not 1 / 2 of the images
    true = torch.full((2, 15), VOID)
    true[0], true[1, 0] = 0, 0
    predicted = torch.tensor([[0] * 15, [1] * 15])
    confusion = confusion_matrix(true, predicted, num_classes=2)
    assert pixel_accuracy(confusion) == 15 / 16
    assert iou(confusion)[0] == 15 / 16


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_small_integers_do_not_overflow(dtype):
    true, predicted = torch.full((300,), 20, dtype=dtype), torch.full((300,), 20, dtype=dtype)
    confusion = confusion_matrix(true, predicted, num_classes=21)
    assert confusion[20, 20] == 300


def test_another_ignore_index_makes_255_a_wrong_class():
    assert confusion_matrix(torch.tensor([0, -1]), torch.tensor([0, 9]), 2, ignore_index=-1).sum() == 1
    with pytest.raises(ValueError, match="got 255"):
        confusion_matrix(torch.tensor([0, 255]), torch.tensor([0, 0]), 2, ignore_index=-1)


@pytest.mark.parametrize("metric", [confusion_matrix, boundary_f_score])
def test_errors_name_rule_value_and_remedy(metric):
    maps = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"one shape; got \(1, 2, 2\) and \(1, 2, 1\); predict one"):
        metric(maps, maps[..., :1], 3)
    with pytest.raises(ValueError, match=r"predicted must be in 0 .. 2 .* got 3; correct num_classes"):
        metric(maps, maps + 3, 3)
    with pytest.raises(ValueError, match=r"true must be in 0 .. 2 .* got -1; correct num_classes"):
        metric(maps - 1, maps, 3)
    with pytest.raises(TypeError, match=r"predicted must hold integer .* got torch.float32; logits need .argmax"):
        metric(maps, maps.float(), 3)
    with pytest.raises(TypeError, match=r"true must hold integer .* got torch.bool; .* a mask needs .long"):
        metric(maps.bool(), maps, 3)


def test_boundary_errors():
    maps = torch.zeros(2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"must be \(B, H, W\); got shape \(2, 2\); reshape"):
        boundary_f_score(maps, maps, 3)
    with pytest.raises(ValueError, match="at least 0 px; got -1; use 0"):
        boundary_f_score(maps[None], maps[None], 3, tolerance=-1)


def slow_boundary_f_score(true, predicted, num_classes, tolerance):
    """The definition of `boundary_f_score`, pixel by pixel."""
    true, predicted = true.tolist(), predicted.tolist()
    height, width = len(true[0]), len(true[0][0])

    def boundary(class_ids, image, class_id):
        pixels = set()
        for row in range(height):
            for column in range(width):
                if true[image][row][column] == VOID or class_ids[image][row][column] != class_id:
                    continue
                for other_row, other_column in (
                    (row - 1, column),
                    (row + 1, column),
                    (row, column - 1),
                    (row, column + 1),
                ):
                    inside = 0 <= other_row < height and 0 <= other_column < width
                    if (
                        inside
                        and true[image][other_row][other_column] != VOID
                        and class_ids[image][other_row][other_column] != class_id
                    ):
                        pixels.add((row, column))
        return pixels

    def hits(pixels, others):
        return sum(any(max(abs(row - r), abs(column - c)) <= tolerance for r, c in others) for row, column in pixels)

    scores = []
    for class_id in range(num_classes):
        true_count = predicted_count = true_hits = predicted_hits = 0
        for image in range(len(true)):
            true_pixels = boundary(true, image, class_id)
            predicted_pixels = boundary(predicted, image, class_id)
            true_count += len(true_pixels)
            predicted_count += len(predicted_pixels)
            true_hits += hits(true_pixels, predicted_pixels)
            predicted_hits += hits(predicted_pixels, true_pixels)
        if true_count + predicted_count == 0:
            continue
        if true_hits == 0 or predicted_hits == 0:
            scores.append(0)
            continue
        precision, recall = predicted_hits / predicted_count, true_hits / true_count
        scores.append(2 * precision * recall / (precision + recall))
    return sum(scores) / len(scores)


def random_rectangles(seed, size=(2, 12, 14)):
    """Truth of a few rectangles with a void spot; the prediction is the truth moved by 0 to 2 px, with noise."""
    draw = random.Random(seed)
    true = torch.zeros(size, dtype=torch.int64)
    for image in true:
        for class_id in (1, 2, 3):
            row, column = draw.randrange(9), draw.randrange(11)
            image[row : row + draw.randint(2, 6), column : column + draw.randint(2, 6)] = class_id
    predicted = true.roll((draw.randint(0, 2), draw.randint(0, 2)), (1, 2))
    predicted[:, draw.randrange(12), draw.randrange(14)] = 4
    true[:, 5:7, 4 : draw.randint(5, 9)] = VOID
    return true, predicted


@pytest.mark.parametrize("tolerance", [0, 1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_boundary_f_score_equals_the_slow_loop(seed, tolerance):
    for true, predicted in (random_rectangles(seed), random_maps(seed)):
        expected = slow_boundary_f_score(true, predicted, num_classes=6, tolerance=tolerance)
        assert boundary_f_score(true, predicted, 6, tolerance) == pytest.approx(expected)


def test_boundary_f_score_by_hand():
    true = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]])
    assert boundary_f_score(true, true, num_classes=2, tolerance=0) == 1
    predicted = true.clone()
    predicted[0, 0, 1] = 1
    # predicted edges: class 0 {(0, 0), (1, 1), (2, 1), (3, 1)}, class 1 {(0, 1), (1, 2), (2, 2), (3, 2)}
    assert boundary_f_score(true, predicted, num_classes=2, tolerance=0) == 3 / 4
    assert boundary_f_score(true, predicted, num_classes=2, tolerance=1) == 1


def test_boundaries_of_a_class_in_only_one_map_score_zero():
    true = torch.tensor([[[0, 0, 1, 1]]])
    predicted = torch.tensor([[[0, 0, 2, 2]]])
    assert boundary_f_score(true, predicted, num_classes=5) == pytest.approx(1 / 3)  # classes 0, 1 and 2


def test_void_makes_no_boundary():
    true = torch.tensor([[[0, 0, VOID, 1, 1]]])
    assert math.isnan(boundary_f_score(true, torch.tensor([[[0, 0, 0, 1, 1]]]), num_classes=2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_metrics_agree_on_cuda():
    true, predicted = random_maps(0)
    confusion = confusion_matrix(true.cuda(), predicted.cuda(), num_classes=6)
    assert confusion.device.type == "cuda"
    assert torch.equal(confusion.cpu(), confusion_matrix(true, predicted, num_classes=6))
    assert mean_iou(confusion) == mean_iou(confusion.cpu())
    assert boundary_f_score(true.cuda(), predicted.cuda(), 6) == boundary_f_score(true, predicted, 6)


def blocks(seed, size=30):
    """Instance_ids (size, size): rectangles over one another, ids in no order and with gaps."""
    draw = torch.Generator().manual_seed(seed)
    instance_ids = torch.zeros(size, size, dtype=torch.int64)
    for instance_id in (torch.randperm(60, generator=draw)[:7] + 1).tolist():
        top, left = torch.randint(size - 6, (2,), generator=draw).tolist()
        height, width = torch.randint(5, 12, (2,), generator=draw).tolist()
        instance_ids[top : top + height, left : left + width] = instance_id
    return instance_ids


def shaken(instance_ids, seed):
    """The same instances with other ids, moved by a pixel, one of them gone and some pixels taken away."""
    draw = torch.Generator().manual_seed(seed)
    moved = instance_ids.roll(1, dims=1) * 3
    moved[moved == moved.max()] = 0
    return torch.where(torch.rand(moved.shape, generator=draw) < 0.9, moved, 0)


def iou_by_loop(true, predicted):
    """{(true id, predicted id): IoU} of all pairs, by sets of pixels."""
    pixels = [
        {i: set(map(tuple, (ids == i).nonzero().tolist())) for i in ids.unique().tolist() if i}
        for ids in (true, predicted)
    ]
    return {(t, p): len(a & b) / len(a | b) for t, a in pixels[0].items() for p, b in pixels[1].items()}


@pytest.mark.parametrize("threshold", [0.5, 0.7])
@pytest.mark.parametrize("seed", range(6))
def test_matches_are_the_pairs_above_the_threshold(seed, threshold):
    true = blocks(seed)
    predicted = shaken(true, seed)
    expected = {pair: value for pair, value in iou_by_loop(true, predicted).items() if value > threshold}
    matches = match_instances(true, predicted, threshold)
    pairs = list(zip(matches.true.tolist(), matches.predicted.tolist()))
    assert pairs == sorted(expected)
    assert matches.iou.tolist() == pytest.approx([expected[pair] for pair in pairs])


@pytest.mark.parametrize("seed", range(6))
def test_no_search_finds_more_pairs(seed):
    true = blocks(seed)
    predicted = shaken(true, seed)
    table = iou_by_loop(true, predicted)
    rows, columns = (sorted({pair[side] for pair in table}) for side in (0, 1))
    above = torch.tensor([[table[row, column] > 0.5 for column in columns] for row in rows])
    best = linear_sum_assignment(above.numpy(), maximize=True)
    assert len(match_instances(true, predicted).true) == above[best].sum() > 0


def test_half_an_overlap_is_no_match():
    true, predicted = torch.tensor([[1, 1, 1, 0]]), torch.tensor([[0, 2, 2, 2]])  # 2 px of 4
    assert len(match_instances(true, predicted).iou) == 0
    assert match_instances(true, torch.tensor([[0, 2, 2, 0]])).iou.tolist() == [2 / 3]


def test_instances_counted_by_hand():
    true = [torch.tensor([[1, 1, 0, 2, 2, 3]]), torch.tensor([[0, 0], [4, 4]])]
    predicted = [torch.tensor([[9, 9, 0, 2, 0, 0]]), torch.tensor([[9, 9], [1, 1]])]
    # first picture: 1 found, 2 overlaps by exactly half, 3 missed; second: 4 found, 9 invented
    assert instance_counts(true, predicted) == (2, 2, 2)
    assert instance_f1(true, predicted) == 2 * 2 / (2 * 2 + 2 + 2)
    assert instance_counts(true[:1], predicted[:1]) == (1, 1, 2)


def test_instances_of_a_stack_are_those_of_its_pictures():
    true = torch.stack([blocks(seed) for seed in range(4)])
    predicted = torch.stack([shaken(ids, seed) for seed, ids in enumerate(true)])
    each = [instance_counts(true[i : i + 1], predicted[i : i + 1]) for i in range(4)]
    assert instance_counts(true, predicted) == tuple(map(sum, zip(*each)))
    assert instance_counts(list(true), list(predicted)) == instance_counts(true, predicted)


def test_pictures_without_instances():
    empty, one = torch.zeros(1, 3, 3, dtype=torch.int64), torch.ones(1, 3, 3, dtype=torch.int64)
    assert math.isnan(instance_f1(empty, empty))
    assert instance_f1(empty, one) == instance_f1(one, empty) == 0
    assert instance_counts(empty, one) == (0, 1, 0) and instance_counts(one, empty) == (0, 0, 1)


@pytest.mark.parametrize(
    ("shape", "threshold", "message"),
    [
        ((1, 2, 3), 0.5, r"are both \(H, W\); got \(1, 2, 3\) and \(1, 2, 3\); match one"),
        ((2, 3), 0.4, "matches are not unique, above 1 is none; got 0.4; take 0.5"),
        ((2, 3), 1.0, "got 1.0"),
    ],
)
def test_matching_names_what_is_wrong(shape, threshold, message):
    ids = torch.ones(shape, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        match_instances(ids, ids, threshold)


def test_each_picture_needs_a_prediction():
    with pytest.raises(ValueError, match="each picture has a prediction; got 1 for 2; predict all"):
        instance_counts(torch.ones(2, 3, 3).long(), torch.ones(1, 3, 3).long())
