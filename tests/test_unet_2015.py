"""The network of 2015 against the paper's figure, against sizes in whole numbers, and against plain torch calls."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib import shapes
from lessons_lib.models.blocks import middle
from lessons_lib.models.unet_2015 import DecoderLevel, UNet2015

SMALL = (4, 6, 8)

# Figure 1 of the paper: (channels, side) after each arrow, for an input of 1 x 572 x 572
PUBLISHED = (
    (64, 570), (64, 568),  # down
    (128, 282), (128, 280),
    (256, 138), (256, 136),
    (512, 66), (512, 64),
    (1024, 30), (1024, 28),  # the bottom
    (512, 56), (512, 54), (512, 52),  # up: enlarge, convolve, convolve
    (256, 104), (256, 102), (256, 100),
    (128, 200), (128, 198), (128, 196),
    (64, 392), (64, 390), (64, 388),
    (2, 388),
)  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def on_meta(*arguments, **settings):
    """The network without values: shapes only."""
    with torch.device("meta"):
        return UNet2015(*arguments, **settings)


def test_every_layer_has_the_published_shape():
    model, seen = on_meta(), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 1, 572, 572, device="meta"))
    assert seen == [(channels, side, side) for channels, side in PUBLISHED]


@pytest.mark.parametrize(("in_channels", "num_classes", "count"), [(1, 2, 31_030_658), (3, 7, None)])
def test_parameters_by_hand(in_channels, num_classes, count):
    """Two 3x3 convolutions a level, each with biases; on the way up the first of them meets twice the channels."""
    levels = (64, 128, 256, 512, 1024)
    by_hand = sum(9 * i * o + o + 9 * o * o + o for i, o in zip((in_channels, *levels), levels))
    for o in levels[:-1]:
        by_hand += 4 * 2 * o * o + o  # the up-convolution
        by_hand += 9 * 2 * o * o + o + 9 * o * o + o
    by_hand += 64 * num_classes + num_classes
    model = on_meta(in_channels=in_channels, num_classes=num_classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == by_hand
    assert count in (by_hand, None)


def walk(side, levels):
    """Side of the output, layer by layer in whole numbers; None where pooling meets an odd size or nothing is left."""
    try:
        for _ in range(levels):
            side = shapes.conv_output(shapes.conv_output(side, 3), 3)
            if side % 2:
                return None
            side = shapes.pool_output(side, 2)
        side = shapes.conv_output(shapes.conv_output(side, 3), 3)
        for _ in range(levels):
            side = shapes.conv_output(shapes.conv_output(shapes.transposed_output(side, 2, stride=2), 3), 3)
    except ValueError:
        return None
    return side


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_sizes_that_fit_are_those_of_a_walk_through_the_layers(levels):
    model = on_meta(widths=(2,) * levels)
    walked = {side: walk(side, levels) for side in range(1, 320)}
    fitting = [side for side in walked if walked[side] is not None]
    for side in range(1, 300):
        if walked[side] is None:
            with pytest.raises(ValueError, match=f"got width {side}; cut or mirror") as error:
                model.check_size((fitting[0], side))
            nearest = [good for good in fitting if good < side][-1:] + [good for good in fitting if good > side][:1]
            assert str(error.value).endswith(f"to {' or '.join(map(str, nearest))} px"), side
        else:
            assert walked[side] == side - 2 * model.margin
            logits = model(torch.zeros(1, 1, fitting[0], side, device="meta"))
            assert logits.shape == (1, 2, walked[fitting[0]], walked[side])


def test_a_wrong_size_is_told_with_its_rule_and_the_nearest_that_fit():
    with pytest.raises(
        ValueError, match=r"\+ 4 must be multiples of 16.*at least 188 px; got height 512; .* 508 or 524"
    ):
        on_meta()(torch.zeros(1, 1, 512, 572, device="meta"))
    assert (on_meta().grid, on_meta().margin) == (16, 92)


def plain(model, images):
    """The way through the network as figure 1 draws it, arrow by arrow, by hand for two levels."""

    def conv(x, layer):
        return F.relu(F.conv2d(x, layer.weight, layer.bias))

    def crop(x, border):
        return x[:, :, border:-border, border:-border]

    (one, two), (up_two, up_one) = model.encoder, model.decoder
    shallow_1 = conv(conv(images, one[0]), one[2])
    shallow_2 = conv(conv(F.max_pool2d(shallow_1, 2), two[0]), two[2])
    bottom = model.bottleneck[0]
    deep = conv(conv(F.max_pool2d(shallow_2, 2), bottom[0]), bottom[2])
    for up, shallow, border in ((up_two, shallow_2, 4), (up_one, shallow_1, 16)):
        deep = F.conv_transpose2d(deep, up.enlarge.weight, up.enlarge.bias, stride=2)
        deep = torch.cat([crop(shallow, border), deep], dim=1)
        deep = conv(conv(deep, up.refine[0]), up.refine[2])
    return F.conv2d(deep, model.head.weight, model.head.bias)


def test_forward_equals_the_arrows_of_the_figure():
    model = UNet2015(widths=(3, 5), num_classes=4, in_channels=2).eval()
    images = torch.rand(2, 2, 48, 56)
    with torch.no_grad():
        torch.testing.assert_close(model(images), plain(model, images))


def test_the_middle_is_as_far_from_one_side_as_from_the_other():
    board = torch.arange(64).reshape(1, 1, 8, 8)
    assert middle(board, (2, 4))[0, 0].tolist() == [[26, 27, 28, 29], [34, 35, 36, 37]]
    assert middle(board, (8, 8)).data_ptr() == board.data_ptr()  # a view


def test_dropout_is_at_the_end_of_the_way_down_and_only_in_training():
    model, seen = UNet2015(widths=SMALL), []
    (dropout,) = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert dropout.p == 0.5
    model.decoder[0].register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    images = torch.rand(1, 1, 100, 100)
    model(images), model(images)
    assert not torch.equal(seen[0], seen[1])
    model.eval()
    assert torch.equal(model(images), model(images))


def test_weights_start_with_the_deviation_that_the_paper_names():
    """Square root of 2 / N, with N the values that one output value is summed up from."""
    model = UNet2015(widths=(16, 32, 64))
    for level, into in (
        (model.encoder[1], (16, 32)),
        (model.bottleneck[0], (64, 128)),
        (model.decoder[0].refine, (128, 64)),
    ):
        for layer, channels in zip(level[::2], into):
            assert layer.weight.std().item() == pytest.approx((2 / (9 * channels)) ** 0.5, rel=0.05)
    assert model.decoder[0].enlarge.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert all(not layer.bias.any() for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))


def test_gradient_reaches_every_parameter():
    model = UNet2015(widths=SMALL)
    model(torch.rand(2, 1, 100, 108)).square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_batch_of_two_equals_two_batches_of_one_and_weights_move():
    model, other = UNet2015(widths=SMALL).eval(), UNet2015(widths=SMALL).eval()
    images = torch.rand(2, 1, 100, 92)
    with torch.no_grad():
        one_by_one = torch.cat([model(images[:1]), model(images[1:])])
        torch.testing.assert_close(model(images), one_by_one, rtol=1e-4, atol=1e-5)
        assert not torch.equal(model(images), other(images))
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert torch.equal(model(images), other(images))


def test_overfits_one_image():
    model = UNet2015(widths=(8, 16)).eval()  # without dropout
    images = torch.rand(1, 1, 52, 52)
    class_ids = (middle(images, (12, 12))[:, 0] > 0.5).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        loss = F.cross_entropy(model(images), class_ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(images).argmax(dim=1) == class_ids).float().mean() > 0.95


def test_compiles_whole():
    """One graph without a break; its kernels are left out, for they want a C++ compiler."""
    model, images = UNet2015(widths=SMALL).eval(), torch.rand(1, 1, 100, 100)
    torch.compiler.reset()
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(images), model(images))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_logits():
    model, images = UNet2015(widths=SMALL).eval(), torch.rand(1, 1, 100, 108)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = model(images)
        torch.testing.assert_close(model.cuda()(images.cuda()).cpu(), expected, rtol=1e-3, atol=1e-3)


def test_a_level_gives_back_what_it_promises():
    level = DecoderLevel(8, 4)
    assert level(torch.zeros(1, 8, 7, 9), torch.zeros(1, 4, 20, 30)).shape == (1, 4, 10, 14)
