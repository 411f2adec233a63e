"""One suite that every segmentation network passes, then what is special about each."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import WINDOWS, WindowEncoder, pad_edges, resize
from lessons_lib.models.multiscale import MultiScale, halve, laplacian_pyramid
from lessons_lib.models.patch_classifier import PatchClassifier, cut_patches
from lessons_lib.models.recurrent import Recurrent
from lessons_lib.models.unet import UNet

SMALL = 8  # width of the hidden layers in these tests

MODELS = {
    **{
        f"PatchClassifier {window}": lambda k=7, window=window: PatchClassifier(window, num_classes=k, width=SMALL)
        for window in WINDOWS
    },
    "MultiScale 1": lambda k=7: MultiScale(scales=1, num_classes=k, width=SMALL, window=5),
    "MultiScale 3": lambda k=7: MultiScale(scales=3, num_classes=k, width=SMALL, window=5),
    "Recurrent 1": lambda k=7: Recurrent(instances=1, num_classes=k, width=SMALL, window=5),
    "Recurrent 3": lambda k=7: Recurrent(instances=3, num_classes=k, width=SMALL, window=5),
    **{
        f"UNet {skip}": lambda k=7, skip=skip: UNet(widths=(8, 12), num_classes=k, skip=skip)
        for skip in ("concat", "add", "none")
    },
}


def window_encoder_parameters(looking, in_channels, c):
    """Six layers of c channels, of which `looking` are 3x3 and the others 1x1; every channel has a bias."""
    per_layer = [9] * looking + [1] * (6 - looking)
    return per_layer[0] * in_channels * c + sum(per_layer[1:]) * c * c + 6 * c


def double_conv_parameters(i, o):
    """Two 3x3 convolutions without bias, each followed by a scale and a shift for every channel."""
    return 9 * i * o + 2 * o + 9 * o * o + 2 * o


def unet_parameters(k, joined):
    """Encoder 3 -> 8 -> 12, bottleneck 24, decoder 12 -> 8; a level there refines `joined` times its channels."""
    down = double_conv_parameters(3, 8) + double_conv_parameters(8, 12) + double_conv_parameters(12, 24)
    up_12 = (24 * 12 + 12) + double_conv_parameters(joined * 12, 12)
    up_8 = (12 * 8 + 8) + double_conv_parameters(joined * 8, 8)
    return down + up_12 + up_8 + (8 * k + k)


PARAMETERS = {  # by hand, K classes
    **{
        f"PatchClassifier {window}": lambda k, n=n: window_encoder_parameters(n, 3, SMALL) + SMALL * k + k
        for n, window in enumerate((1, 3, 5, 9, 17, 33, 65))
    },
    "MultiScale 1": lambda k: window_encoder_parameters(2, 3, SMALL) + SMALL * k + k,
    "MultiScale 3": lambda k: window_encoder_parameters(2, 3, SMALL) + 3 * SMALL * k + k,  # shared: once
    "Recurrent 1": lambda k: window_encoder_parameters(2, 3 + k, SMALL) + SMALL * k + k,
    "Recurrent 3": lambda k: window_encoder_parameters(2, 3 + k, SMALL) + SMALL * k + k,  # shared: the same
    "UNet concat": lambda k: unet_parameters(k, joined=2),
    "UNet add": lambda k: unet_parameters(k, joined=1),
    "UNet none": lambda k: unet_parameters(k, joined=1),
}

every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@every_model
@pytest.mark.parametrize("size", [(16, 24), (13, 21), (1, 7)])
def test_logits_have_the_size_of_the_input(name, size):
    logits = MODELS[name]().eval()(torch.rand(2, 3, *size))
    assert logits.shape == (2, 7, *size)
    assert logits.dtype == torch.float32


@every_model
@pytest.mark.parametrize("k", [1, 2, 21])
def test_number_of_classes(name, k):
    assert MODELS[name](k)(torch.rand(2, 3, 12, 13)).shape == (2, k, 12, 13)


@every_model
@pytest.mark.parametrize("k", [2, 7])
def test_parameter_count_equals_the_hand_formula(name, k):
    assert sum(parameter.numel() for parameter in MODELS[name](k).parameters()) == PARAMETERS[name](k)


@every_model
def test_gradient_reaches_every_parameter(name):
    model = MODELS[name]()
    model(torch.rand(4, 3, 24, 25)).square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@every_model
def test_batch_of_two_equals_two_batches_of_one(name):
    model = MODELS[name]().eval()
    images = torch.rand(2, 3, 17, 16)
    with torch.no_grad():
        one_by_one = torch.cat([model(images[:1]), model(images[1:])])
        torch.testing.assert_close(model(images), one_by_one, rtol=1e-4, atol=1e-5)


@every_model
def test_state_dict_round_trip(name, tmp_path):
    model, other = MODELS[name]().eval(), MODELS[name]().eval()
    images = torch.rand(1, 3, 16, 15)
    assert not torch.equal(model(images), other(images))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(model(images), other(images))


@every_model
def test_overfits_one_image(name):
    """Classes follow the colour, so that even a window of one pixel can learn them."""
    model = MODELS[name](3)
    images = torch.rand(1, 3, 8, 8)
    class_ids = images.argmax(dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(250):
        loss = F.cross_entropy(model(images), class_ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (model(images).argmax(dim=1) == class_ids).float().mean()
    assert accuracy > (0.85 if name == "UNet none" else 0.95)  # without skips, single pixels get lost


@every_model
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_logits(name):
    model = MODELS[name]().eval()
    images = torch.rand(2, 3, 33, 34)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = model(images)
        torch.testing.assert_close(model.cuda()(images.cuda()).cpu(), expected, rtol=1e-3, atol=1e-3)


def trace(model, images, parts):
    """Shape of the output of each named part while `images` pass through the model, in order."""
    shapes = []
    for part in parts:
        module = model.get_submodule(part)
        module.register_forward_hook(lambda *call, part=part: shapes.append((part, tuple(call[-1].shape[1:]))))
    model(images)
    return shapes


def test_unet_shape_trace():
    parts = [
        "encoder.0",
        "encoder.1",
        "encoder.2",
        "bottleneck",
        "decoder.0",
        "decoder.1",
        "decoder.2",
        "head",
    ]
    assert trace(UNet(), torch.rand(1, 3, 96, 51), parts) == [
        ("encoder.0", (16, 96, 51)),
        ("encoder.1", (32, 48, 26)),
        ("encoder.2", (64, 24, 13)),
        ("bottleneck", (128, 12, 7)),
        ("decoder.0", (64, 24, 13)),
        ("decoder.1", (32, 48, 26)),
        ("decoder.2", (16, 96, 51)),
        ("head", (7, 96, 51)),
    ]


def test_window_encoder_shape_trace():
    """From a window of 33 px to one pixel: each layer takes 2 * dilation px away."""
    encoder = WindowEncoder(33, width=SMALL)
    sizes = [
        conv(torch.zeros(1, conv.in_channels, size, size)).shape[-1]
        for conv, size in zip(encoder.layers[::2], (33, 31, 29, 25, 17, 1), strict=True)
    ]
    assert sizes == [31, 29, 25, 17, 1, 1]


def test_multiscale_and_recurrent_shape_trace():
    images = torch.rand(1, 3, 24, 31)
    assert trace(MultiScale(scales=3, width=SMALL), images, ["encoder", "head"]) == [
        ("encoder", (SMALL, 24, 31)),
        ("encoder", (SMALL, 12, 16)),
        ("encoder", (SMALL, 6, 8)),
        ("head", (7, 24, 31)),
    ]
    assert (
        trace(Recurrent(instances=2, width=SMALL), images, ["encoder", "head"])
        == [
            ("encoder", (SMALL, 24, 31)),
            ("head", (7, 24, 31)),
        ]
        * 2
    )


def context(model, size):
    """(Height, width) of the input region that the middle pixel's logits depend on, by their gradient.

    Random positive weights keep every ReLU open and let no two paths cancel.
    """
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
        parameter.data /= max(parameter[0].numel(), 1)
    images = torch.rand(1, 3, size, size, requires_grad=True)
    weights = torch.rand(7)
    (model(images)[0, :, size // 2, size // 2] * weights).sum().backward()
    rows, columns = images.grad.abs().sum(dim=(0, 1)).nonzero().unbind(dim=1)
    return (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1)


@pytest.mark.parametrize("window", WINDOWS)
def test_receptive_field_is_exactly_the_window(window):
    assert context(PatchClassifier(window, width=SMALL), size=81) == (window, window)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", [(10, 13), (11, 8)])
def test_window_by_window_equals_the_dense_twin_at_every_pixel(window, size):
    model = PatchClassifier(window).eval()
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(model.slide(images), model(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("window", WINDOWS)
def test_cut_patches_equals_a_loop_and_copies_nothing(window):
    images = torch.rand(2, 3, 6, 7)
    patches = cut_patches(images, window)
    padded = pad_edges(images, window // 2)
    for i in range(6):
        for j in range(7):
            assert torch.equal(patches[:, i, j], padded[:, :, i : i + window, j : j + window])
    assert torch.equal(patches[..., window // 2, window // 2], images.permute(0, 2, 3, 1))
    assert patches.untyped_storage().nbytes() == padded.untyped_storage().nbytes()


def counted_multiplications(function, *arguments):
    """Multiplications of every convolution that runs while `function` is called."""
    total = 0

    def count(conv, _, output):
        nonlocal total
        total += output.numel() * conv.weight[0].numel()

    with nn.modules.module.register_module_forward_hook(
        lambda module, *call: count(module, *call) if isinstance(module, nn.Conv2d) else None
    ):
        function(*arguments)
    return total


@pytest.mark.parametrize("window", WINDOWS)
def test_multiplications_equal_those_counted_while_it_runs(window):
    model, images = PatchClassifier(window, width=SMALL), torch.rand(1, 3, 5, 6)
    assert model.multiplications((5, 6)) == counted_multiplications(model, images)
    assert model.multiplications((5, 6), window_by_window=True) == counted_multiplications(model.slide, images)


def test_windows_of_equal_depth_and_only_these():
    assert WINDOWS == (1, 3, 5, 9, 17, 33, 65)
    assert {len(WindowEncoder(window).layers) for window in WINDOWS} == {12}  # six convolutions, six ReLUs
    with pytest.raises(ValueError, match="one of 1, 3, 5, 9, 17, 33, 65 px; got 7; choose one of these"):
        PatchClassifier(7)
    with pytest.raises(ValueError, match="9 x 9 px; got 8 x 9; cut them with cut_patches"):
        PatchClassifier(9).classify_patches(torch.rand(1, 3, 8, 9))


@pytest.mark.parametrize("size", [(24, 32), (23, 31), (5, 1)])
def test_laplacian_pyramid_adds_up_to_the_images(size):
    images = torch.rand(2, 3, *size)
    *details, rebuilt = laplacian_pyramid(images, scales=3)
    for level in reversed(details):
        rebuilt = level + resize(rebuilt, level.shape[-2:])
    torch.testing.assert_close(rebuilt, images)


def test_halving_keeps_a_ramp_in_place():
    """Pixel i of the half size stands midway between pixels 2i and 2i + 1; `resize` puts it back there."""
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    half = halve(ramp)
    torch.testing.assert_close(half[..., 1:-1], ramp[..., :8, 1:7] * 2 + 0.5)
    torch.testing.assert_close(resize(half, (16, 16))[..., 4:-4], ramp[..., 4:-4])


def test_context_grows_with_scales_and_instances():
    assert context(MultiScale(scales=1, window=9, width=SMALL), size=81) == (9, 9)
    scaled = context(MultiScale(scales=3, window=9, width=SMALL), size=81)
    assert min(scaled) > 4 * 9  # level 2 sees the window at a quarter of the size
    for instances, seen in ((1, 9), (2, 17), (3, 25)):
        assert context(Recurrent(instances, window=9, width=SMALL), size=81) == (seen, seen)


def test_recurrent_instances_share_weights_and_start_from_zeros():
    torch.manual_seed(0)
    one, three = Recurrent(instances=1, width=SMALL), Recurrent(instances=3, width=SMALL)
    three.load_state_dict(one.state_dict())
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(three.all_logits(images)[0], one(images))
    assert torch.equal(three.all_logits(images)[-1], three(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNet(skip="sum"), "skip must be one of concat, add, none; got 'sum'; choose one of these"),
        (lambda: MultiScale(scales=0), "scales must be at least 1; got 0"),
        (lambda: Recurrent(instances=0), "instances must be at least 1; got 0"),
    ],
)
def test_error_texts(make, message):
    with pytest.raises(ValueError, match=message):
        make()
