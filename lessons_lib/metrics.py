"""Segmentation metrics: the confusion matrix first, the scores computed from counts over the whole data set.

Void: pixels whose true class is `ignore_index` count nowhere, whatever is predicted there.
Absent classes: a class in neither truth nor prediction has no score and is left out of means; a class that is
only predicted, or only missed, scores 0 and counts.
Instances are matched one picture at a time and counted over the whole data set.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


def confusion_matrix(true: Tensor, predicted: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Count the pixels of each pair (true class, predicted class).

    Void: pixels whose true class is `ignore_index` are left out; their prediction may be any number.
    Absent classes: have a row and a column of zeros. Matrices of parts of a data set add up to its matrix.

    Args:
        true: integer class_ids of any shape, such as (B, H, W).
        predicted: integer class_ids of the same shape and device.
        num_classes: number of classes K.
        ignore_index: class_id of void pixels.

    Returns:
        int64 (K, K) in px, rows = true class, columns = predicted class, on the device of `true`.

    Raises:
        ValueError: if the shapes differ, or a class_id outside 0 .. K - 1 counts.
        TypeError: if a tensor does not hold integers.

    Example:
        >>> true = torch.tensor([[0, 0, 1], [1, 1, 255]])
        >>> predicted = torch.tensor([[0, 1, 1], [1, 1, 0]])
        >>> confusion_matrix(true, predicted, num_classes=2)
        tensor([[1, 1],
                [0, 3]])
    """
    true, predicted, valid = _checked(true, predicted, num_classes, ignore_index)
    pairs = true[valid] * num_classes + predicted[valid]
    counts = torch.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def pixel_accuracy(confusion: Tensor) -> float:
    """Share of pixels whose class is predicted right.

    Void: not in the matrix, so not counted. Absent classes: have no pixels and change nothing.

    Args:
        confusion: (K, K) from `confusion_matrix`.

    Returns:
        Accuracy in [0, 1]; nan if the matrix holds no pixel.

    Example:
        >>> pixel_accuracy(torch.tensor([[1, 1], [0, 3]]))
        0.8
    """
    confusion = confusion.cpu().double()
    return (confusion.trace() / confusion.sum()).item()


def iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, over all pixels of the data set.

    Void: not in the matrix, so not counted.
    Absent classes: nan for a class in neither truth nor prediction; 0 for a class in only one of them.

    Args:
        confusion: (K, K) from `confusion_matrix`.

    Returns:
        float64 (K,) in [0, 1] or nan, on the CPU.

    Example:
        >>> iou(torch.tensor([[1, 1, 0], [0, 3, 0], [0, 0, 0]]))
        tensor([0.5000, 0.7500,    nan], dtype=torch.float64)
    """
    intersection, true, predicted = _areas(confusion)
    return intersection / (true + predicted - intersection)


def mean_iou(confusion: Tensor) -> float:
    """Mean of the classes' IoU.

    Void: not in the matrix, so not counted.
    Absent classes: a class in neither truth nor prediction is left out of the mean; a class in only one of
    them counts as 0.

    Args:
        confusion: (K, K) from `confusion_matrix`.

    Returns:
        Mean IoU in [0, 1]; nan if the matrix holds no pixel.

    Example:
        >>> mean_iou(torch.tensor([[1, 1, 0], [0, 3, 0], [0, 0, 0]]))
        0.625
    """
    return iou(confusion).nanmean().item()


def dice(confusion: Tensor) -> float:
    """Mean of the classes' Dice coefficient: twice the intersection over the sum of both areas.

    Void: not in the matrix, so not counted.
    Absent classes: a class in neither truth nor prediction is left out of the mean; a class in only one of
    them counts as 0.

    Args:
        confusion: (K, K) from `confusion_matrix`.

    Returns:
        Mean Dice in [0, 1]; nan if the matrix holds no pixel.

    Example:
        >>> round(dice(torch.tensor([[1, 1, 0], [0, 3, 0], [0, 0, 0]])), 4)
        0.7619
    """
    intersection, true, predicted = _areas(confusion)
    return (2 * intersection / (true + predicted)).nanmean().item()


def boundary_f_score(
    true: Tensor, predicted: Tensor, num_classes: int, tolerance: int = 1, ignore_index: int = 255
) -> float:
    """Mean over the classes of the F-score of their boundaries, F = 2PR / (P + R), over the whole data set.

    A boundary pixel of a class has a pixel of another class directly above, below, left or right of it; the
    image's edge makes no boundary. P is the share of predicted boundary pixels, R the share of true ones,
    with a boundary pixel of the same class in the other map at most `tolerance` px away in rows and in columns
    (Chebyshev distance). P and R count the pixels of all images together; Csurka et al. average over images.

    Void: is no class and makes no boundary, in either map; its pixels count nowhere.
    Absent classes: a class with no boundary in truth nor prediction is left out of the mean; a class with one
    in only one of them counts as 0.

    Args:
        true: integer class_ids (B, H, W).
        predicted: integer class_ids (B, H, W), on the same device.
        num_classes: number of classes K.
        tolerance: largest distance of a match in px, at least 0.
        ignore_index: class_id of void pixels.

    Returns:
        Mean F-score in [0, 1]; nan if no class has a boundary.

    Raises:
        ValueError: if the shapes differ or are not (B, H, W), a class_id outside 0 .. K - 1 counts, or the
            tolerance is negative.
        TypeError: if a tensor does not hold integers.

    Source:
        Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC
        2013;
        Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
        CVPR 2016, measure F.

    Example:
        >>> true = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
        >>> predicted = torch.tensor([[[0, 0, 0, 0, 1, 1]]])
        >>> [boundary_f_score(true, predicted, num_classes=2, tolerance=px) for px in (0, 1, 2)]
        [0.0, 0.0, 1.0]
    """
    if true.ndim != 3:
        raise ValueError(f"class_ids must be (B, H, W); got shape {tuple(true.shape)}; reshape true and predicted")
    if tolerance < 0:
        raise ValueError(f"tolerance must be at least 0 px; got {tolerance}; use 0 for exact matches")
    true, predicted, valid = _checked(true, predicted, num_classes, ignore_index)
    true_edge, predicted_edge = _edge(true, valid), _edge(predicted, valid)
    scores = []
    for class_id in range(num_classes):
        true_boundary = true_edge & (true == class_id)
        predicted_boundary = predicted_edge & (predicted == class_id)
        true_count, predicted_count = true_boundary.sum().item(), predicted_boundary.sum().item()
        if true_count == predicted_count == 0:
            continue
        recall = (true_boundary & _widen(predicted_boundary, tolerance)).sum().item() / max(true_count, 1)
        precision = (predicted_boundary & _widen(true_boundary, tolerance)).sum().item() / max(predicted_count, 1)
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(scores) / len(scores) if scores else float("nan")


def boundary_band(class_ids: Tensor, distance: int, ignore_index: int = 255) -> Tensor:
    """Mark the pixels near a boundary between two classes, where a network that is a little off is wrong.

    Void: makes no boundary and is in no band. The image's edge makes no boundary.

    Args:
        class_ids: integer (B, H, W).
        distance: how far the band reaches from a boundary pixel in rows and in columns (Chebyshev distance), in px;
            0 marks the boundary pixels on both sides.
        ignore_index: class_id of void pixels.

    Returns:
        Mask (B, H, W).

    Raises:
        ValueError: if `class_ids` is not (B, H, W), or the distance is negative.

    Example:
        >>> boundary_band(torch.tensor([[[0, 0, 0, 1, 1, 1, 1]]]), distance=1).int()
        tensor([[[0, 1, 1, 1, 1, 0, 0]]], dtype=torch.int32)
    """
    if class_ids.ndim != 3:
        raise ValueError(f"class_ids must be (B, H, W); got shape {tuple(class_ids.shape)}; reshape them")
    if distance < 0:
        raise ValueError(f"distance must be at least 0 px; got {distance}; use 0 for the boundary pixels alone")
    valid = class_ids != ignore_index
    return _widen(_edge(class_ids, valid), distance) & valid


class Matches(NamedTuple):
    """Pairs of a true and a predicted instance of one picture.

    Attributes:
        true: ids of true instances, int64 (M,).
        predicted: ids of the predicted instances that they are matched with, int64 (M,).
        iou: of each pair, float64 (M,).
    """

    true: Tensor
    predicted: Tensor
    iou: Tensor


def match_instances(true_ids: Tensor, predicted_ids: Tensor, threshold: float = 0.5) -> Matches:
    """Match the true and the predicted instances of one picture that overlap by an IoU above a threshold.

    No search is needed: two instances of one map share no pixel, so above 1/2 an instance has one match at most.

    Args:
        true_ids: integer instance_ids (H, W), 0 = none.
        predicted_ids: integer instance_ids (H, W), 0 = none, on the same device.
        threshold: a pair's IoU lies above it; in [0.5, 1).

    Returns:
        Matches in the order of the true ids, on the CPU.

    Raises:
        ValueError: if the shapes differ or are not (H, W), or the threshold is out of its range.

    Source:
        Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1, where it is proven.

    Example:
        >>> true_ids = torch.tensor([[1, 1, 1, 2, 2, 2]])
        >>> match_instances(true_ids, torch.tensor([[7, 7, 7, 7, 0, 5]]))
        Matches(true=tensor([1]), predicted=tensor([7]), iou=tensor([0.7500], dtype=torch.float64))
    """
    if true_ids.shape != predicted_ids.shape or true_ids.ndim != 2:
        raise ValueError(
            f"true and predicted instance_ids of a picture are both (H, W); got {tuple(true_ids.shape)} and "
            f"{tuple(predicted_ids.shape)}; match one picture at a time"
        )
    if not 0.5 <= threshold < 1:
        raise ValueError(f"below an IoU of 0.5 matches are not unique, above 1 is none; got {threshold}; take 0.5")
    true, true_places = true_ids.cpu().unique(return_inverse=True)
    predicted, predicted_places = predicted_ids.cpu().unique(return_inverse=True)
    pairs = (true_places * len(predicted) + predicted_places).flatten()
    overlap = torch.bincount(pairs, minlength=len(true) * len(predicted)).reshape(len(true), len(predicted)).double()
    iou = overlap / (overlap.sum(1, keepdim=True) + overlap.sum(0) - overlap)  # (true instances, predicted instances)
    matched = (iou > threshold) & (true > 0)[:, None] & (predicted > 0)
    row, column = matched.nonzero(as_tuple=True)
    return Matches(true[row].long(), predicted[column].long(), iou[row, column])


class InstanceCounts(NamedTuple):
    """How the instances of a data set were found.

    Attributes:
        true_positives: true instances with a match, as many as predicted ones with a match.
        false_positives: predicted instances without one.
        false_negatives: true instances without one.
    """

    true_positives: int
    false_positives: int
    false_negatives: int


def instance_counts(
    true_ids: Sequence[Tensor] | Tensor, predicted_ids: Sequence[Tensor] | Tensor, threshold: float = 0.5
) -> InstanceCounts:
    """Count matched, invented and missed instances over all pictures of a data set.

    Args:
        true_ids: integer instance_ids (N, H, W), 0 = none, or a list of (H, W).
        predicted_ids: likewise; ids of different pictures have nothing to do with each other.
        threshold: the IoU of matched instances lies above it; in [0.5, 1).

    Returns:
        Counts over the whole data set.

    Raises:
        ValueError: if there are not as many predictions as truths.

    Example:
        >>> true_ids = torch.tensor([[[1, 1, 1, 2, 2, 2]]])
        >>> instance_counts(true_ids, torch.tensor([[[7, 7, 7, 7, 0, 5]]]))
        InstanceCounts(true_positives=1, false_positives=1, false_negatives=1)
    """
    if len(true_ids) != len(predicted_ids):
        raise ValueError(f"each picture has a prediction; got {len(predicted_ids)} for {len(true_ids)}; predict all")
    matched = true_count = predicted_count = 0
    for true, predicted in zip(true_ids, predicted_ids):
        matched += len(match_instances(true, predicted, threshold).true)
        true_count += true[true > 0].unique().numel()
        predicted_count += predicted[predicted > 0].unique().numel()
    return InstanceCounts(matched, predicted_count - matched, true_count - matched)


def instance_f1(
    true_ids: Sequence[Tensor] | Tensor, predicted_ids: Sequence[Tensor] | Tensor, threshold: float = 0.5
) -> float:
    """F1 score of the instances of a data set, 2 TP / (2 TP + FP + FN); `instance_counts` gives the counts.

    Args:
        true_ids: integer instance_ids (N, H, W), 0 = none, or a list of (H, W).
        predicted_ids: likewise.
        threshold: the IoU of matched instances lies above it; in [0.5, 1).

    Returns:
        F1 in [0, 1]; nan if no picture has an instance, true or predicted.

    Source:
        Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", Nature Methods
        2019, which counts so; their score averages over thresholds.

    Example:
        >>> true_ids = torch.tensor([[[1, 1, 1, 2, 2, 2]]])
        >>> instance_f1(true_ids, torch.tensor([[[7, 7, 7, 7, 0, 5]]]))
        0.5
    """
    matched, invented, missed = instance_counts(true_ids, predicted_ids, threshold)
    instances = 2 * matched + invented + missed
    return 2 * matched / instances if instances else float("nan")


def _checked(true: Tensor, predicted: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Check the class_ids; return both as int64 and the mask of the pixels that are not void."""
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted must have one shape; got {tuple(true.shape)} and {tuple(predicted.shape)}; "
            f"predict one class_id for each pixel of true"
        )
    for name, class_ids in (("true", true), ("predicted", predicted)):
        if class_ids.is_floating_point() or class_ids.dtype == torch.bool:
            raise TypeError(
                f"{name} must hold integer class_ids; got {class_ids.dtype}; logits need .argmax(1), "
                f"a mask needs .long()"
            )
    true, predicted = true.long(), predicted.long()
    valid = true != ignore_index
    for name, class_ids in (("true", true), ("predicted", predicted)):
        wrong = class_ids[valid & ((class_ids < 0) | (class_ids >= num_classes))]
        if len(wrong):
            raise ValueError(
                f"{name} must be in 0 .. {num_classes - 1} where true is not void; got {wrong[0]}; correct "
                f"num_classes, relabel, or give void pixels the ignore_index {ignore_index} in true"
            )
    return true, predicted, valid


def _areas(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Px of intersection, truth and prediction of each class: float64 (K,), on the CPU as MPS has none."""
    confusion = confusion.cpu().double()
    return confusion.diagonal(), confusion.sum(1), confusion.sum(0)


def _edge(class_ids: Tensor, valid: Tensor) -> Tensor:
    """Mask (B, H, W) of pixels with a direct neighbour of another class, both of them valid."""
    edge = torch.zeros_like(valid)
    for axis in (1, 2):
        pairs = class_ids.shape[axis] - 1
        first, second = class_ids.narrow(axis, 0, pairs), class_ids.narrow(axis, 1, pairs)
        differs = (first != second) & valid.narrow(axis, 0, pairs) & valid.narrow(axis, 1, pairs)
        edge.narrow(axis, 0, pairs).logical_or_(differs)
        edge.narrow(axis, 1, pairs).logical_or_(differs)
    return edge


def _widen(mask: Tensor, distance: int) -> Tensor:
    """Mask (B, H, W) of pixels at most `distance` px in rows and in columns from one of the mask."""
    return functional.max_pool2d(mask.float(), 2 * distance + 1, stride=1, padding=distance) > 0
