"""brain: slices against the volumes that they are cut from, and splits that keep their distance."""

import gzip
import re
from itertools import pairwise

import numpy as np
import pytest
import torch

from lessons_lib.data import wheels
from lessons_lib.data.brain import CLASSES, SPLITS, slices


@pytest.fixture(scope="module")
def parts():
    return {name: slices(name) for name in SPLITS}


def volume(name):
    """The whole volume, read as the NIfTI standard says: its size and the place of its values are in the header."""
    content = gzip.decompress(
        wheels.wheel_file("nilearn", f"datasets/data/mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz").read_bytes()
    )
    sizes = np.frombuffer(content, "<i2", 3, offset=42)
    (kind,) = np.frombuffer(content, "<i2", 1, offset=70)
    (start,) = np.frombuffer(content, "<f4", 1, offset=108)
    assert kind == 2  # uint8
    return np.frombuffer(content, np.uint8, offset=int(start)).reshape(sizes, order="F")


@pytest.mark.parametrize(("name", "count"), [("train", 62), ("validation", 6), ("test", 12)])
def test_shapes_types_and_ranges(parts, name, count):
    images, class_ids = parts[name]
    assert images.shape == (count, 1, 192, 160) and images.dtype == torch.float32
    assert class_ids.shape == (count, 192, 160) and class_ids.dtype == torch.int64
    assert images.min() == 0 and 0.8 < images.max() <= 1
    for one in class_ids:
        assert one.unique().tolist() == list(range(len(CLASSES)))


def test_splits_keep_eight_slices_between_them():
    blocks = sorted((block.start, block.stop, name) for name, blocks in SPLITS.items() for block in blocks)
    for (_, stop, _), (start, _, _) in pairwise(blocks):
        assert start - stop >= 8
    assert len({name for *_, name in blocks}) == 3


def test_slices_are_where_they_should_be(parts):
    brightness, grey, white = (volume(name).astype(int) for name in ("t1", "gm", "wm"))
    rng = np.random.default_rng(0)
    for name, blocks in SPLITS.items():
        heights = [height for block in blocks for height in block]
        for _ in range(200):
            index, row, column = rng.integers([len(heights), 192, 160])
            place = 18 + column, 211 - row, heights[index]  # from the left, from the back, from the bottom
            bright, grey_here, white_here = brightness[place], grey[place], white[place]
            shares = [255 - grey_here - white_here, grey_here, white_here]
            expected = 1 + shares.index(max(shares)) if bright > 0 else 0
            assert parts[name][1][index, row, column] == expected
            assert parts[name][0][index, 0, row, column] == pytest.approx(bright / 255)


def test_no_slice_is_cut_off(parts):
    brightness = volume("t1")
    for name, blocks in SPLITS.items():
        heights = [height for block in blocks for height in block]
        assert (parts[name][1] > 0).sum() == (brightness[:, :, heights] > 0).sum()


def test_white_matter_is_the_brightest_and_fluid_the_darkest(parts):
    for images, class_ids in parts.values():
        means = [images[:, 0][class_ids == class_id].mean().item() for class_id in range(len(CLASSES))]
        assert means == sorted(means) and means[0] == 0


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="one of train, validation, test: got 'dev'; choose"):
        slices("dev")


def test_a_missing_wheel_gets_its_install_line(monkeypatch):
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=re.escape("run: pip install --no-deps nilearn==0.14.1")):
        slices("test")
