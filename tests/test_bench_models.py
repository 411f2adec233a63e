"""`make bench-models`: the plain rival is the same network, and every network gets its rows."""

from pathlib import Path

import pytest
import torch

from lessons_lib.models.costs import activation_bytes
from lessons_lib.models.unet import UNet
from tools import bench_models
from tools.bench_models import Levels, Plain, Runner, build, limits, peak_memory, time_by_kind

WIDTHS, IMAGES = (4, 8), (2, 3, 8, 12)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def test_the_plain_rival_is_the_same_network():
    ours, plain = UNet(WIDTHS), Plain(WIDTHS)
    for mine, theirs in zip(plain.parameters(), ours.parameters(), strict=True):
        assert mine.shape == theirs.shape
        mine.data.copy_(theirs.data)
    images = torch.rand(IMAGES)
    torch.testing.assert_close(plain(images), ours(images), rtol=1e-4, atol=1e-5)


def test_limits_count_the_multiplications_of_their_operations():
    """A product of n x n matrices has n for each of its values, a 3x3 convolution 9 for each channel that comes in."""
    for name, (operation, count) in limits("cpu").items():
        result = operation()
        each = result.shape[-1] if name.startswith("matrix") else 9 * int(name.split()[-1])
        assert count == result.numel() * each


def test_a_training_step_moves_the_weights_and_a_pass_does_not():
    runner = Runner(build("UNet", WIDTHS), "cpu", IMAGES)
    before = [parameter.clone() for parameter in runner.model.parameters()]
    runner.infer()
    assert all(map(torch.equal, runner.model.parameters(), before))
    runner.train()
    assert not any(map(torch.equal, runner.model.parameters(), before))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_peak_memory_holds_what_autograd_keeps(monkeypatch):
    monkeypatch.setattr(bench_models, "WIDTHS", {"cpu": WIDTHS})
    monkeypatch.setattr(bench_models, "IMAGES", {"cpu": (8, 3, 192, 192)})
    kept = activation_bytes(UNet(WIDTHS), torch.rand(8, 3, 192, 192)) / 2**20
    assert 1 < peak_memory("UNet", "cpu") / kept < 5


def test_time_by_kind_leaves_nothing_out():
    runner = Runner(build("UNet", WIDTHS), "cpu", IMAGES)
    runner.train()
    spent = time_by_kind(runner, "cpu")
    assert list(spent) == [*bench_models.KINDS, "optimizer", "rest"]
    assert all(milliseconds > 0 for milliseconds in spent.values())


def test_the_benchmark_prints_two_rows_for_every_network(monkeypatch, capsys):
    """Without the installed rivals; the ratio of ours to ours is 1."""
    monkeypatch.setattr(bench_models, "OURS", {"UNet": ("UNet", "plain")})
    monkeypatch.setattr(bench_models, "WIDTHS", {"cpu": WIDTHS})
    monkeypatch.setattr(bench_models, "IMAGES", {"cpu": IMAGES})
    monkeypatch.setattr(bench_models, "ROUNDS", 1)
    monkeypatch.setattr(bench_models, "PROFILED", 1)
    monkeypatch.setattr(bench_models, "peak_memory", lambda name, device: 12.3)
    bench_models.measure("cpu")
    lines = capsys.readouterr().out.splitlines()
    first, second = lines[4:6], lines[9:]
    assert [line[:24].strip() for line in first] == [line[:24].strip() for line in second] == ["UNet", "plain"]
    parameters = sum(parameter.numel() for parameter in UNet(WIDTHS).parameters())
    for line in first:
        assert int(line[24:36].replace(",", "")) == parameters
        assert line.split()[-1] == "12"
    assert first[0].split()[4] == first[0].split()[7] == "1.00"


def test_a_missing_rival_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_models, "LIBRARY", tmp_path / "smp")
    with pytest.raises(SystemExit, match="run `make bench-models`"):
        bench_models.import_library()


def test_the_rivals_way_down_is_ours():
    ours, levels = UNet(WIDTHS), Levels(WIDTHS, depth=2, output_stride=4)
    encoder = [*ours.encoder.parameters(), *ours.bottleneck.parameters()]
    for theirs, mine in zip(levels.parameters(), encoder, strict=True):
        theirs.data.copy_(mine.data)
    images, seen = torch.rand(IMAGES), []
    for layer in (*ours.encoder, ours.bottleneck):
        layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    ours(images)
    for given, expected in zip(levels(images), [images, *seen], strict=True):
        torch.testing.assert_close(given, expected)
    assert levels.out_channels == tuple(maps.shape[1] for maps in [images, *seen])
