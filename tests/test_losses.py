"""losses: against slow loops, torch's own cross-entropy, the metrics that they stand for, and tables worked by hand."""

import math
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.losses import cross_entropy_and_dice, dice_loss, weight_map, weighted_cross_entropy
from lessons_lib.metrics import confusion_matrix, dice
from lessons_lib.training import fit, seed_everything

VOID = 255


def random_case(seed, num_classes=4, present=(0, 1, 3), size=(2, 5, 6)):
    """Logits, and class_ids with void; class 2 is never true."""
    draw = torch.Generator().manual_seed(seed)
    class_ids = torch.tensor(present)[torch.randint(len(present), size, generator=draw)]
    class_ids[torch.rand(size, generator=draw) < 0.2] = VOID
    logits = 2 * torch.randn(size[0], num_classes, *size[1:], generator=draw)
    return logits, class_ids


def dice_by_loop(logits, class_ids):
    losses = []
    for c in range(logits.shape[1]):
        overlap = predicted = true = 0.0
        for b, row, column in product(*map(range, class_ids.shape)):
            if class_ids[b, row, column] == VOID:
                continue
            powers = [math.exp(logit) for logit in logits[b, :, row, column].tolist()]
            probability = powers[c] / sum(powers)
            is_true = class_ids[b, row, column].item() == c
            overlap, predicted, true = overlap + probability * is_true, predicted + probability, true + is_true
        if true:
            losses.append(1 - 2 * overlap / (predicted + true))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(5))
def test_dice_loss_equals_the_slow_loop(seed):
    logits, class_ids = random_case(seed)
    assert dice_loss(logits, class_ids).item() == pytest.approx(dice_by_loop(logits, class_ids), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_dice_loss_of_a_sure_network_is_one_minus_the_metric(seed):
    draw = torch.Generator().manual_seed(seed)
    true = torch.randint(3, (2, 7, 8), generator=draw)
    predicted = torch.randint(3, (2, 7, 8), generator=draw)
    sure = 50 * F.one_hot(predicted, 3).movedim(-1, 1).float()
    expected = 1 - dice(confusion_matrix(true, predicted, num_classes=3))
    assert dice_loss(sure, true).item() == pytest.approx(expected, abs=1e-6)


def test_dice_of_an_empty_class_counts_only_through_the_others():
    class_ids = torch.zeros(1, 1, 4, dtype=torch.int64)
    right = torch.tensor([9.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 4)
    assert dice_loss(right, class_ids).item() == pytest.approx(0, abs=1e-3)
    half_wrong = right.clone()
    half_wrong[..., 2:] = half_wrong[:, [1, 0], :, 2:]
    # two of four pixels go to the empty class: Dice of class 0 is 2 * 2 / (2 + 4), class 1 has no term
    assert dice_loss(half_wrong, class_ids).item() == pytest.approx(1 - 2 / 3, abs=1e-3)


def test_dice_does_not_change_with_the_size_of_the_background():
    logits = 20 * torch.eye(2)[torch.tensor([0, 1, 1])].T.reshape(1, 2, 1, 3)  # class 1 called twice, true once
    small = torch.tensor([[[0, 1, 0]]])
    background = torch.tensor([20.0, 0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 997)
    large = F.pad(small, (0, 997))
    parts = [(logits, small), (torch.cat([logits, background], dim=3), large)]
    of_class_1 = [2 * dice_loss(*part).item() - (1 - 2 * n / (2 * n + 1)) for part, n in zip(parts, (1, 998))]
    assert of_class_1 == pytest.approx([1 / 3, 1 / 3], abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_sum_adds_the_two(seed):
    logits, class_ids = random_case(seed)
    expected = F.cross_entropy(logits, class_ids, ignore_index=VOID) + dice_loss(logits, class_ids)
    torch.testing.assert_close(cross_entropy_and_dice(logits, class_ids), expected)


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_classes_equal_torch(seed):
    logits, class_ids = random_case(seed)
    of_classes = torch.tensor([1.0, 5.0, 2.0, 0.5])
    weights = of_classes[class_ids.where(class_ids != VOID, 0)]
    expected = F.cross_entropy(logits, class_ids, weight=of_classes, ignore_index=VOID)
    torch.testing.assert_close(weighted_cross_entropy(logits, class_ids, weights), expected)
    torch.testing.assert_close(weighted_cross_entropy(logits, class_ids, 7 * weights), expected)


def test_a_pixel_of_weight_two_counts_like_two():
    logits, class_ids = random_case(0, size=(1, 1, 3))
    class_ids[:] = torch.tensor([0, 1, 3])
    twice = [0, 1, 1, 2]
    expected = F.cross_entropy(logits[..., twice], class_ids[..., twice])
    got = weighted_cross_entropy(logits, class_ids, torch.tensor([[[1.0, 2.0, 1.0]]]))
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    "loss",
    [
        dice_loss,
        cross_entropy_and_dice,
        lambda logits, class_ids: weighted_cross_entropy(logits, class_ids, torch.ones(class_ids.shape)),
    ],
)
def test_void_teaches_nothing(loss):
    logits, class_ids = random_case(0)
    logits.requires_grad_()
    loss(logits, class_ids).backward()
    is_void = (class_ids == VOID).unsqueeze(1).expand_as(logits)
    assert (logits.grad[is_void] == 0).all() and (logits.grad[~is_void] != 0).any()

    logits.grad = None
    of_void = loss(logits, torch.full_like(class_ids, VOID))
    of_void.backward()
    assert of_void.item() == 0 and (logits.grad == 0).all()


def test_shapes_that_differ_are_named():
    logits, class_ids = random_case(0)
    with pytest.raises(ValueError, match=r"weights \(5, 6\) for class_ids \(2, 5, 6\); cut and stack both alike"):
        weighted_cross_entropy(logits, class_ids, torch.ones(5, 6))


def test_fit_hands_weights_on():
    seed_everything(0)
    images = torch.rand(4, 1, 8, 8)
    class_ids = torch.zeros(4, 8, 8, dtype=torch.int64)
    class_ids[:, :, 4:] = 1
    weights = torch.ones(4, 8, 8)
    weights[:, :, 4:] = 0  # nothing is said about the right half
    model = nn.Conv2d(1, 2, kernel_size=1)
    settings = {"steps": 60, "batch_size": 4, "learning_rate": 0.1, "device": "cpu"}
    fit(model, images, (class_ids, weights), loss=weighted_cross_entropy, **settings)
    assert (model(images).argmax(1) == 0).all()


def weights_by_loop(instance_ids, w0, sigma):
    """Of one map."""
    places = [(row, column) for row, column in product(*map(range, instance_ids.shape))]
    share = sum(instance_ids[place] == 0 for place in places) / len(places)
    weights = np.ones(instance_ids.shape)
    for place in places:
        if 0 < share < 1:
            weights[place] = 0.5 / (share if instance_ids[place] == 0 else 1 - share)
        if instance_ids[place] == 0:
            nearest = sorted(
                min(math.dist(place, other) for other in places if instance_ids[other] == instance_id)
                for instance_id in set(instance_ids.ravel().tolist()) - {0}
            )
            if len(nearest) >= 2:
                weights[place] += w0 * math.exp(-((nearest[0] + nearest[1]) ** 2) / (2 * sigma**2))
    return weights


@pytest.mark.parametrize("seed", range(6))
def test_weight_map_equals_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    instance_ids = rng.choice([0, 0, 0, 0, 2, 5, 9], size=(7, 9)) if seed else np.array([[0, 3, 0, 0]])
    weights = weight_map(instance_ids, w0=8, sigma=2)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, weights_by_loop(instance_ids, 8, 2), rtol=1e-5)


def test_balance_is_that_of_all_maps_together():
    maps = np.zeros((2, 4, 4), dtype=int)
    maps[0, :2, :2] = 1  # 4 of 32 pixels
    weights = weight_map(maps)
    assert weights[maps == 1].sum() == pytest.approx(16) and weights[maps == 0].sum() == pytest.approx(16)
    np.testing.assert_allclose(weights[1], 0.5 / (28 / 32))


def test_maps_of_a_stack_do_not_see_each_other():
    maps = np.zeros((2, 3, 5), dtype=int)
    maps[0, :, 0], maps[1, :, 4] = 1, 2
    assert len(np.unique(weight_map(maps))) == 2  # no gap anywhere: each map has one nucleus


@pytest.mark.parametrize("instance_id", [0, 1])
def test_a_map_of_one_kind_weighs_one(instance_id):
    assert (weight_map(np.full((3, 4), instance_id)) == 1).all()


def test_sigma_has_to_be_a_width():
    with pytest.raises(ValueError, match="above 0; got 0; the paper takes 5"):
        weight_map(np.eye(3, dtype=int), sigma=0)
