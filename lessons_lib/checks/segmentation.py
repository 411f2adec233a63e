"""Checkers of chapter 1, "Segmentation and its tasks". Every oracle is a loop over pixels."""

from collections.abc import Iterator

import numpy as np

from lessons_lib.checks.base import Exercise, Variant, agreement

VOID = 255


def _label_maps(generator: np.random.Generator, shape: tuple[int, ...], num_classes: int) -> np.ndarray:
    """Draw a label map, uint8: a quarter of the pixels void, but never all of them, and often a class absent."""
    class_ids = generator.integers(0, num_classes, shape)
    class_ids[class_ids == generator.integers(0, 2 * num_classes)] = generator.integers(0, num_classes)
    keep = class_ids[..., 0, 0].copy()
    class_ids[generator.random(shape) < 0.25] = VOID
    class_ids[..., 0, 0] = keep
    return class_ids.astype(np.uint8)


# --- class_shares(class_ids, num_classes) ---------------------------------------------------------------------


def _share_cases() -> Iterator[tuple]:
    yield np.array([[0, VOID]], np.uint8), 2
    yield np.array([[1, 1, VOID, 0]], np.uint8), 3
    generator = np.random.default_rng(1)
    for size in range(2, 30):
        num_classes = int(generator.integers(2, 6))
        yield _label_maps(generator, (1 + size // 6, 2 + size // 5), num_classes), num_classes


def _shares(class_ids, num_classes):
    counts, known = [0] * num_classes, 0
    for class_id in class_ids.flat:
        if class_id != VOID:
            counts[class_id] += 1
            known += 1
    return [count / known for count in counts]


def _counts(class_ids, num_classes):
    return (class_ids[..., None] == np.arange(num_classes)).sum((0, 1))


VOID_BIN = (
    "void got a place of its own: np.bincount counts 255 like a class, so up to 256 shares come back; leave void "
    "pixels out before you count"
)

class_shares = Exercise(
    key="01_segmentation/class_shares",
    title="The share of every class in a label map",
    hints=(
        "Void pixels (255) have no class: take them out first, with class_ids[class_ids != 255].",
        "np.bincount counts how often each class id occurs; its minlength also gives the absent classes a place.",
        "counts / counts.sum() turns the counts of the K classes into shares.",
    ),
    judge=agreement(
        _shares,
        _share_cases,
        [
            Variant(
                "void counted: the shares add up to less than 1, because void pixels (255) are part of the whole; "
                "divide by the pixels that have a class",
                lambda class_ids, num_classes: _counts(class_ids, num_classes) / class_ids.size,
            ),
            Variant(
                "void counted as class 0: leave void pixels out before you count",
                lambda class_ids, num_classes: (
                    _counts(np.where(class_ids == VOID, 0, class_ids), num_classes) / class_ids.size
                ),
            ),
            Variant(
                VOID_BIN,
                lambda class_ids, num_classes: np.bincount(class_ids.flat, minlength=num_classes) / class_ids.size,
            ),
            Variant(
                VOID_BIN,
                lambda class_ids, num_classes: (
                    np.bincount(class_ids.flat, minlength=num_classes) / (class_ids != VOID).sum()
                ),
            ),
            Variant(
                "these are counts: divide by the number of pixels that have a class",
                _counts,
            ),
            Variant(
                "these are per cent: leave out the factor 100",
                lambda class_ids, num_classes: [100 * s for s in _shares(class_ids, num_classes)],
            ),
            Variant(
                "absent classes have no place: the result ends at the largest class id that occurs, "
                "but it has to have one share for each of the num_classes classes",
                lambda class_ids, num_classes: np.trim_zeros(np.array(_shares(class_ids, num_classes)), "b"),
            ),
            Variant(
                "absent classes have no place: the result skips them, but their share is 0",
                lambda class_ids, num_classes: [s for s in _shares(class_ids, num_classes) if s],
            ),
        ],
    ),
)


# --- mean_iou(true, predicted, num_classes) -------------------------------------------------------------------


def _iou_cases() -> Iterator[tuple]:
    yield np.array([[[0, 1]]], np.uint8), np.array([[[0, 0]]], np.uint8), 2
    yield np.array([[[0, VOID]]], np.uint8), np.array([[[0, 1]]], np.uint8), 3
    yield np.array([[[0, 0]], [[0, 1]]], np.uint8), np.array([[[0, 0]], [[1, 1]]], np.uint8), 2
    generator = np.random.default_rng(2)
    for size in range(30):
        shape = (1 + size % 3, 1 + size // 8, 2 + size // 10)
        num_classes = int(generator.integers(2, 6))
        true = _label_maps(generator, shape, num_classes)
        guess = generator.integers(0, num_classes, shape).astype(np.uint8)
        right = (generator.random(shape) < 0.6) & (true != VOID)
        yield true, np.where(right, true, guess), num_classes


def _areas(true, predicted, num_classes, void=VOID):
    """Count, pixel by pixel, what each class has in common, in the truth, and in the prediction."""
    common, in_true, in_predicted = np.zeros((3, num_classes))
    for t, p in zip(true.flat, predicted.flat):
        if t != void:
            in_predicted[p] += 1
            if t != VOID:
                in_true[t] += 1
            if t == p:
                common[t] += 1
    return common, in_true, in_predicted


def _ious(true, predicted, num_classes, absent=None, **settings):
    """List the IoU of every class; a class that is absent from both gets `absent`, or no place."""
    ious = []
    for common, in_true, in_predicted in zip(*_areas(true, predicted, num_classes, **settings)):
        union = in_true + in_predicted - common
        if union:
            ious.append(common / union)
        elif absent is not None:
            ious.append(absent)
    return ious


def _mean_iou(true, predicted, num_classes):
    ious = _ious(true, predicted, num_classes)
    return sum(ious) / len(ious)


def _each_image(true, predicted, num_classes):
    return np.mean([_mean_iou(t, p, num_classes) for t, p in zip(true, predicted)])


def _each_image_and_class(true, predicted, num_classes):
    table = np.array([_ious(t, p, num_classes, absent=np.nan) for t, p in zip(true, predicted)])
    return np.mean([np.nanmean(column) for column in table.T if not np.isnan(column).all()])


def _ratio(numerator, denominator):
    """Make a score out of areas: the mean of numerator / denominator over the classes with a denominator."""

    def score(true, predicted, num_classes):
        areas = _areas(true, predicted, num_classes)
        pairs = [(numerator(*one), denominator(*one)) for one in zip(*areas) if denominator(*one)]
        return np.mean([top / bottom for top, bottom in pairs])

    return score


PER_IMAGE = (
    "per-image mean instead of data-set mean: add up the intersections and the unions of all images first, divide then"
)
ABSENT = "{}: a class that is neither in the truth nor in the prediction has no IoU; leave it out of the mean"

mean_iou = Exercise(
    key="01_segmentation/mean_iou",
    title="Mean IoU over a whole data set, from scratch",
    hints=(
        "known = true != 255 picks the pixels that count; true[known] and predicted[known] are flat, over all images.",
        "For class c: the intersection is (true == c) & (predicted == c), the union (true == c) | (predicted == c).",
        "A class with an empty union is absent from both: skip it. The mean runs over the others.",
    ),
    judge=agreement(
        _mean_iou,
        _iou_cases,
        [
            Variant(PER_IMAGE, _each_image),
            Variant(PER_IMAGE, _each_image_and_class),
            Variant(
                "void counted: what is predicted on void pixels (255 in the truth) makes the unions larger; "
                "leave these pixels out of both maps",
                lambda *case: np.mean(_ious(*case, void=None)),
            ),
            Variant(
                "pixel accuracy instead of mean IoU: this is the share of right pixels; go class by class",
                lambda true, predicted, _: (true == predicted)[true != VOID].mean(),
            ),
            Variant(
                "pixel accuracy instead of mean IoU, and with void pixels counted as wrong: leave them out, then go "
                "class by class",
                lambda true, predicted, _: (true == predicted).mean(),
            ),
            Variant(ABSENT.format("absent class counted as 0"), lambda *case: np.mean(_ious(*case, absent=0))),
            Variant(ABSENT.format("absent class counted as 1"), lambda *case: np.mean(_ious(*case, absent=1))),
            Variant(ABSENT.format("absent class gives 0 / 0"), lambda *case: np.mean(_ious(*case, absent=np.nan))),
            Variant(
                "predicted, but never true: such a class has IoU 0, and it counts in the mean",
                _ratio(lambda c, t, p: c, lambda c, t, p: (t + p - c) if t else 0),
            ),
            Variant(
                "divided by the true pixels, not by the union: that is the recall, which forgives false alarms",
                _ratio(lambda c, t, p: c, lambda c, t, p: t),
            ),
            Variant(
                "the intersection is counted twice in the union: union = true + predicted - intersection",
                _ratio(lambda c, t, p: c, lambda c, t, p: t + p),
            ),
            Variant(
                "this is Dice, 2 x intersection / (true + predicted): IoU is intersection / union",
                _ratio(lambda c, t, p: 2 * c, lambda c, t, p: t + p),
            ),
            Variant(
                "one IoU over all classes together: compute it for each class, then take the mean",
                lambda *case: (lambda c, t, p: c.sum() / (t + p - c).sum())(*_areas(*case)),
            ),
        ],
    ),
)


# --- crop_around(image, row, column, window) ------------------------------------------------------------------


def _crop_cases() -> Iterator[tuple]:
    generator = np.random.default_rng(3)
    for size in range(30):
        height, width = 3 + size // 8, 5 + size // 10  # never square: a swap of the axes shows
        window = 2 * int(generator.integers(0, min(3, height))) + 1
        image = generator.integers(0, 100, (height, width, 3)) / 100
        yield image, int(generator.integers(height)), int(generator.integers(width)), window if size else 3


def _crop(image, row, column, window):
    height, width = image.shape[:2]
    patch = np.empty((window, window, 3))
    for i in range(window):
        for j in range(window):
            r, c = (
                min(max(place - window // 2, 0), size - 1) for place, size in ((row + i, height), (column + j, width))
            )
            patch[i, j] = image[r, c]
    return patch


def _padded(image, window, mode="edge"):
    half = window // 2
    return np.pad(image, ((half, half), (half, half), (0, 0)), mode=mode)


def _cut(extra=0, start=0, stop=0, mode="edge"):
    """Make a crop that pads by `extra` px too many and moves the start and the stop of its slices."""

    def crop(image, row, column, window):
        padded = _padded(image, window + 2 * extra, mode)
        return padded[row + start : row + stop + window, column + start : column + stop + window]

    return crop


def _around(image, row, column, half):
    """Cut rows and columns from -half to half, as if the image had no border."""
    return image[row - half : row + half + 1, column - half : column + half + 1]


def _inside(image, row, column, half):
    """Cut rows and columns from -half to half, as far as the image goes."""
    return image[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1]


NO_PADDING = "no padding at the border: a window that sticks out of the image comes back too small; pad by window // 2"
UNSHIFTED = (
    "in the padded image, pixel (row, column) stands at (row + window // 2, column + window // 2): "
    "the patch starts at (row, column) there"
)
REPEAT = "repeat the image's outermost pixels (mode='edge')"
OFF_BY_ONE = "off by one: pixel (row, column) of the image has to stand at [window // 2, window // 2] of the patch"

crop_around = Exercise(
    key="01_segmentation/crop_around",
    title="The window round one pixel, also at the border",
    hints=(
        "Pad the image by window // 2 on each side, rows and columns but not channels: np.pad(..., mode='edge').",
        "Padding moves every pixel by window // 2 down and right. Where does the patch start in the padded image?",
        "The patch is padded[row : row + window, column : column + window].",
    ),
    judge=agreement(
        _crop,
        _crop_cases,
        [
            Variant(
                "row and column swapped: the first axis of an image is the row",
                lambda image, row, column, window: _cut()(image, column, row, window),
            ),
            Variant(NO_PADDING, lambda image, row, column, window: _inside(image, row, column, window // 2)),
            Variant(NO_PADDING, lambda image, row, column, window: _around(image, row, column, window // 2)),
            Variant(UNSHIFTED, lambda image, row, column, w: _inside(_padded(image, w), row, column, w // 2)),
            Variant(UNSHIFTED, lambda image, row, column, w: _around(_padded(image, w), row, column, w // 2)),
            Variant(OFF_BY_ONE, _cut(extra=1)),
            Variant(OFF_BY_ONE, _cut(extra=1, start=2, stop=2)),
            Variant(
                "the channels are padded too: np.pad takes one pair an axis, ((half, half), (half, half), (0, 0))",
                lambda image, row, column, window: np.pad(image, window // 2, mode="edge")[
                    row : row + window, column : column + window
                ],
            ),
            Variant("one row and one column are missing: a slice ends before its second number", _cut(stop=-1)),
            Variant(f"padded with zeros: {REPEAT}", _cut(mode="constant")),
            Variant(f"mirrored at the border: {REPEAT}", _cut(mode="reflect")),
            Variant(f"mirrored with the border pixel twice (mode='symmetric'): {REPEAT}", _cut(mode="symmetric")),
        ],
    ),
)
