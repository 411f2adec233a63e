"""The checkers of chapter 3 meet the right answer, the stub, and wrong answers that must each hear their own cause."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib import shapes
from lessons_lib.checks import fully_convolutional as chapter


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_PROGRESS", str(tmp_path / "progress.json"))


# --- the right answers, as a reader would write them ----------------------------------------------------------


def seen_by(layers):
    seen, step = 1, 1
    for kernel_size, stride, dilation in layers:
        seen += dilation * (kernel_size - 1) * step
        step *= stride
    return seen


def convolutionalize(classifier):
    *features, _, first, relu, second = classifier
    channels = [layer.out_channels for layer in features if isinstance(layer, nn.Conv2d)][-1]
    side = round((first.in_features / channels) ** 0.5)
    convs = nn.Conv2d(channels, first.out_features, side), nn.Conv2d(first.out_features, second.out_features, 1)
    for conv, linear in zip(convs, (first, second)):
        conv.weight.data = linear.weight.data.reshape(conv.weight.shape)
        conv.bias.data = linear.bias.data
    stride = 1
    for layer in features:
        stride *= layer.stride if isinstance(layer, nn.MaxPool2d) else 1
    return nn.Sequential(*features, convs[0], relu, convs[1]), stride


def fuse(coarse, fine):
    height, width = fine.shape[2:]
    return fine + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :height, :width]


RIGHT = [
    (chapter.seen_by, seen_by),
    (chapter.convolutionalize, convolutionalize),
    (chapter.fuse, fuse),
]


# --- wrong answers: (exercise, words of the message, answer) --------------------------------------------------


def counts(grow, start=1, first_step=False, step_after=lambda step, stride: step * stride):
    def answer(layers):
        seen, step = start, 1
        for kernel_size, stride, dilation in layers:
            step = step_after(step, stride) if first_step else step
            seen += grow(kernel_size, dilation, step)
            step = step if first_step else step_after(step, stride)
        return seen

    return answer


def right_growth(kernel_size, dilation, step):
    return dilation * (kernel_size - 1) * step


def swapped(layers):
    seen, step = 1, 1
    for kernel_size, dilation, stride in layers:
        seen += dilation * (kernel_size - 1) * step
        step *= stride
    return seen


def fails_on_no_layers(layers):
    return layers[0][0] and seen_by(layers)


def dense(change=None, stride=lambda right: right, order=None):
    """Build wrong networks out of the right one; `change` works on its list of layers."""

    def answer(classifier):
        network, output_stride = convolutionalize(classifier)
        layers = list(network)
        if order:
            conv = layers[-3]
            conv.weight.data = order(classifier[-3].weight.data, conv.in_channels, conv.kernel_size[0])
        layers = layers if change is None else change(layers)
        return nn.Sequential(*layers), stride(output_stride)

    return answer


def padded(layers):
    return [
        nn.Sequential(nn.ZeroPad2d(layer.kernel_size[0] // 2), layer) if isinstance(layer, nn.Conv2d) else layer
        for layer in layers[:-3]
    ] + layers[-3:]


def without_bias(layers):
    for conv in (layers[-3], layers[-1]):
        conv.bias = None
    return layers


def moved_by_one(layers):
    return [nn.MaxPool2d(layer.kernel_size, 1) if isinstance(layer, nn.MaxPool2d) else layer for layer in layers]


def drawn_anew(layers):
    torch.manual_seed(0)
    layers[-1].reset_parameters()
    return layers


def same_kernel_for_both(classifier):
    network, stride = convolutionalize(classifier)
    side = network[-3].kernel_size[0]
    last = nn.Conv2d(network[-1].in_channels, network[-1].out_channels, side)
    last.weight.data = classifier[-1].weight.data.reshape(last.weight.shape)
    return network, stride


def one_by_one(classifier):
    parts, stride = [], convolutionalize(classifier)[1]
    for part in classifier:
        if isinstance(part, nn.Linear):
            conv = nn.Conv2d(part.in_features, part.out_features, 1)
            conv.weight.data = part.weight.data[:, :, None, None]
            conv.bias.data = part.bias.data
            parts.append(conv)
        elif not isinstance(part, nn.Flatten):
            parts.append(part)
    return nn.Sequential(*parts), stride


def sum_of_strides(classifier):
    network, _ = convolutionalize(classifier)
    return network, sum(layer.stride for layer in classifier if isinstance(layer, nn.MaxPool2d))


def times_two(classifier):
    return convolutionalize(classifier)[0], 2 ** sum(isinstance(layer, nn.MaxPool2d) for layer in classifier)


def enlarged(coarse, fine, mode="nearest"):
    return F.interpolate(coarse, scale_factor=2, mode=mode)[..., : fine.shape[2], : fine.shape[3]]


def nails(coarse, fine):
    result = fine.clone()
    result[..., ::2, ::2] += coarse
    return result


def in_place(coarse, fine):
    fine += enlarged(coarse, fine)
    return fine


WRONG = [
    (chapter.seen_by, "the jump is missing", counts(lambda k, d, step: d * (k - 1))),
    (chapter.seen_by, "own stride counted too early", counts(right_growth, first_step=True)),
    (chapter.seen_by, "dilation left out", counts(lambda k, d, step: (k - 1) * step)),
    (chapter.seen_by, "kernel_size where", counts(lambda k, d, step: d * k * step)),
    (chapter.seen_by, "a dilated kernel is shorter", counts(lambda k, d, step: (d * k - 1) * step)),
    (chapter.seen_by, "off by one", counts(right_growth, start=0)),
    (chapter.seen_by, "strides added", counts(right_growth, step_after=lambda step, s: step + s - 1)),
    (chapter.seen_by, "the stride added to the jump", counts(right_growth, step_after=lambda step, s: step + s)),
    (chapter.seen_by, "stride and dilation swapped", swapped),
    (chapter.seen_by, "nothing comes back: print shows", lambda layers: print(seen_by(layers))),
    (chapter.seen_by, "only the last stride", counts(right_growth, step_after=lambda step, s: s)),
    (chapter.seen_by, "from the output to the image", lambda layers: seen_by(layers[::-1])),
    (chapter.seen_by, "this is the jump", lambda layers: int(np.prod([s for _, s, _ in layers]))),
    (chapter.seen_by, "raises IndexError: .*, in line", fails_on_no_layers),
    (chapter.convolutionalize, "return two things", lambda classifier: convolutionalize(classifier)[0]),
    (chapter.convolutionalize, r"torch.nn.Module: got a value of type function", lambda c: (lambda x: x, 2)),
    (chapter.convolutionalize, "a Flatten or Linear is left", lambda c: (c, convolutionalize(c)[1])),
    (chapter.convolutionalize, "new weights", dense(drawn_anew)),
    (chapter.convolutionalize, "strides added", sum_of_strides),
    (chapter.convolutionalize, "an output stride of 1", dense(stride=lambda right: 1)),
    (chapter.convolutionalize, "product of the poolings' strides: got 4", times_two),
    (chapter.convolutionalize, "padding added", dense(padded)),
    (chapter.convolutionalize, "poolings left out", dense(lambda ls: [x for x in ls if type(x) is not nn.MaxPool2d])),
    (chapter.convolutionalize, "poolings moved by 1 px", dense(moved_by_one)),
    (
        chapter.convolutionalize,
        "wrong order",
        dense(order=lambda w, c, side: w.reshape(-1, side, side, c).permute(0, 3, 1, 2)),
    ),
    (chapter.convolutionalize, "the ReLU between the two Linear", dense(lambda ls: [*ls[:-2], ls[-1]])),
    (chapter.convolutionalize, "biases of the Linear are missing", dense(without_bias)),
    (chapter.convolutionalize, "averaged over the places", dense(lambda ls: [*ls, nn.AdaptiveAvgPool2d(1)])),
    (chapter.convolutionalize, "softmax applied", dense(lambda ls: [*ls, nn.Softmax(dim=1)])),
    (chapter.convolutionalize, "needs a kernel as large as the maps that Flatten gets", one_by_one),
    (chapter.convolutionalize, "raises RuntimeError: shape", same_kernel_for_both),
    (chapter.fuse, "cropped at the top and left", lambda c, f: f + F.interpolate(c, scale_factor=2)[
        ..., -f.shape[2] :, -f.shape[3] :
    ]),
    (chapter.fuse, "set beside itself", lambda c, f: f + c.tile(1, 1, 2, 2)[..., : f.shape[2], : f.shape[3]]),
    (chapter.fuse, "enlarged bilinearly", lambda c, f: f + F.interpolate(c, f.shape[2:], mode="bilinear")),
    (chapter.fuse, "three of four places", nails),
    (chapter.fuse, "averaged, not added", lambda c, f: (enlarged(c, f) + f) / 2),
    (chapter.fuse, "multiplied, not added", lambda c, f: enlarged(c, f) * f),
    (chapter.fuse, "joined, not added", lambda c, f: torch.cat([f, enlarged(c, f)], 1)),
    (chapter.fuse, "the fine map is missing", enlarged),
    (chapter.fuse, "shrunk to the coarse one", lambda c, f: c + f[..., ::2, ::2]),
    (chapter.fuse, "changes its fine: copy it", in_place),
    (chapter.fuse, "crop it to the size of fine", lambda c, f: f + F.interpolate(c, scale_factor=2)),
    (chapter.fuse, "enlarge it first", lambda c, f: f + c),
    (chapter.fuse, "raises RuntimeError: The size of tensor", lambda c, f: f + F.interpolate(c, scale_factor=4)),
]  # fmt: skip


def test_the_right_answer_passes():
    for exercise, answer in RIGHT:
        assert re.fullmatch(r"passed: all \d+ cases agree", repr(exercise.check(answer))), exercise.check(answer)
        assert len(exercise.hints) == 3
        assert exercise.key.startswith("03_fully_convolutional/")


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_a_stub_is_still_to_write(exercise):
    for stub in (lambda *arguments: None, lambda *arguments: ...):
        verdict = exercise.check(stub)
        assert not verdict.begun
        assert repr(verdict) == "not yet: still to write: the function returns nothing so far"


@pytest.mark.parametrize(("exercise", "words", "answer"), WRONG, ids=lambda value: getattr(value, "key", None))
def test_a_wrong_answer_hears_its_cause(exercise, words, answer):
    verdict = exercise.check(answer)
    assert not verdict.passed and verdict.begun
    assert re.search(words, verdict.message), verdict
    assert max(map(len, repr(verdict).splitlines())) < 280


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda exercise: exercise.key)
def test_different_causes_have_different_messages(exercise):
    messages = [exercise.check(answer).message for other, _, answer in WRONG if other is exercise]
    assert len(set(messages)) == len(messages) >= 3


def test_the_oracles_give_what_was_worked_out_by_hand():
    assert chapter._behind([(3, 2, 1), (3, 1, 1)]) == 7
    assert chapter._behind([(3, 1, 1), (2, 2, 1)] * 2) == 10
    for (layers,) in chapter._stacks():
        assert chapter._behind(layers) == shapes.receptive_field(shapes.Layer(k, s, 0, d) for k, s, d in layers)
    classifier = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False),
    )  # fmt: skip
    for parameter in classifier.parameters():
        nn.init.constant_(parameter, 2)
    largest = chapter._laid_down(classifier, torch.tensor([[[[1.0, 2.0, 0.0, 0.0, 5.0], [3.0, 0.0, 0.0, 4.0, 5.0]]]]))
    assert largest.tolist() == [[[[24, 32]]]]  # the maxima 3 and 4, times 2 x 2 x 2; no crop holds the last column
    coarse, fine = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[10.0, 20.0, 30.0]]]])
    assert chapter._added(coarse, fine).tolist() == [[[[11, 21, 32]]]]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("crop it to the size of fine", lambda c, f: c.repeat_interleave(2, 2).repeat_interleave(2, 3) + f),
        ("enlarge it first", lambda c, f: c + f),
    ],
)
def test_the_order_of_the_sum_changes_no_cause(words, answer):
    verdict = chapter.fuse.check(answer)
    assert words in verdict.message
    assert verdict.received.startswith("your code raises RuntimeError: The size of tensor")
