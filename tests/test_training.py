"""`lessons_lib.training`: repeatable to the bit, resumable to the bit, and it learns."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lessons_lib import training
from lessons_lib.metrics import confusion_matrix
from lessons_lib.models.unet import UNet
from lessons_lib.training import best_device, evaluate, fit, predict, seed_everything

VOID = 255


class Killed(Exception):
    """Stands for whatever ends a run before its time."""


def data(count=10, size=(8, 10), num_classes=3):
    """Images of noise; the class of a pixel is its brightest channel, with some void."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, *size, generator=draw)
    class_ids = images.argmax(1) % num_classes
    class_ids[torch.rand(class_ids.shape, generator=draw) < 0.1] = VOID
    return images, class_ids


def network(dropout=0.2, width=16):
    """A model with running statistics and dropout, the same weights at each call."""
    seed_everything(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.Conv2d(width, 3, 1),
    )


def train(model, **settings):
    settings = {"steps": 12, "batch_size": 4, "device": "cpu"} | settings
    return fit(model, *data(), **settings)


def assert_same_state(first, second):
    first, second = first.state_dict(), second.state_dict()
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_it_learns_and_evaluate_says_so():
    images, class_ids = data()
    model = network(dropout=0)
    before = evaluate(model, images, class_ids, num_classes=3)
    history = train(model, steps=80, learning_rate=0.03)
    after = evaluate(model, images, class_ids, num_classes=3)
    assert after.trace() > 0.9 * after.sum() > before.trace()
    assert len(history.loss) == 80
    assert history.loss[-1] < history.loss[0] / 2
    assert history.seconds > 0


def test_the_first_loss_is_the_mean_cross_entropy_of_all_pixels_that_are_not_void():
    images, class_ids = data()
    model = network(dropout=0).train()
    with torch.no_grad():
        expected = functional.cross_entropy(model(images), class_ids, ignore_index=VOID).item()
    history = train(network(dropout=0), steps=1, batch_size=10)
    assert history.loss == pytest.approx([expected], rel=1e-5)


def test_the_same_call_gives_the_same_bits_and_another_seed_others():
    first, second, other = network(), network(), network()
    first_loss, second_loss = train(first).loss, train(second).loss
    assert first_loss == second_loss
    assert_same_state(first, second)
    assert train(other, seed=1).loss[1:] != first_loss[1:]


def test_nothing_outside_changes_the_run_and_the_run_changes_nothing_outside():
    calm = network()
    expected = train(calm).loss

    def disturb(step, loss, model):
        torch.manual_seed(step)
        random.random(), np.random.random(), torch.rand(3)
        predict(model, data()[0])
        model.eval()

    disturbed = network()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert train(disturbed, callback=disturb).loss == expected
    assert torch.equal(torch.get_rng_state(), state)
    assert_same_state(calm, disturbed)


def test_each_pass_shows_every_image_once():
    batches, seeds = training._plan(count=10, batch_size=4, steps=10, seed=0)
    assert batches.shape == (10, 4)
    passes = batches.reshape(4, 10)
    assert all(sorted(order.tolist()) == list(range(10)) for order in passes)
    assert len({tuple(order.tolist()) for order in passes}) == 4, "each pass has an order of its own"
    assert len(set(seeds)) == 10


def test_a_batch_is_never_larger_than_the_data_set():
    sizes = []

    def loss(logits, class_ids):
        sizes.append(len(class_ids))
        return functional.cross_entropy(logits, class_ids, ignore_index=VOID)

    fit(network(), *data(count=3), steps=2, device="cpu", loss=loss)
    assert sizes == [3, 3]


def test_callback_gets_each_step_its_loss_and_the_updated_model():
    calls, model = [], network()
    weights = []

    def callback(step, loss, given):
        assert given is model
        calls.append((step, loss))
        weights.append(given[0].weight.detach().clone())

    history = train(model, steps=5, callback=callback)
    assert calls == list(enumerate(history.loss))
    assert torch.equal(weights[-1], model[0].weight)
    assert not torch.equal(weights[0], weights[1])


def test_learning_rate_warms_up_and_falls_to_nearly_zero():
    for steps in (1, 2, 9, 10, 100):
        rates = [training._rate(step, steps) for step in range(steps)]
        peak = max(1, steps // 10) - 1
        falling = rates[peak:]
        assert rates[peak] == max(rates) == 1
        assert rates[:peak] == sorted(rates[:peak])
        assert falling == sorted(falling, reverse=True)
        assert all(falling[i] + falling[-i] == pytest.approx(1) for i in range(1, len(falling))), "symmetric"
        assert all(0 < rate <= 1 for rate in rates)
    assert rates[-1] < 0.001


def test_adamw_follows_the_schedule(monkeypatch):
    rates, update = [], torch.optim.AdamW.step

    def watched(optimizer, *args):
        rates.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[0]["weight_decay"] == 0.3
        return update(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train(network(), steps=4, learning_rate=0.5, weight_decay=0.3)
    assert rates == [0.5 * training._rate(step, 4) for step in range(4)]


def test_a_loss_of_ones_own_replaces_cross_entropy():
    def loss(logits, class_ids):
        assert logits.shape == (4, 3, 8, 10) and class_ids.shape == (4, 8, 10)
        return logits.square().mean()

    model = network(dropout=0)
    train(model, steps=60, loss=loss)
    assert model(data()[0]).square().mean() < 0.05


def test_a_loss_gets_every_target_of_the_batch():
    images, class_ids = data()
    weights = torch.arange(len(images)).float()
    places = {image[0, 0, 0].item(): place for place, image in enumerate(images)}
    seen = []

    def loss(output, class_ids_of_batch, weights_of_batch):
        drawn = [places[image[0, 0, 0].item()] for image in output[1]]
        assert weights_of_batch.tolist() == drawn
        assert torch.equal(class_ids_of_batch, class_ids[drawn])
        seen.extend(drawn)
        return output[0].mean()

    class Two(nn.Module):  # a model may return anything that the loss takes
        def __init__(self):
            super().__init__()
            self.head = nn.Conv2d(3, 1, 1)

        def forward(self, images):
            return self.head(images), images

    fit(Two(), images, (class_ids, weights), steps=5, batch_size=4, loss=loss, device="cpu")
    assert len(set(seen)) == 10


def test_images_of_nothing_but_void_leave_the_model_finite():
    images, class_ids = data()
    model = network()
    history = fit(model, images, torch.full_like(class_ids, VOID), steps=3, device="cpu")
    assert history.loss == [0, 0, 0]
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_each_module_keeps_its_mode():
    images, class_ids = data()
    model = network()
    for mode in (True, False):
        model.train(mode)
        model[1].eval()
        train(model, steps=1)
        predict(model, images)
        evaluate(model, images, class_ids, num_classes=3)
        assert [module.training for module in model] == [mode, False, mode, mode, mode]


def test_modes_come_back_after_an_error():
    def stop(step, loss, model):
        raise Killed

    model = network().eval()
    with pytest.raises(Killed):
        train(model, callback=stop)
    assert not any(module.training for module in model.modules())


def test_training_runs_in_training_mode():
    model = network().eval()
    train(model, steps=2)
    assert model[1].num_batches_tracked == 2


def test_frozen_parameters_stay():
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    train(model, steps=3, weight_decay=1)
    assert torch.equal(model[0].weight, before)


def test_a_model_of_float64_trains_in_float64():
    model = network().double()
    train(model, steps=1)
    assert model[0].weight.dtype == torch.float64
    assert predict(model, data()[0]).dtype == torch.int64


def test_channels_last_except_where_torch_crashes():
    shortcut = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 3, 1, stride=2))
    cpu, mps = torch.device("cpu"), torch.device("mps")
    assert training._memory_format(network(), cpu) == torch.channels_last
    assert training._memory_format(network(), mps) == torch.contiguous_format
    assert training._memory_format(shortcut, cpu) == torch.contiguous_format
    model = network()
    train(model, steps=1)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("killed_at", [2, 5, 7, 11])
def test_a_killed_run_resumes_and_ends_bit_for_bit_like_the_uninterrupted_one(tmp_path, killed_at):
    whole = network()
    expected = train(whole)
    path = tmp_path / "run.pt"

    def kill(step, loss, model):
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train(network(), callback=kill, checkpoint=path, checkpoint_every=3)
    steps = []
    resumed = network().eval()  # the mode is no part of the run
    history = train(resumed, callback=lambda step, *_: steps.append(step), checkpoint=path, checkpoint_every=3)
    assert steps == list(range((killed_at + 1) // 3 * 3, 12))
    assert history.loss == expected.loss
    assert_same_state(whole, resumed)


def test_a_run_that_had_ended_returns_at_once(tmp_path):
    first, second = network(), network()
    history = train(first, checkpoint=tmp_path / "run.pt")

    def never(step, loss, model):
        raise AssertionError("it trained again")

    again = train(second, checkpoint=tmp_path / "run.pt", callback=never)
    assert again.loss == history.loss
    assert again.seconds >= history.seconds / 2
    assert_same_state(first, second)


def test_the_checkpoint_is_replaced_in_one_move(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save = torch.save
    written = []

    def fail_at_the_second(state, target):
        written.append(target)
        if len(written) == 2:
            target.write_bytes(b"half of a checkpoint")
            raise Killed
        save(state, target)

    monkeypatch.setattr(torch, "save", fail_at_the_second)
    with pytest.raises(Killed):
        train(network(), checkpoint=path, checkpoint_every=3)
    monkeypatch.undo()
    assert path not in written
    assert torch.load(path, weights_only=True)["done"] == 3
    train(network(), checkpoint=path, checkpoint_every=3)
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("steps", 13, "steps was 12 and is 13"),
        ("batch_size", 5, "batch_size was 4 and is 5"),
        ("learning_rate", 0.1, "learning_rate was 0.003 and is 0.1"),
        ("weight_decay", 0, "weight_decay was 0.01 and is 0"),
        ("seed", 1, "seed was 0 and is 1"),
        ("ignore_index", 7, "ignore_index was 255 and is 7"),
        ("loss", nn.CrossEntropyLoss(ignore_index=255), "loss was cross-entropy and is CrossEntropyLoss"),
    ],
)
def test_a_checkpoint_of_another_call_names_what_differs(tmp_path, setting, value, message):
    path = tmp_path / "run.pt"
    train(network(), checkpoint=path)
    with pytest.raises(ValueError, match=f"same arguments; got {message}; pass the same"):
        train(network(), checkpoint=path, **{setting: value})


def test_a_checkpoint_of_another_model_or_other_data_names_what_differs(tmp_path):
    path = tmp_path / "run.pt"
    train(network(), checkpoint=path)
    flagged, swapped = network(), network()
    flagged.skip = "add"
    swapped[3] = nn.Dropout(0.2)  # same settings, another layer
    for other in (network(dropout=0.3), network(width=17), flagged, swapped):
        with pytest.raises(ValueError, match=r"got model was Sequential .* and is Sequential .*; pass"):
            train(other, checkpoint=path)
    images, class_ids = data()
    settings = {"steps": 12, "batch_size": 4, "device": "cpu", "checkpoint": path}
    with pytest.raises(ValueError, match=r"got images was \(10, 3, 8, 10\)"):
        fit(network(), images.flip(0), class_ids, **settings)
    with pytest.raises(ValueError, match=r"got targets was \(10, 8, 10\)"):
        fit(network(), images, class_ids.flip(0), **settings)


def test_predict_is_the_argmax_in_eval_mode_whatever_the_batch_size():
    images, _ = data()
    model = network()
    train(model, steps=3)
    model.eval()
    with torch.no_grad():
        expected = model(images).argmax(1)
    model.train()
    for batch_size in (1, 4, 16):
        class_ids = predict(model, images, batch_size)
        assert torch.equal(class_ids, expected)
        assert class_ids.device.type == "cpu" and class_ids.dtype == torch.int64
    graphs = []
    model.register_forward_hook(lambda module, inputs, output: graphs.append(output.requires_grad))
    predict(model, images)
    assert graphs == [False], "no graph is kept"
    assert torch.equal(predict(nn.Softmax(dim=1), images), images.argmax(1)), "a model without parameters"


def test_evaluate_leaves_void_out():
    images, class_ids = data()
    model = network()
    expected = confusion_matrix(class_ids, predict(model, images), num_classes=3)
    confusion = evaluate(model, images, class_ids, num_classes=3)
    assert torch.equal(confusion, expected)
    assert confusion.sum() == (class_ids != VOID).sum()


def test_seed_everything_repeats_all_global_generators():
    def draw():
        seed_everything(3)
        return random.random(), np.random.random(), torch.rand(1).item()

    assert draw() == draw()


def test_best_device_prefers_cuda_then_mps(monkeypatch):
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=cuda: answer)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda answer=mps: answer)
        assert best_device().type == expected


def test_errors_name_rule_value_and_remedy():
    images, class_ids = data()

    def error(message, images=images, class_ids=class_ids, model=None, steps=1, **settings):
        with pytest.raises(ValueError, match=message):
            fit(model or network(), images, class_ids, steps=steps, device="cpu", **settings)

    error("steps must be at least 1; got 0; train", steps=0)
    error("batch_size must be at least 1; got 0; use", batch_size=0)
    error("checkpoint_every must be at least 1; got 0; use", checkpoint_every=0)
    error(r"images must be float .* got torch.uint8 \(10, 3, 8, 10\); stack", images=images.byte())
    error(r"images must be float .* got torch.float32 \(3, 8, 10\); stack", images=images[0])
    error(r"B at least 1; got torch.float32 \(0, 3, 8, 10\)", images=images[:0], class_ids=class_ids[:0])
    error(r"int64 .* got torch.uint8 \(10, 8, 10\) .* call .long", class_ids=class_ids.byte())
    error(r"one entry for each image; got \(9, 8, 10\) for images", class_ids=class_ids[:9])
    error(r"without a loss .* got torch.int64 \(10, 8, 10\), torch.float32", class_ids=(class_ids, images))
    error(r"without a loss .* got  for images", class_ids=())
    error(r"one for each pixel .* got torch.int64 \(10, 8, 9\) for images", class_ids=class_ids[..., :9])
    error("a logit for each class; got class_ids 0 .. 3 for 3 logits", class_ids=class_ids.where(class_ids != 2, 3))
    error("a logit for each class; got class_ids -1 .. 2 for 3 logits", class_ids=class_ids.where(class_ids != 1, -1))
    error(
        r"at the size of its images; got \(8, 3, 4, 5\) for class_ids \(8, 8, 10\); resize",
        model=nn.Conv2d(3, 3, 2, stride=2),
    )
    with pytest.raises(ValueError, match="images must be float"):
        predict(network(), images[0])
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        predict(network(), images, batch_size=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_learns_in_bfloat16_and_resumes(tmp_path):
    images, class_ids = data()
    model, seen = network(dropout=0), []
    model[4].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    state = torch.cuda.get_rng_state()
    path = tmp_path / "run.pt"
    fit(model, images, class_ids, steps=80, batch_size=4, learning_rate=0.03, checkpoint=path)
    assert seen[0] == torch.bfloat16
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert next(model.parameters()).device.type == "cuda"
    confusion = evaluate(model, images, class_ids, num_classes=3)
    assert confusion.trace() > 0.9 * confusion.sum()
    again = network(dropout=0)
    fit(again, images, class_ids, steps=80, batch_size=4, learning_rate=0.03, checkpoint=path)
    assert_same_state(model, again)


def test_a_model_compiled_in_place_trains_to_the_same_weights():
    """`model.compile()` keeps the module and its names; the kernels are left out, for they want a C++ compiler."""
    images, class_ids = data()
    plain, compiled = UNet(widths=(4, 8), num_classes=3), UNet(widths=(4, 8), num_classes=3)
    compiled.load_state_dict(plain.state_dict())
    torch.compiler.reset()
    compiled.compile(backend="aot_eager", fullgraph=True)
    losses = [fit(model, images, class_ids, steps=6, device="cpu").loss for model in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_trains_a_unet_of_the_papers_widths_compiled_in_bfloat16():
    model, seen = UNet(widths=(64, 128, 256, 512), num_classes=2, in_channels=1), []
    model.head.register_forward_hook(lambda _, inputs, output: seen.append((output.dtype, inputs[0])))
    images = torch.rand(4, 1, 256, 256)
    class_ids = (images[:, 0] > 0.5).long()
    model.compile()
    history = fit(model, images, class_ids, steps=40, batch_size=2, learning_rate=1e-3)
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert seen[0][0] == torch.bfloat16
    assert seen[0][1].is_contiguous(memory_format=torch.channels_last)
