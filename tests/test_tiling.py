"""Tiles against one pass over the whole image, and mirrored borders against NumPy's."""

import numpy as np
import pytest
import torch
from torch import nn

from lessons_lib.models.tiling import mirror, overlap_tile, tile_with_margin
from lessons_lib.models.unet import UNet
from lessons_lib.models.unet_2015 import UNet2015


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def small():
    """Grid 8 px, margin 44 px, in float64: sums in another order differ by nothing that counts."""
    return UNet2015(widths=(3, 4, 5)).double().eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (7, 4), (30, 20)])
@pytest.mark.parametrize("margins", [(0, 0), (1, 2), (3, None), (40, 25)])
def test_mirror_equals_numpy(size, margins):
    images = torch.rand(2, 3, *size)
    before, after = margins
    widths = (before, before if after is None else after)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), widths, widths), mode="reflect")
    assert np.array_equal(mirror(images, before, after).numpy(), expected)


def one_pass(model, images):
    """Logits of the whole image by one pass: mirrored by the margin, and on until the size fits."""
    height, width = images.shape[-2:]
    mirrored = np.pad(images.numpy(), ((0, 0), (0, 0), (model.margin, 200), (model.margin, 200)), mode="reflect")
    sides = []
    for side in (height, width):
        side += 2 * model.margin
        while (side + 4) % model.grid:
            side += 1
        sides.append(side)
    with torch.no_grad():
        return model(torch.from_numpy(mirrored[..., : sides[0], : sides[1]]))[..., :height, :width]


@pytest.mark.parametrize("size", [(1, 1), (9, 30), (33, 64), (97, 50)])
@pytest.mark.parametrize("tile", [12, 20, 28, 60])  # with each of them 4 px are left to the next tile
def test_overlap_tile_equals_one_pass_over_the_mirrored_image(small, size, tile):
    images = torch.rand(2, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(overlap_tile(small, images, tile), one_pass(small, images), rtol=0, atol=1e-12)


def test_every_pass_has_the_size_that_was_asked_for(small):
    seen = []
    small.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0].shape[-2:], output.shape[-2:])))
    logits = overlap_tile(small, torch.rand(1, 1, 50, 25, dtype=torch.float64), tile=28)
    assert set(seen) == {((116, 116), (28, 28))}
    assert len(seen) == 3 * 2  # 24 px apart: rows at 0, 24, 48 and columns at 0, 24
    assert logits.shape == (1, 2, 50, 25) and not logits.requires_grad


def test_tiles_laid_off_the_pooling_grid_would_not_agree(small):
    """Why 28 px are laid 24 px apart: 28 px on, the same pixels fall into other pooling windows."""
    images = torch.rand(1, 1, 56, 28, dtype=torch.float64)
    expected = one_pass(small, images)[..., 28:, :]
    mirrored = mirror(images, small.margin)
    with torch.no_grad():
        off_grid = small(mirrored[..., 28:, :])
    assert off_grid.shape == expected.shape
    assert (off_grid - expected).abs().max() > 1e-3 * expected.abs().max()


def test_tiles_that_the_network_cannot_give(small):
    images = torch.rand(1, 1, 40, 40, dtype=torch.float64)
    with pytest.raises(ValueError, match="at least 8 px, the pooling grid; got 4; use a larger tile"):
        overlap_tile(small, images, tile=4)
    with pytest.raises(ValueError, match=r"multiples of 8.*got height 118; cut or mirror the images to 116 or 124 px"):
        overlap_tile(small, images, tile=30)


def trained_looking(skip):
    """A U-Net in eval mode whose normalisations do something, and whose grid is 4 px."""
    model = UNet(widths=(4, 6), num_classes=3, skip=skip)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.bias, 0, 1)
    return model.double().eval()


def reach(model, size):
    """Px that an output of the model sees to one side at most: by the gradient of each output of a grid cell."""
    seen = 0
    for place in range(size // 2, size // 2 + 4):
        images = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
        (model(images)[0, :, place, place] @ torch.rand(3, dtype=torch.float64)).backward()
        rows, columns = images.grad.abs().sum(dim=(0, 1)).nonzero().unbind(dim=1)
        seen = max(seen, *((rows - place).abs().max(), (columns - place).abs().max()))
    return int(seen)


@pytest.mark.parametrize("skip", ["concat", "add", "none"])
def test_seams_vanish_with_the_margin_that_the_network_needs(skip):
    model = trained_looking(skip)
    needed = -(-reach(model, 128) // 4) * 4  # up to a multiple of the grid
    images = torch.rand(2, 3, 96, 120, dtype=torch.float64)
    with torch.no_grad():
        whole = model(images)
    errors = {
        margin: (tile_with_margin(model, images, 24, margin) - whole).abs().max().item()
        for margin in (0, 4, needed - 4, needed, needed + 8)
    }
    assert errors[needed] < 1e-12 and errors[needed + 8] < 1e-12
    assert errors[0] > 1e-3 and errors[needed - 4] > 1e-10  # no less will do
    assert errors[0] > errors[needed - 4]


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (33, 9)])
def test_tiles_of_odd_images_cover_every_pixel_once(size):
    """By a network that gives its input back."""
    images = torch.rand(2, 3, *size)
    for tile, margin in ((8, 0), (8, 3), (16, 16), (64, 5)):
        assert torch.equal(tile_with_margin(nn.Identity(), images, tile, margin), images)


def test_a_tile_and_its_margin_are_all_that_is_run():
    seen = []
    model = nn.Identity()
    model.register_forward_hook(lambda _, inputs, output: seen.append(tuple(inputs[0].shape[-2:])))
    tile_with_margin(model, torch.rand(1, 1, 24, 16), tile=8, margin=4)
    assert seen == [(12, 12), (12, 12), (16, 12), (16, 12), (12, 12), (12, 12)]
