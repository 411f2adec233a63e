import hashlib
import re

import pytest
import torch
import torch.nn.functional as F

from lessons_lib.models import resnet
from lessons_lib.models.resnet import ResNet, load_pretrained

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # blocks of each stage, by the paper's table 1
PUBLISHED = {18: 11_689_512, 34: 21_797_672}  # parameters, as torchvision's documentation lists them

every_depth = pytest.mark.parametrize("depth", STAGES)


def norm(name, channels):
    """A batch normalisation's entries in a state dict."""
    values = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{value}": (channels,) for value in values} | {f"{name}.num_batches_tracked": ()}


def published_entries(depth):
    """Names and shapes in torchvision's weight file, written out from its naming scheme."""
    entries = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    came = 64
    for stage, blocks in enumerate(STAGES[depth], start=1):
        channels = 32 * 2**stage
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            entries |= {f"{name}.conv1.weight": (channels, came, 3, 3), **norm(f"{name}.bn1", channels)}
            entries |= {f"{name}.conv2.weight": (channels, channels, 3, 3), **norm(f"{name}.bn2", channels)}
            if came != channels:
                entries |= {f"{name}.downsample.0.weight": (channels, came, 1, 1)}
                entries |= norm(f"{name}.downsample.1", channels)
            came = channels
    return entries | {"fc.weight": (1000, 512), "fc.bias": (1000,)}


def by_hand(state, depth, images):
    """The network as functions of a state dict with torchvision's names, in eval mode: logits."""

    def normalised(name, maps):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (variance + 1e-5).sqrt()
        return (maps - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None]

    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    maps = (images - mean[:, None, None]) / deviation[:, None, None]
    maps = normalised("bn1", F.conv2d(maps, state["conv1.weight"], stride=2, padding=3)).relu()
    maps = F.max_pool2d(maps, kernel_size=3, stride=2, padding=1)
    for stage, blocks in enumerate(STAGES[depth], start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            change = F.conv2d(maps, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            change = F.conv2d(normalised(f"{name}.bn1", change).relu(), state[f"{name}.conv2.weight"], padding=1)
            if stride == 2:
                maps = F.conv2d(maps, state[f"{name}.downsample.0.weight"], stride=2)
                maps = normalised(f"{name}.downsample.1", maps)
            maps = (maps + normalised(f"{name}.bn2", change)).relu()
    return F.linear(maps.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"])


def with_statistics(depth):
    """A network in eval mode whose normalisations have all learned something."""
    torch.manual_seed(depth)
    model = ResNet(depth).eval()
    for name, value in model.state_dict().items():
        if "bn" in name or "downsample.1" in name:
            if name.endswith(("weight", "running_var")):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("bias", "running_mean")):
                value.normal_(0, 0.1)
    return model


@every_depth
def test_names_and_shapes_are_the_published_ones(depth):
    found = {name: tuple(value.shape) for name, value in ResNet(depth).state_dict().items()}
    assert list(found.items()) == list(published_entries(depth).items())


@every_depth
def test_parameter_count_is_the_published_one(depth):
    assert sum(parameter.numel() for parameter in ResNet(depth).parameters()) == PUBLISHED[depth]


@every_depth
@torch.no_grad()
def test_logits_equal_the_network_by_hand(depth):
    model, images = with_statistics(depth), torch.rand(2, 3, 65, 50)
    torch.testing.assert_close(model(images), by_hand(model.state_dict(), depth, images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 1)])
def test_features_have_five_sizes(size):
    features = ResNet(18).eval().features(torch.rand(2, 3, *size))
    assert tuple(level.shape[1] for level in features) == ResNet.widths == (64, 64, 128, 256, 512)
    for level, stride in zip(features, (2, 4, 8, 16, 32)):
        assert level.shape[2:] == tuple(-(-side // stride) for side in size)


def test_trains_in_channels_last_as_in_the_usual_layout():
    """The shortcuts are 1x1 convolutions of stride 2, whose backward pass is a trap in channels_last."""
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model = with_statistics(18).to(memory_format=layout)
        torch.manual_seed(0)
        model(torch.rand(2, 3, 64, 64).contiguous(memory_format=layout)).square().mean().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
        gradients.append([parameter.grad for parameter in model.parameters()])
    for usual, last in zip(*gradients):
        assert (usual - last).norm() < 1e-3 * usual.norm()


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder that stands for the server of the weights, with a file for depth 18 whose name has its checksum."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "kept"))
    monkeypatch.setattr(resnet, "WEIGHTS", tmp_path.as_uri())
    original = with_statistics(18)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    checksum = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()[:8]
    file = (tmp_path / "weights.pth").rename(tmp_path / f"resnet18-{checksum}.pth")
    monkeypatch.setitem(resnet.FILES, 18, file.name)
    return original, file


@torch.no_grad()
def test_weights_are_fetched_once_and_kept(published):
    original, file = published
    images = torch.rand(1, 3, 40, 40)
    first = load_pretrained(18)
    assert not first.training
    assert torch.equal(first(images), original(images))
    file.unlink()
    assert torch.equal(load_pretrained(18)(images), original(images))


def test_another_file_than_the_published_one_is_refused(published):
    _, file = published
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(RuntimeError, match="hash"):
        load_pretrained(18)


def test_unreachable_weights_say_what_to_do(published):
    _, file = published
    file.unlink()
    with pytest.raises(ConnectionError, match=rf"must be downloaded once; got .*{re.escape(file.name)}; go online"):
        load_pretrained(18)


def test_published_files():
    assert resnet.WEIGHTS == "https://download.pytorch.org/models"
    assert resnet.FILES == {18: "resnet18-f37072fd.pth", 34: "resnet34-b627a593.pth"}


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="depth must be 18 or 34; got 50; choose one of these"):
        ResNet(50)
