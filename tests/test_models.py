"""One suite that every segmentation network passes, then what is special about each."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib import shapes
from lessons_lib.models.blocks import WINDOWS, WindowEncoder, pad_edges, resize
from lessons_lib.models.costs import activation_bytes, level_shapes, multiplications_of
from lessons_lib.models.deconvnet import DeconvNet
from lessons_lib.models.efficientnet import EfficientNetLite0
from lessons_lib.models.encoder_unet import EncoderUNet
from lessons_lib.models.fcn import FCN, enlarge
from lessons_lib.models.full_resolution import FullResolution
from lessons_lib.models.multiscale import MultiScale, halve, laplacian_pyramid
from lessons_lib.models.patch_classifier import PatchClassifier, cut_patches
from lessons_lib.models.receptive_field import effective_receptive_field, extent
from lessons_lib.models.recurrent import Recurrent
from lessons_lib.models.resnet import ResNet
from lessons_lib.models.unet import DecoderLevel, UNet
from lessons_lib.models.unet_2015 import UNet2015
from lessons_lib.models.upsampler import UPSAMPLERS, UpsamplingNet

SMALL = 8  # width of the hidden layers in these tests


class TinyEncoder(nn.Module):
    """The least that EncoderUNet asks of an encoder: two maps, and a part that they do without."""

    widths = (5, 6)
    classifying = ("classifier",)

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 5, 3, 2, padding=1), nn.BatchNorm2d(5), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(5, 6, 3, 2, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.classifier = nn.Linear(6, 10)

    def features(self, images):
        half = self.first(images)
        return [half, self.second(half)]


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
    "EncoderUNet": lambda k=7: EncoderUNet(TinyEncoder(), widths=(8, 12), num_classes=k),
    **{
        f"FCN-{stride}s": lambda k=7, stride=stride: FCN(stride, widths=(4, 6, 8, 10, 12), num_classes=k)
        for stride in (32, 16, 8)
    },
    "DeconvNet, unpooling": lambda k=7: DeconvNet(widths=(8, 12), num_classes=k),
    "DeconvNet, bilinear": lambda k=7: DeconvNet(widths=(8, 12), num_classes=k, unpool=False),
    "FullResolution": lambda k=7: FullResolution(depth=3, width=SMALL, num_classes=k),
    "FullResolution, dilated": lambda k=7: FullResolution(3, SMALL, dilations=(1, 2, 4), num_classes=k),
    **{
        f"UpsamplingNet {upsampler}": lambda k=7, upsampler=upsampler: UpsamplingNet(upsampler, (8, 12), num_classes=k)
        for upsampler in UPSAMPLERS
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


def decoder_level_parameters(deep, skip, out):
    """A 1x1 convolution with bias that narrows, then two 3x3 ones on the skip's channels and the narrowed ones."""
    return (deep * out + out) + (9 * (skip + out) * out + 2 * out) + (9 * out * out + 2 * out)


def encoder_unet_parameters(k):
    """Encoder 3 -> 5 -> 6, with biases and normalisations; decoder 6 -> 12 (skip 5) -> 8 (the image)."""
    encoder = (9 * 3 * 5 + 5 + 2 * 5) + (9 * 5 * 6 + 6 + 2 * 6)
    decoder = decoder_level_parameters(6, 5, 12) + decoder_level_parameters(12, 3, 8)
    return encoder + decoder + (8 * k + k)


def fcn_parameters(k, scored, kernels):
    """Levels 3 -> 4 -> 6 -> 8 -> 10 -> 12, a head for each scored map, one kernel a class for each enlargement."""
    channels = (3, 4, 6, 8, 10, 12)
    down = sum(map(double_conv_parameters, channels, channels[1:]))
    return down + sum(c * k + k for c in channels[-scored:]) + sum(side * side * k for side in kernels)


def deconvnet_parameters(k):
    """Encoder 3 -> 8 -> 12, bottleneck 12, decoder 12 -> 8 -> 8; neither way of going up has parameters."""
    pairs = ((3, 8), (8, 12), (12, 12), (12, 8), (8, 8))
    return sum(double_conv_parameters(i, o) for i, o in pairs) + (8 * k + k)


def full_resolution_parameters(k):
    """Three 3x3 convolutions without bias, each followed by a scale and a shift; dilation costs nothing."""
    return 9 * (3 * SMALL + 2 * SMALL * SMALL) + 3 * 2 * SMALL + (SMALL * k + k)


UPSAMPLER_PARAMETERS = {  # of one that keeps c channels
    **dict.fromkeys(("nearest", "bed of nails", "max unpooling", "bilinear"), lambda c: 0),
    "transposed 3": lambda c: 9 * c * c + c,
    "transposed 4": lambda c: 16 * c * c + c,
    "resize and convolve": lambda c: 9 * c * c + c,
    "sub-pixel": lambda c: 4 * (9 * c * c + c),
}

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
    "EncoderUNet": encoder_unet_parameters,
    **{  # a U-Net without skip connections that doubles 12 channels, then 8
        f"UpsamplingNet {upsampler}": lambda k, own=own: unet_parameters(k, joined=1) + own(12) + own(8)
        for upsampler, own in UPSAMPLER_PARAMETERS.items()
    },
    "FCN-32s": lambda k: fcn_parameters(k, scored=1, kernels=(64,)),
    "FCN-16s": lambda k: fcn_parameters(k, scored=2, kernels=(4, 32)),
    "FCN-8s": lambda k: fcn_parameters(k, scored=3, kernels=(4, 4, 16)),
    "DeconvNet, unpooling": deconvnet_parameters,
    "DeconvNet, bilinear": deconvnet_parameters,
    "FullResolution": full_resolution_parameters,
    "FullResolution, dilated": full_resolution_parameters,
}

every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@every_model
@pytest.mark.parametrize("size", [(16, 24), (13, 21), (1, 7), (1, 1)])
@pytest.mark.parametrize("count", [1, 3])
def test_logits_have_the_size_of_the_input(name, size, count):
    logits = MODELS[name]().eval()(torch.rand(count, 3, *size))
    assert logits.shape == (count, 7, *size)
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
def test_bf16_autocast_stays_close(name):
    model = MODELS[name]()
    images = torch.rand(2, 3, 24, 25)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    assert logits.shape == (2, 7, 24, 25)
    logits.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()
    with torch.no_grad():
        expected = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(images).float()
    assert (rounded - expected).abs().mean() < 0.1 * expected.std()


@every_model
def test_compiles_whole(name):
    """One graph without a break; its kernels are left out, for they want a C++ compiler."""
    model = MODELS[name]().eval()
    images = torch.rand(1, 3, 17, 16)
    torch.compiler.reset()
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(images), model(images))


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


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
def test_upsampling_net_shape_trace(upsampler):
    parts = ["encoder.2", "bottleneck", "decoder.0", "decoder.1.upsample", "decoder.1", "decoder.2", "head"]
    assert trace(UpsamplingNet(upsampler), torch.rand(1, 3, 96, 51), parts) == [
        ("encoder.2", (64, 24, 13)),
        ("bottleneck", (128, 12, 7)),
        ("decoder.0", (64, 24, 13)),
        ("decoder.1.upsample", (32, 48, 26)),
        ("decoder.1", (32, 48, 26)),
        ("decoder.2", (16, 96, 51)),
        ("head", (7, 96, 51)),
    ]


def test_upsampling_nets_differ_in_nothing_but_the_upsampler():
    """So much so that one seed gives the encoder and the bottleneck of all of them the same weights."""
    shared = {}
    for upsampler in UPSAMPLERS:
        torch.manual_seed(0)
        model = UpsamplingNet(upsampler)
        state = {key: value for key, value in model.state_dict().items() if ".upsample." not in key}
        before_the_decoder = [value for key, value in state.items() if key.startswith(("encoder", "bottleneck"))]
        for key, value in state.items():
            assert shared.setdefault(key, value).shape == value.shape, key
        assert shared.keys() == state.keys()
        for one, other in zip(before_the_decoder, shared.values()):
            assert torch.equal(one, other)


def test_max_unpooling_uses_the_positions_of_its_own_level():
    """What the decoder unpools stands where the encoder's level of the same size had its maxima."""
    model, seen = UpsamplingNet("max unpooling", widths=(8, 12)).eval(), {}
    for part in ("encoder.0", "encoder.1", "decoder.0.upsample", "decoder.1.upsample"):
        model.get_submodule(part).register_forward_hook(lambda *call, part=part: seen.update({part: call[-1]}))
    with torch.no_grad():
        model(torch.rand(1, 3, 9, 11))
    for deep, shallow in (("decoder.0.upsample", "encoder.1"), ("decoder.1.upsample", "encoder.0")):
        features = seen[shallow]
        _, positions = F.max_pool2d(features, 2, ceil_mode=True, return_indices=True)
        maxima = torch.zeros_like(features).flatten(2).scatter(2, positions.flatten(2), 1).view_as(features)
        assert (seen[deep] != 0).sum() == positions.numel()
        assert not seen[deep][maxima == 0].any()


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


PRETRAINABLE = {
    "EfficientNetLite0": EfficientNetLite0,
    "ResNet-18": lambda: ResNet(18),
    "ResNet-34": lambda: ResNet(34),
}


@pytest.mark.parametrize("name", PRETRAINABLE)
def test_encoder_unet_keeps_all_of_the_encoder_but_the_classifier(name):
    """Counted by hand: the published classifier less its last layers, plus a decoder of five levels and the head."""
    encoder = PRETRAINABLE[name]()
    published, classifier, channels = {
        "EfficientNetLite0": (4_652_008, 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000, (3, 16, 24, 40, 112, 320)),
        "ResNet-18": (11_689_512, 512 * 1000 + 1000, (3, 64, 64, 128, 256, 512)),
        "ResNet-34": (21_797_672, 512 * 1000 + 1000, (3, 64, 64, 128, 256, 512)),
    }[name]
    deep, decoder = channels[-1], 0
    for skip, out in zip(channels[-2::-1], (96, 64, 48, 32, 16)):
        decoder += decoder_level_parameters(deep, skip, out)
        deep = out
    model = EncoderUNet(encoder)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == published - classifier + decoder + (16 * 7 + 7)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == published  # the original is whole


def test_encoder_unet_shape_trace():
    parts = [*(f"decoder.{level}" for level in range(5)), "head"]
    assert trace(EncoderUNet(EfficientNetLite0()).eval(), torch.rand(1, 3, 96, 51), parts) == [
        ("decoder.0", (96, 6, 4)),
        ("decoder.1", (64, 12, 7)),
        ("decoder.2", (48, 24, 13)),
        ("decoder.3", (32, 48, 26)),
        ("decoder.4", (16, 96, 51)),
        ("head", (7, 96, 51)),
    ]


def test_encoder_unet_written_out():
    """Two levels: the decoder sees the maps from the deepest up, then the image, from -2 to 2."""
    model, images = EncoderUNet(TinyEncoder(), widths=(8, 12)).eval(), torch.rand(2, 3, 13, 10)
    half, quarter = model.encoder.features(images)
    first, second = model.decoder
    up = torch.cat([half, F.interpolate(first.narrow(quarter), (7, 5), mode="bilinear")], dim=1)
    up = first.refine(up)
    up = torch.cat([4 * images - 2, F.interpolate(second.narrow(up), (13, 10), mode="bilinear")], dim=1)
    torch.testing.assert_close(model(images), model.head(second.refine(up)))


def train_a_little(model):
    """Three steps of the kind that `fit` takes, on shifted colours that batch statistics would follow."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        model.train()
        loss = F.cross_entropy(model(torch.rand(4, 3, 16, 16) + 1), torch.randint(7, (4, 16, 16)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_as_it_is(frozen):
    """Its weights and its running statistics, bit for bit; the decoder learns. Not frozen, everything changes."""
    original = TinyEncoder()
    before = {key: value.clone() for key, value in original.state_dict().items()}
    model = EncoderUNet(original, widths=(8, 12), frozen=frozen)
    decoder = model.decoder[0].narrow.weight.clone()
    train_a_little(model)
    assert not torch.equal(decoder, model.decoder[0].narrow.weight)
    for key, value in model.encoder.state_dict().items():
        assert torch.equal(value, before[key]) is frozen, key
    assert all(torch.equal(value, before[key]) for key, value in original.state_dict().items())


def test_modes_of_a_frozen_encoder():
    model = EncoderUNet(TinyEncoder(), widths=(8, 12), frozen=True)
    for mode in (True, False, True):
        assert model.train(mode) is model
        assert model.training is model.decoder.training is mode
        assert not any(module.training for module in model.encoder.modules())
    assert not any(module.training for module in model.eval().modules())
    assert all(module.training for module in EncoderUNet(TinyEncoder(), widths=(8, 12)).eval().train().modules())


def test_a_frozen_encoder_builds_no_graph():
    model = EncoderUNet(TinyEncoder(), widths=(8, 12), frozen=True)
    seen = []
    model.encoder.second.register_forward_hook(lambda *call: seen.append(call[-1].requires_grad))
    model(torch.rand(2, 3, 16, 16)).mean().backward()
    assert seen == [False]
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())


def test_decoder_level_takes_a_skip_of_other_width():
    level = DecoderLevel(6, 12, "concat", skip_channels=5)
    assert level(torch.rand(2, 6, 3, 4), torch.rand(2, 5, 7, 8)).shape == (2, 12, 7, 8)
    assert level.refine[0].in_channels == 5 + 12


def test_fcn_shape_trace():
    """At 96 px: maps of 48, 24, 12, 6 and 3 px, scores of the last three, enlarged until they are as large."""
    model = FCN(stride=8)
    parts = ["encoder.4", "heads.0", "decoder.0", "heads.1", "decoder.1", "heads.2", "decoder.2"]
    assert trace(model, torch.rand(1, 3, 96, 51), parts) == [
        ("encoder.4", (128, 6, 4)),  # 51 px are filled up to 64
        ("heads.0", (7, 3, 2)),
        ("decoder.0", (7, 6, 4)),
        ("heads.1", (7, 6, 4)),
        ("decoder.1", (7, 12, 8)),
        ("heads.2", (7, 12, 8)),
        ("decoder.2", (7, 96, 64)),
    ]
    assert model(torch.rand(1, 3, 96, 51)).shape == (1, 7, 96, 51)


def test_deconvnet_shape_trace():
    parts = ["encoder.3", "bottleneck", *(f"decoder.{index}" for index in range(4)), "head"]
    assert trace(DeconvNet(), torch.rand(1, 3, 96, 51), parts) == [
        ("encoder.3", (96, 12, 7)),
        ("bottleneck", (96, 6, 4)),
        ("decoder.0", (64, 12, 7)),
        ("decoder.1", (32, 24, 13)),
        ("decoder.2", (16, 48, 26)),
        ("decoder.3", (16, 96, 51)),
        ("head", (7, 96, 51)),
    ]


def test_full_resolution_shape_trace():
    parts = ["encoder.0", "encoder.3", "encoder.18", "head"]
    assert trace(FullResolution(dilations=(1, 1, 2, 4, 8, 16, 1)), torch.rand(1, 3, 24, 31), parts) == [
        ("encoder.0", (16, 24, 31)),
        ("encoder.3", (16, 24, 31)),
        ("encoder.18", (16, 24, 31)),
        ("head", (7, 24, 31)),
    ]


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_fcn_enlarges_bilinearly_at_first(factor):
    """Inside the outermost half places, where no copy of the kernel is missing, it is `resize`."""
    scores = torch.rand(2, 3, 4, 5)
    larger, resized = enlarge(factor, channels=3)(scores), resize(scores, (4 * factor, 5 * factor))
    inside = (..., slice(factor // 2, -factor // 2), slice(factor // 2, -factor // 2))
    torch.testing.assert_close(larger[inside], resized[inside])
    assert torch.equal(larger.argmax(dim=1), resized.argmax(dim=1))  # it fades at the border, but all classes alike


def test_fcn_adds_scores_of_finer_maps():
    """FCN-8s, written out: the heads of 1/32, 1/16 and 1/8, each sum enlarged."""
    model = FCN(stride=8, widths=(4, 6, 8, 10, 12)).eval()
    features, maps = torch.rand(1, 3, 64, 32), []
    logits = model(features)
    for level in model.encoder:
        features = F.max_pool2d(level(features), 2)
        maps.append(features)
    at_16 = model.decoder[0](model.heads[0](maps[4])) + model.heads[1](maps[3])
    at_8 = model.decoder[1](at_16) + model.heads[2](maps[2])
    torch.testing.assert_close(logits, model.decoder[2](at_8))


def test_fcn_fills_up_by_repeating_the_last_row_and_column():
    model, images = FCN(stride=16, widths=(4, 6, 8, 10, 12)).eval(), torch.rand(1, 3, 40, 33)
    rows, columns = torch.arange(64).clamp(max=39), torch.arange(64).clamp(max=32)
    filled = images[:, :, rows][..., columns]
    torch.testing.assert_close(model(images), model(filled)[..., :40, :33])


def test_unpooling_puts_values_where_the_maxima_were():
    """With layers that hand maps on, the image's maxima come out at their places, everything else is 0."""
    model = DeconvNet(widths=(3, 3))
    for part in (*model.encoder, model.bottleneck, *model.decoder):
        for index in range(len(part)):
            part[index] = nn.Identity()
    model.head = nn.Identity()
    images = torch.rand(1, 3, 13, 10)
    blocks = F.pad(images, (0, 2, 0, 3), value=-1).unfold(2, 4, 4).unfold(3, 4, 4)  # 4x4 px of two poolings
    largest = blocks.amax(dim=(-2, -1)).repeat_interleave(4, 2).repeat_interleave(4, 3)[..., :13, :10]
    assert torch.equal(model(images), images.where(images == largest, 0))
    model.unpool = False
    assert (model(images) != 0).all()  # bilinear resizing spreads them


@pytest.mark.parametrize("dilations", [None, (1, 2, 4), (3, 1, 1)])
def test_full_resolution_sees_what_shapes_says(dilations):
    model = FullResolution(depth=3, width=SMALL, dilations=dilations)
    layers = [shapes.Layer(3, padding=step, dilation=step) for step in model.dilations]
    side = shapes.receptive_field(layers)
    assert side == 1 + 2 * sum(model.dilations)
    assert extent(effective_receptive_field(model, size=41)) == (side, side)


def test_fcn_sees_what_shapes_says():
    """Its coarsest map, without the filling up; pooling counts as a layer of kernel 2 and stride 2."""
    model = FCN(stride=32, widths=(4, 6, 8, 10, 12))
    level = [shapes.Layer(3, padding=1), shapes.Layer(3, padding=1), shapes.Layer(2, stride=2)]

    class FirstLevels(nn.Module):
        def __init__(self, count):
            super().__init__()
            self.levels, self.grid = model.encoder[:count], 2**count

        def forward(self, images):
            for level in self.levels:
                images = F.max_pool2d(level(images), 2)
            return images.repeat_interleave(self.grid, 2).repeat_interleave(self.grid, 3)  # at the input's size

    for count, size in ((1, 20), (2, 32), (3, 64)):
        side = shapes.receptive_field(level * count)
        assert side == (6, 16, 36)[count - 1]
        assert extent(effective_receptive_field(FirstLevels(count), size, repeats=60)) == (side, side)


def test_effective_receptive_field_equals_a_gradient_by_hand():
    """One linear layer: |d output / d input| is the kernel's magnitude, turned by 180 degrees to the input's view."""
    network = nn.Conv2d(3, 1, kernel_size=3, padding=1)
    torch.manual_seed(5)
    field = effective_receptive_field(network, size=7, repeats=1)
    torch.manual_seed(5)
    torch.rand(1, 3, 7, 7)
    expected = (network.weight[0] * torch.randn(1)).abs().mean(dim=0)
    torch.testing.assert_close(field[2:5, 2:5], expected.detach())
    assert field.sum() == pytest.approx(expected.sum().item())


def test_effective_receptive_field_is_strongest_in_the_middle():
    field = effective_receptive_field(FullResolution(depth=7), size=31)
    assert field[13:18, 13:18].mean() > 10 * field[8, 8:23].mean()


def test_measuring_leaves_the_model_as_it_is():
    model = FCN(widths=(4, 6, 8, 10, 12)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    multiplications_of(model, 32)
    activation_bytes(model, torch.rand(2, 3, 32, 32))
    effective_receptive_field(model, 32, repeats=1)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_multiplications_of_equal_the_hand_formula():
    size = (64, 32)
    for window in WINDOWS:
        model = PatchClassifier(window, width=SMALL)
        assert multiplications_of(model, size) == model.multiplications(size)
    by_hand, channels = 0, (3, 4, 6, 8, 10, 12)
    for index, (i, o) in enumerate(pairwise(channels)):
        at = (64 >> index, 32 >> index)
        by_hand += shapes.multiplications(at, i, o, 3) + shapes.multiplications(at, o, o, 3)
    for shift, c in ((5, 12), (4, 10), (3, 8)):
        by_hand += shapes.multiplications((64 >> shift, 32 >> shift), c, 7, 1)
    for shift, kernel_size in ((5, 4), (4, 4), (3, 16)):  # transposed: every place of the input lays down a kernel
        by_hand += shapes.multiplications((64 >> shift, 32 >> shift), 7, 7, kernel_size, groups=7)
    assert multiplications_of(FCN(8, widths=channels[1:]), size) == by_hand
    assert multiplications_of(FCN(8, widths=channels[1:]), (60, 31)) == by_hand  # filled up to 64 x 32


def test_activation_bytes_equal_the_hand_count():
    """Of each layer: what the convolution gives, what the ReLU gives, the batch's mean and spread; and the images."""
    model, depth, width = FullResolution(depth=3, width=SMALL), 3, SMALL
    pixels = 2 * 10 * 12
    by_hand = 4 * (3 * pixels + depth * (2 * width * pixels + 2 * width))
    images = torch.rand(5, 3, 10, 12)
    assert activation_bytes(model, images[:2]) == by_hand  # a view of a larger batch counts as what it shows
    with torch.no_grad():
        assert activation_bytes(model.eval(), images[:2]) == by_hand  # always as in training


@pytest.mark.parametrize("skip", ["concat", "add", "none"])
def test_level_shapes_of_a_unet_equal_a_trace_of_a_real_pass(skip):
    model = UNet(skip=skip)
    parts = [
        *(("encoder." + str(index), f"encoder {index + 1}") for index in range(3)),
        ("bottleneck", "bottleneck"),
        *(("decoder." + str(index), f"decoder {3 - index}") for index in range(3)),
        ("head", "head"),
    ]
    levels = level_shapes(model, (97, 51))
    traced = trace(model, torch.rand(1, 3, 97, 51), [part for part, _ in parts])
    assert levels == [("input", (3, 97, 51)), *((name, shape) for (_, name), (_, shape) in zip(parts, traced))]
    assert level_shapes(model, 97) == level_shapes(model, (97, 97))


def test_level_shapes_of_the_published_network_are_those_of_its_figure():
    """The last map of each level; the paper writes the size before the first and after the last convolution."""
    with torch.device("meta"):
        model = UNet2015()
    assert level_shapes(model, 572) == [
        ("input", (1, 572, 572)),
        ("encoder 1", (64, 568, 568)),
        ("encoder 2", (128, 280, 280)),
        ("encoder 3", (256, 136, 136)),
        ("encoder 4", (512, 64, 64)),
        ("bottleneck", (1024, 28, 28)),
        ("decoder 4", (512, 52, 52)),
        ("decoder 3", (256, 100, 100)),
        ("decoder 2", (128, 196, 196)),
        ("decoder 1", (64, 388, 388)),
        ("head", (2, 388, 388)),
    ]


def test_level_shapes_of_a_pretrained_encoder_count_the_image_as_its_first_skip():
    assert level_shapes(EncoderUNet(EfficientNetLite0(), widths=(8, 8, 8, 8, 8)), (64, 97)) == [
        ("input", (3, 64, 97)),
        ("encoder 1", (3, 64, 97)),
        ("encoder 2", (16, 32, 49)),
        ("encoder 3", (24, 16, 25)),
        ("encoder 4", (40, 8, 13)),
        ("encoder 5", (112, 4, 7)),
        ("bottleneck", (320, 2, 4)),
        *(
            (f"decoder {level}", (8, -(-64 // 2 ** (level - 1)), -(-97 // 2 ** (level - 1))))
            for level in range(5, 0, -1)
        ),
        ("head", (7, 64, 97)),
    ]


def test_level_shapes_leave_the_model_as_it_is():
    model, images = UNet(widths=(8, 12)), torch.rand(1, 3, 16, 16)
    expected = model(images)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    level_shapes(model, 16)
    assert model.training and not any(layer._forward_hooks for layer in model.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(model(images), expected)


@pytest.mark.parametrize("size", [(4, 0), (0, 5)])
def test_receptive_field_errors(size):
    name, value = ("repeats", 0) if size[1] == 0 else ("size", 0)
    with pytest.raises(ValueError, match=f"{name} must be at least 1; got {value}; use 1 or more"):
        effective_receptive_field(nn.Conv2d(3, 7, 1), *size)
    assert extent(torch.zeros(3, 4)) == (0, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNet(skip="sum"), "skip must be one of concat, add, none; got 'sum'; choose one of these"),
        (lambda: MultiScale(scales=0), "scales must be at least 1; got 0"),
        (lambda: Recurrent(instances=0), "instances must be at least 1; got 0"),
        (
            lambda: EncoderUNet(TinyEncoder()),
            r"one value for each of the encoder's 2 maps; got \(16, .*\); give 2 values",
        ),
        (lambda: FCN(stride=4), "stride must be one of 32, 16, 8 px; got 4; choose one of these"),
        (lambda: FCN(widths=(8, 16)), r"one for each of the 5 levels; got \(8, 16\); give 5 values"),
        (lambda: FullResolution(depth=0), "depth must be at least 1; got 0; use 1 or more"),
        (lambda: FullResolution(3, dilations=(1, 2)), r"each of the 3 layers; got \(1, 2\); .* set depth to 2"),
        (lambda: UpsamplingNet("cubic"), "upsampler must be one of nearest, .*, sub-pixel; got 'cubic'; choose one"),
    ],
)
def test_error_texts(make, message):
    with pytest.raises(ValueError, match=message):
        make()
