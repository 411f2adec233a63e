"""labels: against tables worked by hand, slow loops over pixels, and scikit-image's region properties."""

import numpy as np
import pytest
from skimage.measure import label, regionprops

from lessons_lib.labels import boundary, check_class_ids, components, one_hot, relabel, segments, separate


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("values", [[0, 4], [255], [], [0, 255, 4]])
def test_valid_class_ids_pass(values):
    check_class_ids(np.array([values], dtype=int), num_classes=5)


@pytest.mark.parametrize(
    ("class_ids", "error", "message"),
    [
        (np.array([[0, 5]]), ValueError, r"lie in \[0, 5\) or are 255: got \[5\]; raise num_classes"),
        (np.array([[-1, 254]]), ValueError, r"got \[-1, 254\]"),
        (np.array([[0.0, 1.0]]), TypeError, "are integers: got float64; convert"),
        (np.array([0, 1]), ValueError, r"have shape \(..., H, W\): got \(2,\); reshape"),
    ],
)
def test_invalid_class_ids_are_named(class_ids, error, message):
    with pytest.raises(error, match=message):
        check_class_ids(class_ids, num_classes=5)


def test_another_ignore_index_is_respected():
    check_class_ids(np.array([[0, 9]]), num_classes=2, ignore_index=9)
    with pytest.raises(ValueError, match=r"or are 9: got \[255\]"):
        check_class_ids(np.array([[255]]), num_classes=2, ignore_index=9)


def test_relabel_keeps_the_partition_the_order_and_the_type(rng):
    for _ in range(50):
        old = rng.choice([0, 3, 4, 90, 1000], size=rng.integers(1, 6, 2)).astype(np.uint16)
        new = relabel(old)
        assert new.dtype == old.dtype
        pairs = sorted(set(zip(old.ravel().tolist(), new.ravel().tolist())))
        positive = [pair for pair in pairs if pair[0] > 0]
        assert [n for _, n in positive] == list(range(1, len(positive) + 1))
        assert all(n == 0 for o, n in pairs if o == 0)


def test_relabel_refuses_negative_ids():
    with pytest.raises(ValueError, match=r"0 \(none\) or positive: got -1; set"):
        relabel(np.array([[-1, 2]]))


def boundary_by_loop(ids):
    height, width = ids.shape
    mask = np.zeros(ids.shape, bool)
    for row in range(height):
        for column in range(width):
            for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if 0 <= r < height and 0 <= c < width and ids[r, c] != ids[row, column]:
                    mask[row, column] = True
    return mask


def test_boundary_equals_the_loop(rng):
    for _ in range(50):
        ids = rng.integers(0, 3, rng.integers(1, 8, 2))
        np.testing.assert_array_equal(boundary(ids), boundary_by_loop(ids))


def test_one_hot_inverts_argmax_and_leaves_void_out(rng):
    class_ids = rng.integers(0, 4, (5, 6))
    class_ids[0, :2] = 255
    masks = one_hot(class_ids, num_classes=5)
    assert masks.shape == (5, 5, 6) and masks.dtype == bool
    assert not masks[:, 0, :2].any() and not masks[4].any()
    assert (masks.sum(0) == (class_ids != 255)).all()
    np.testing.assert_array_equal(masks.argmax(0)[class_ids != 255], class_ids[class_ids != 255])


def test_one_hot_refuses_a_class_without_a_place():
    with pytest.raises(ValueError, match=r"got \[3\]"):
        one_hot(np.array([[3]]), num_classes=3)


def test_components_equal_scikit_image(rng):
    for _ in range(30):
        mask = rng.random(rng.integers(1, 12, 2)) < 0.6
        np.testing.assert_array_equal(components(mask), label(mask, connectivity=1))


@pytest.mark.parametrize("smallest", [1, 2, 4, 100])
def test_small_parts_are_left_out_and_the_others_numbered_anew(rng, smallest):
    masks = rng.random((3, 9, 12)) < 0.5
    for mask, instance_ids in zip(masks, components(masks, smallest)):
        parts = [region.coords for region in regionprops(label(mask, connectivity=1)) if region.area >= smallest]
        assert np.unique(instance_ids[instance_ids > 0]).tolist() == list(range(1, len(parts) + 1))
        for number, coords in enumerate(parts, start=1):
            assert (instance_ids[tuple(coords.T)] == number).all()
        assert (instance_ids > 0).sum() == sum(map(len, parts))


def test_components_refuse_what_is_no_mask():
    with pytest.raises(TypeError, match="a mask is boolean: got int64; compare"):
        components(np.array([[0, 1]]))


def separate_by_loop(ids):
    height, width = ids.shape
    result = ids.copy()
    for row in range(height):
        for column in range(width):
            window = ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if any(other not in (0, ids[row, column]) for other in window.ravel()):
                result[row, column] = 0
    return result


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64])
def test_separate_equals_the_loop(rng, kind):
    coarse = rng.choice([0, 0, 1, 7, np.iinfo(kind).max if kind != np.int64 else 2**40], (20, 5, 6)).astype(kind)
    maps = coarse.repeat(3, axis=1).repeat(3, axis=2)
    parted = separate(maps)
    assert parted.dtype == kind
    for ids, result in zip(maps, parted, strict=True):
        np.testing.assert_array_equal(result, separate_by_loop(ids))


def test_parted_instances_touch_no_longer(rng):
    ids = np.arange(1, 10).reshape(3, 3).repeat(4, axis=0).repeat(4, axis=1)
    parted = separate(ids)
    assert label(ids > 0).max() == 1 and label(parted > 0, connectivity=2).max() == 9
    np.testing.assert_array_equal(parted[parted > 0], ids[parted > 0])


def test_segments_worked_by_hand():
    class_ids = np.array([[0, 0, 5, 5], [1, 4, 4, 5], [1, 1, 255, 4]])
    instance_ids = np.array([[0, 0, 2, 2], [0, 7, 7, 2], [0, 0, 0, 9]])
    segment_ids, info = segments(class_ids, instance_ids, things={4, 5, 6})
    assert segment_ids.tolist() == [[1, 1, 3, 3], [2, 4, 4, 3], [2, 2, 0, 5]]
    stuff, thing = {"isthing": 0, "iscrowd": 0}, {"isthing": 1, "iscrowd": 0}
    assert info == [
        {"id": 1, "category_id": 0, **stuff, "area": 2, "bbox": [0, 0, 2, 1]},
        {"id": 2, "category_id": 1, **stuff, "area": 3, "bbox": [0, 1, 2, 2]},
        {"id": 3, "category_id": 5, **thing, "area": 3, "bbox": [2, 0, 2, 2]},
        {"id": 4, "category_id": 4, **thing, "area": 2, "bbox": [1, 1, 2, 1]},
        {"id": 5, "category_id": 4, **thing, "area": 1, "bbox": [3, 2, 1, 1]},
    ]


def test_areas_and_boxes_equal_scikit_image(rng):
    class_ids = rng.integers(0, 3, (9, 12))
    segment_ids, info = segments(class_ids, np.zeros_like(class_ids), things=())
    for region, segment in zip(regionprops(segment_ids), info, strict=True):
        top, left, bottom, right = region.bbox
        assert segment["area"] == region.area
        assert segment["bbox"] == [left, top, right - left, bottom - top]


@pytest.mark.parametrize(
    ("class_ids", "instance_ids", "message"),
    [
        ([[0, 4]], [[0, 0]], r"\(row 0, column 1\) got class 4, instance 0; set stuff"),
        ([[0, 4]], [[3, 1]], r"\(row 0, column 0\) got class 0, instance 3"),
        ([[4, 5]], [[1, 1]], "an instance has one class: instance 1 has several"),
        ([[0, 4]], [[0]], r"share one shape: got \(1, 2\) and \(1, 1\)"),
    ],
)
def test_maps_that_disagree_are_refused(class_ids, instance_ids, message):
    with pytest.raises(ValueError, match=message):
        segments(np.array(class_ids), np.array(instance_ids), things={4, 5})
