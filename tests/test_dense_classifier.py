"""The dense classifier, against the classifier itself, against crops, and against moved pictures."""

import pytest
import torch
import torch.nn.functional as F

from lessons_lib.models.dense_classifier import dense_logits, first_centre, layers
from lessons_lib.models.efficientnet import load_pretrained
from lessons_lib.shapes import jump, receptive_field


@pytest.fixture(scope="module")
def network():
    return load_pretrained()


@pytest.fixture(scope="module")
def large():
    """A picture in which some receptive fields fit, with structure at every scale: (1, 3, 961, 961)."""
    draw = torch.Generator().manual_seed(0)
    scales = [torch.rand(1, 3, size, size, generator=draw) for size in (5, 33, 241)]
    return sum(F.interpolate(noise, size=(961, 961), mode="bilinear") for noise in scales) / 3


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 224), (1, 1), (50, 7)])
def test_the_mean_of_the_map_is_the_classifier(network, size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    dense = dense_logits(network, images)
    assert dense.shape == (2, 1000, *(-(-side // 32) for side in size))
    with torch.no_grad():
        torch.testing.assert_close(dense.mean(dim=(2, 3)), network(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("size", [(97, 129), (96, 65), (50, 7), (1, 1)])
def test_a_finer_map_holds_the_coarse_one(network, stride, size):
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))
    fine = dense_logits(network, images, stride)
    assert fine.shape == (1, 1000, *(-(-side // stride) for side in size))
    every = 32 // stride
    torch.testing.assert_close(fine[:, :, ::every, ::every], dense_logits(network, images), rtol=1e-4, atol=1e-4)


def test_a_cell_equals_the_cell_of_a_crop_that_holds_what_it_sees(network, large):
    half = receptive_field(layers()) // 2  # 425 px
    margin = -(-half // 32)  # cells, so that the crop's grid lies on the picture's
    crop = large[:, :, 32 : 32 + 64 * margin + 1, 32 : 32 + 64 * margin + 1]
    cell = margin + 1
    assert 32 * cell - half >= 0
    assert 32 * cell + half < 961
    assert crop.shape[2] < 961
    expected = dense_logits(network, crop)[:, :, margin, margin]
    torch.testing.assert_close(dense_logits(network, large)[:, :, cell, cell], expected, rtol=1e-4, atol=1e-4)


def test_one_px_beyond_the_receptive_field_changes_nothing(network, large):
    half = receptive_field(layers()) // 2
    images = large.clone().requires_grad_()
    maps = network.top(network.features(images)[-1])
    (gradient,) = torch.autograd.grad(maps[0, :, 15, 15].sum(), images)
    seen = gradient[0].abs().sum(0).nonzero()
    assert seen.min() >= 480 - half
    assert seen.max() <= 480 + half
    assert seen.max() - seen.min() > half  # and it does see far


@pytest.mark.parametrize("stride", [16, 8])
def test_shifting_maps_is_shifting_the_picture(network, large, stride):
    """Where padding does not reach: cell 15 of a picture moved down is the stitched cell one stride further."""
    moved = F.pad(large, (0, 0, 0, stride))[:, :, stride:]
    at = 15 * 32 // stride
    stitched = dense_logits(network, large, stride)[:, :, at + 1, at]
    torch.testing.assert_close(stitched, dense_logits(network, moved)[:, :, 15, 15], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [961, 960, 950, 930])
def test_the_first_centre_is_the_middle_of_what_a_cell_sees(network, size):
    """The oracle is a gradient: the same layers with kernels of ones, so that no path cancels another."""
    image = torch.ones(1, 1, size, 33, requires_grad=True)
    maps = image
    for conv in spatial(network):
        ones = torch.ones(1, 1, *conv.kernel_size) / conv.kernel_size[0]
        maps = F.conv2d(F.pad(maps, sides(conv, maps.shape)), ones, stride=conv.stride)
    middle = maps.shape[2] // 2
    (gradient,) = torch.autograd.grad(maps[0, 0, middle, 0], image)
    rows = gradient.sum(dim=(0, 1, 3)).nonzero()
    assert rows.min() + rows.max() == 2 * (first_centre(size) + 32 * middle)


def spatial(network):
    """The network's convolutions that see more than one px, in order."""
    return [module for module in network.modules() if getattr(module, "kernel_size", (1,))[0] > 1]


def sides(conv, shape):
    """Padding (left, right, top, bottom) of a layer of the network for maps of this shape."""
    found = []
    for size in (shape[3], shape[2]):
        outputs = -(-size // conv.stride[0])
        total = max((outputs - 1) * conv.stride[0] + conv.kernel_size[0] - size, 0)
        found += [total // 2, total - total // 2]
    return found


def test_layers_are_those_of_the_network(network):
    expected = [(conv.kernel_size[0], conv.stride[0]) for conv in spatial(network)]
    assert [(layer.kernel_size, layer.stride) for layer in layers()] == expected
    assert (receptive_field(layers()), jump(layers())) == (851, 32)


@pytest.mark.parametrize("stride", [64, 4, 1, 0])
def test_another_stride_is_refused(network, stride):
    with pytest.raises(ValueError, match="one of 32, 16, 8 px: got"):
        dense_logits(network, torch.zeros(1, 3, 32, 32), stride)
