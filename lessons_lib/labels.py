"""Label maps: class ids, instance ids, panoptic segments. Validated and converted without torch."""

from collections.abc import Collection

import numpy as np
from scipy import ndimage

IGNORE_INDEX = 255  # a pixel that is neither trained on nor scored


def check_class_ids(class_ids: np.ndarray, num_classes: int, ignore_index: int = IGNORE_INDEX) -> None:
    """Check that a label map holds integers in [0, num_classes) or ignore_index.

    Args:
        class_ids: (H, W), or with axes before these.
        num_classes: K.
        ignore_index: the value of void pixels.

    Raises:
        TypeError: class_ids are not integers.
        ValueError: class_ids have fewer than two axes, or a value has no class.

    Example:
        >>> check_class_ids(np.array([[0, 2, 255]]), num_classes=2)
        Traceback (most recent call last):
        ValueError: class ids lie in [0, 2) or are 255: got [2]; raise num_classes or relabel the map
    """
    class_ids = np.asarray(class_ids)
    if not np.issubdtype(class_ids.dtype, np.integer):
        raise TypeError(f"class ids are integers: got {class_ids.dtype}; convert with .astype(np.uint8)")
    if class_ids.ndim < 2:
        raise ValueError(f"class ids have shape (..., H, W): got {class_ids.shape}; reshape to a map")
    values = np.unique(class_ids)
    wrong = values[((values < 0) | (values >= num_classes)) & (values != ignore_index)]
    if wrong.size:
        raise ValueError(
            f"class ids lie in [0, {num_classes}) or are {ignore_index}: got {wrong.tolist()}; "
            "raise num_classes or relabel the map"
        )


def relabel(instance_ids: np.ndarray) -> np.ndarray:
    """Number instances 1..N without gaps; the order of the ids stays, and 0 stays "none".

    Args:
        instance_ids: (H, W) integers >= 0, 0 = none.

    Returns:
        (H, W) of the same type, with ids 0..N.

    Raises:
        ValueError: an id is negative.

    Example:
        >>> relabel(np.array([[0, 7, 7], [3, 0, 9]])).tolist()
        [[0, 2, 2], [1, 0, 3]]
    """
    instance_ids = np.asarray(instance_ids)
    old, places = np.unique(instance_ids, return_inverse=True)
    if old.size and old[0] < 0:
        raise ValueError(f"instance ids are 0 (none) or positive: got {old[0]}; set unwanted pixels to 0")
    new = np.cumsum(old > 0).astype(instance_ids.dtype)
    return new[places].reshape(instance_ids.shape)


def components(mask: np.ndarray, smallest: int = 1) -> np.ndarray:
    """Number the connected parts of a mask: the simplest way from a mask to instances.

    Two pixels are connected if they share a side; parts that only meet at a corner stay two.

    Args:
        mask: (H, W), or with axes before these: one mask each.
        smallest: parts of fewer px^2 are left out, as specks.

    Returns:
        instance_ids, int32 of the same shape: 0 where there is no part, 1.. in each map without gaps.

    Raises:
        TypeError: mask is not boolean.

    Example:
        >>> components(np.array([[1, 1, 0, 1], [0, 0, 1, 0]], dtype=bool)).tolist()
        [[1, 1, 0, 2], [0, 0, 3, 0]]
        >>> components(np.array([[1, 0, 1, 1]], dtype=bool), smallest=2).tolist()
        [[0, 0, 1, 1]]
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"a mask is boolean: got {mask.dtype}; compare, for example class_ids == 1")
    instance_ids = np.zeros(mask.shape, np.int32)
    for index in np.ndindex(mask.shape[:-2]):
        parts, _ = ndimage.label(mask[index])
        kept = np.bincount(parts.ravel())[parts] >= smallest  # (H, W)
        instance_ids[index] = relabel(parts * kept)
    return instance_ids


def separate(instance_ids: np.ndarray) -> np.ndarray:
    """Part instances that touch by a border of background, one pixel of each of the two.

    A pixel becomes background if one of its eight neighbours belongs to another instance.

    Args:
        instance_ids: (H, W), or with axes before these: one map each. Integers >= 0, 0 = background.

    Returns:
        instance_ids of the same shape and type; an instance may lose all of its pixels.

    Source:
        Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, section 3: touching cells are parted by a small border.

    Example:
        >>> separate(np.array([[1, 1, 1, 2, 2, 0, 3]])).tolist()
        [[1, 1, 0, 0, 2, 0, 3]]
    """
    instance_ids = np.asarray(instance_ids)
    window = (1,) * (instance_ids.ndim - 2) + (3, 3)
    above_all = int(instance_ids.max(initial=0)) + 1
    highest = ndimage.maximum_filter(instance_ids, window, mode="nearest")
    ids_or_above = np.where(instance_ids > 0, instance_ids.astype(np.int64), above_all)
    lowest = ndimage.minimum_filter(ids_or_above, window, mode="nearest")
    return np.where(highest == lowest, instance_ids, 0).astype(instance_ids.dtype)


def boundary(ids: np.ndarray) -> np.ndarray:
    """Mark the pixels that touch another label, on both sides of each edge.

    Args:
        ids: (H, W) class ids or instance ids.

    Returns:
        Mask (H, W): True where one of the four neighbours has another id. The picture's rim is no edge.

    Example:
        >>> boundary(np.array([[0, 0, 1, 1, 1]])).tolist()
        [[False, True, True, False, False]]
    """
    ids = np.asarray(ids)
    mask = np.zeros(ids.shape, bool)
    down = ids[1:] != ids[:-1]
    right = ids[:, 1:] != ids[:, :-1]
    mask[1:] |= down
    mask[:-1] |= down
    mask[:, 1:] |= right
    mask[:, :-1] |= right
    return mask


def one_hot(class_ids: np.ndarray, num_classes: int, ignore_index: int = IGNORE_INDEX) -> np.ndarray:
    """Turn a label map into one mask a class.

    Args:
        class_ids: (H, W) integers.
        num_classes: K.
        ignore_index: void pixels; they belong to no class.

    Returns:
        Masks (K, H, W).

    Raises:
        TypeError: class_ids are not integers.
        ValueError: a value has no class.

    Example:
        >>> one_hot(np.array([[1, 0, 255]]), num_classes=2).astype(int).tolist()
        [[[0, 1, 0]], [[1, 0, 0]]]
    """
    check_class_ids(class_ids, num_classes, ignore_index)
    return np.asarray(class_ids) == np.arange(num_classes)[:, None, None]


def segments(
    class_ids: np.ndarray,
    instance_ids: np.ndarray,
    things: Collection[int],
    ignore_index: int = IGNORE_INDEX,
) -> tuple[np.ndarray, list[dict]]:
    """Join class ids and instance ids into panoptic segments: one a thing, one a class of stuff.

    Args:
        class_ids: (H, W) integers; void pixels belong to no segment.
        instance_ids: (H, W) integers, 0 = none: positive exactly where a thing is.
        things: the class ids that are things; all others are stuff.
        ignore_index: the value of void pixels.

    Returns:
        segment_ids, int32 (H, W), 0 = none: stuff first in the order of its class ids, then things in the
        order of their instance ids. And segments_info, one dictionary a segment with COCO's keys: id,
        category_id (here the class id), isthing, iscrowd (0), area in px^2, bbox as [x, y, width, height] in px.

    Raises:
        ValueError: the maps differ in shape, an instance has two classes, or instances and things disagree.

    Source:
        Kirillov et al., "Panoptic Segmentation", CVPR 2019; the keys are those of COCO's panoptic format.

    Example:
        >>> ids, info = segments(np.array([[0, 0, 4]]), np.array([[0, 0, 1]]), things={4})
        >>> ids.tolist(), [(s["category_id"], s["isthing"], s["bbox"]) for s in info]
        ([[1, 1, 2]], [(0, 0, [0, 0, 2, 1]), (4, 1, [2, 0, 1, 1])])
    """
    class_ids, instance_ids = np.asarray(class_ids), np.asarray(instance_ids)
    _check_agreement(class_ids, instance_ids, things, ignore_index)
    stuff = [c for c in np.unique(class_ids).tolist() if c not in things and c != ignore_index]
    masks = [(c, class_ids == c) for c in stuff]
    for instance_id in np.unique(instance_ids[instance_ids > 0]):
        mask = instance_ids == instance_id
        masks.append((int(class_ids[mask][0]), mask))

    segment_ids = np.zeros(class_ids.shape, np.int32)
    segments_info = []
    for segment_id, (class_id, mask) in enumerate(masks, start=1):
        segment_ids[mask] = segment_id
        rows, columns = np.nonzero(mask)
        top, left = int(rows.min()), int(columns.min())
        segments_info.append(
            {
                "id": segment_id,
                "category_id": class_id,
                "isthing": int(class_id in things),
                "iscrowd": 0,
                "area": len(rows),
                "bbox": [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1],
            }
        )
    return segment_ids, segments_info


def _check_agreement(
    class_ids: np.ndarray, instance_ids: np.ndarray, things: Collection[int], ignore_index: int
) -> None:
    """Check that instances lie exactly on the pixels of things, one class each."""
    if class_ids.shape != instance_ids.shape:
        shapes = f"{class_ids.shape} and {instance_ids.shape}"
        raise ValueError(f"class ids and instance ids share one shape: got {shapes}; crop both alike")
    is_thing = np.isin(class_ids, list(things))
    disagree = (is_thing != (instance_ids > 0)) & (class_ids != ignore_index)
    if disagree.any():
        row, column = np.argwhere(disagree)[0].tolist()
        raise ValueError(
            f"instances lie exactly where things are: at (row {row}, column {column}) got class "
            f"{class_ids[row, column]}, instance {instance_ids[row, column]}; set stuff to instance 0, things above 0"
        )
    pairs = np.unique(np.stack([instance_ids[is_thing], class_ids[is_thing]]), axis=1)
    repeated = np.flatnonzero(pairs[0, 1:] == pairs[0, :-1])
    if repeated.size:
        raise ValueError(
            f"an instance has one class: instance {pairs[0, repeated[0]]} has several; give each animal its own id"
        )
