"""The recorded results belong to the scripts that stand here, and to the Meadow that is drawn here."""

import json
from datetime import date
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from skimage.filters import threshold_otsu
from torch.nn import BatchNorm2d
from torch.nn.functional import mse_loss

from experiments import (
    context,
    deconvnet,
    details,
    fcn,
    full_resolution,
    losses,
    nuclei,
    pretrained,
    record,
    scene_labeling,
    shrinking,
    skips,
    sliding_window,
    upsamplers,
)
from lessons_lib.data import brain
from lessons_lib.data.meadow import CLASSES, batch
from lessons_lib.data.nuclei import other_laboratory, split
from lessons_lib.metrics import boundary_band, confusion_matrix, mean_iou, pixel_accuracy
from lessons_lib.models.costs import activation_bytes, multiplications_of
from lessons_lib.models.efficientnet import EfficientNetLite0
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.models.upsampler import UPSAMPLERS
from lessons_lib.notebook import load_weights
from lessons_lib.training import evaluate, fit

FOLDER = Path(record.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "record"))
ON_MEADOW = ["context", "fcn", "full_resolution", "meadow", "pretrained", "scene_labeling", "upsamplers"]
every_experiment = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def scenes():
    """The images and class_ids that every experiment on Meadow is scored on."""
    return batch("test", count=200)


def load(name):
    return json.loads((record.RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_every_script_has_a_result_and_every_result_a_script():
    others = ["deconvnet", "details", "losses", "nuclei", "shrinking", "skips", "sliding_window"]
    assert sorted([*ON_MEADOW, *others]) == NAMES
    assert sorted(path.stem for path in record.RESULTS.glob("*.json")) == NAMES


@every_experiment
def test_result_says_how_it_came_about(name):
    result = load(name)
    assert list(result) == [
        "name",
        "command",
        "date",
        "seconds",
        "machine",
        "versions",
        "configuration",
        "figures",
    ]
    assert result["name"] == name
    assert result["command"] == f"make experiment NAME={name}"
    assert date.fromisoformat(result["date"])
    assert result["seconds"] > 0
    assert set(result["machine"]) == {"cpu", "cores", "threads"}
    assert set(result["versions"]) == {"python", "torch", "numpy"}


@every_experiment
def test_result_is_not_older_than_the_constants_of_its_script(name):
    assert load(name)["configuration"] == import_module(f"experiments.{name}").CONFIGURATION


@every_experiment
def test_result_names_no_folder_of_the_machine_that_recorded_it(name):
    text = (record.RESULTS / f"{name}.json").read_text(encoding="utf-8")
    assert not any(part in text for part in ("/home", "/root", "/tmp", "/work", "/Users", "\\\\"))


@pytest.mark.parametrize("name", ON_MEADOW)
def test_result_is_of_the_meadow_that_is_drawn_here(name, scenes):
    first = load(name)["configuration"].get("first_test_scene", 0)
    class_ids = scenes[1] if first == 0 else batch("test", len(scenes[1]), start=first)[1]
    assert record.class_shares(class_ids) == pytest.approx(load(name)["figures"]["class_shares"], abs=5e-4)


@pytest.mark.parametrize("name", [*ON_MEADOW, "skips"])
def test_every_arm_has_three_seeds_and_scores_within_range(name):
    result = load(name)
    assert len(result["configuration"]["seeds"]) >= 3
    for arm in result["figures"]["arms"].values():
        assert set(arm["iou"]) == set(CLASSES)
        for score in (arm["pixel_accuracy"], arm["mean_iou"], arm["boundary_f_score"], *arm["iou"].values()):
            assert len(score["values"]) == len(result["configuration"]["seeds"])
            assert 0 <= score["lowest"] <= score["mean"] <= score["highest"] <= 1
            assert score == record.spread(score["values"]) | {"mean": score["mean"]}


def test_context_arms():
    arms = load("context")["figures"]["arms"]
    assert list(arms) == ["1", "3", "5", "9", "17", "33", "65", "1, wide"]
    assert arms["1, wide"]["parameters"] == pytest.approx(arms["65"]["parameters"], rel=0.02)


def test_context_weights_are_small_and_give_the_recorded_accuracy(scenes):
    assert context.WEIGHTS.stat().st_size < 400_000
    recorded = load("context")["figures"]["arms"]
    for window in (1, 9, 65):
        model = load_weights(PatchClassifier(window, width=context.CONFIGURATION["width"]), "context", str(window))
        confusion = evaluate(model, *scenes, num_classes=len(CLASSES))
        accuracy = recorded[str(window)]["pixel_accuracy"]["values"][0]  # of the first seed
        assert pixel_accuracy(confusion) == pytest.approx(accuracy, abs=2e-3)  # saved as float16


def test_baseline_always_says_the_commonest_class():
    figures = load("context")["figures"]
    baseline, shares = figures["always_the_commonest_class"], figures["class_shares"]
    assert shares[baseline["class"]] == max(shares.values()) == baseline["pixel_accuracy"]
    assert baseline["mean_iou"] == pytest.approx(baseline["pixel_accuracy"] / len(CLASSES), abs=1e-4)


@pytest.mark.parametrize(("size", "window"), [(5, 3), (6, 1), (7, 9), (4, 5)])
def test_reads_equal_a_loop_over_the_windows(size, window):
    margin = window // 2
    count = torch.zeros(size, size, dtype=torch.int64)
    for i in range(size):
        for j in range(size):
            count[max(i - margin, 0) : i + margin + 1, max(j - margin, 0) : j + margin + 1] += 1
    assert torch.equal(sliding_window.reads(size, window), count)


def test_sliding_window_counts_and_ratios():
    result = load("sliding_window")
    model = PatchClassifier(result["configuration"]["window"], width=result["configuration"]["width"])
    assert list(result["figures"]) == [str(size) for size in result["configuration"]["sizes"]]
    for size, row in result["figures"].items():
        many, few = row["window_by_window"], row["one_pass"]
        assert many["multiplications"] == model.multiplications(int(size), window_by_window=True)
        assert few["multiplications"] == model.multiplications(int(size))
        assert row["ratio_by_count"] == round(many["multiplications"] / few["multiplications"], 1)
        assert row["ratio_by_clock"] == round(many["seconds"] / few["seconds"], 1)
        assert len(many["all_seconds"]) == len(few["all_seconds"]) == result["configuration"]["repeats"]
        assert row["largest_difference_of_logits"] < 1e-4


def test_scene_labeling_context_parameters_and_multiplications():
    arms = load("scene_labeling")["figures"]["arms"]
    assert list(arms) == ["window 33", "scales 1", "scales 3", "instances 1", "instances 2", "instances 3"]
    for name, arm in arms.items():
        kind, setting = name.split()
        model = scene_labeling.make(kind, int(setting))
        assert arm["parameters"] == record.parameters(model)
        assert arm["multiplications"] == multiplications_of(model, 96)
        assert arm["context"] == scene_labeling.context(model)
    assert arms["window 33"]["multiplications"] == PatchClassifier(33, width=16).multiplications(96)


@pytest.mark.parametrize("name", ["fcn", "full_resolution", "skips"])
def test_learning_rate_is_the_best_on_validation_scenes(name):
    result = load(name)
    assert result["configuration"]["validation_seed"] not in result["configuration"]["seeds"]
    for arm in result["figures"]["arms"].values():
        rates = arm["validation_mean_iou"]
        assert [float(rate) for rate in rates] == result["configuration"]["learning_rates"]
        assert rates[str(arm["learning_rate"])] == max(rates.values())


def test_fcn_arms():
    figures = load("fcn")["figures"]
    assert list(figures["arms"]) == list(fcn.ARMS)
    for name, arm in figures["arms"].items():
        model = fcn.ARMS[name]()
        assert arm["parameters"] == record.parameters(model)
        assert arm["multiplications"] == multiplications_of(model, 96)
        assert len(arm["validation_curve"]) == len(fcn.CONFIGURATION["moments"])
        assert len(arm["cpu_seconds"]) == len(arm["train_mean_iou"]["values"]) == 3


def test_deconvnet_arms():
    figures = load("deconvnet")["figures"]
    assert list(figures["arms"]) == list(deconvnet.ARMS)
    for name, (make, times) in deconvnet.ARMS.items():
        arm = figures["arms"][name]
        assert arm["parameters"] == record.parameters(make())
        assert arm["steps"] == times * fcn.CONFIGURATION["steps"]
        assert len(arm["validation"]["mean_iou"]["values"]) == len(arm["cpu_seconds"]) == 3
    recorded = load("fcn")["figures"]["arms"]["DeconvNet, unpooling"]
    assert figures["learning_rate"] == recorded["learning_rate"]
    same = figures["arms"]["as it is"]["train"]["mean_iou"]["values"]  # the same network on the same scenes
    assert same == pytest.approx(recorded["train_mean_iou"]["values"], abs=1e-3)


def test_fcn_frames_are_small_and_get_closer_to_the_truth(scenes):
    assert fcn.FRAMES.stat().st_size < 200_000
    moments, shown = fcn.CONFIGURATION["moments"], fcn.CONFIGURATION["frame_scenes"]
    truth = scenes[1][shown].numpy()
    with np.load(fcn.FRAMES) as frames:
        assert list(frames) == ["FCN-32s", "FCN-16s", "FCN-8s"]
        ends = []
        for maps in frames.values():
            assert maps.dtype == np.uint8
            assert maps.shape == (len(moments), len(shown), 96, 96)
            assert maps.max() < len(CLASSES)
            right = (maps == truth).mean(axis=(1, 2, 3))
            assert right[-1] > max(right[0], 0.7)
            ends.append(right[-1])
        assert ends == sorted(ends)  # the finer the maps that are scored, the closer


def test_full_resolution_costs_are_those_of_the_networks():
    figures, networks = load("full_resolution")["figures"], full_resolution.FULL | full_resolution.CANDIDATES
    assert list(figures["arms"]) == list(networks)
    for name, arm in figures["arms"].items():
        model = networks[name]()
        assert arm["parameters"] == record.parameters(model)
        assert [int(size) for size in arm["by_size"]] == full_resolution.CONFIGURATION["cost_sizes"]
        assert {cost: arm["by_size"]["96"][cost] for cost in full_resolution.COSTS}.items() <= arm.items()
        for size in (32, 96):
            row = arm["by_size"][str(size)]
            assert row["multiplications"] == multiplications_of(model, size)
            kept = activation_bytes(model, torch.rand(1, 3, size, size))
            assert row["activation_bytes"] == pytest.approx(kept, rel=0.02)
            assert len(row["all_cpu_seconds"]) == full_resolution.CONFIGURATION["cost_repeats"]
    for depth, row in figures["by_depth"].items():
        assert row["full resolution"]["receptive_field"] == 1 + 2 * int(depth)
        assert row["full resolution"]["multiplications"] == multiplications_of(
            full_resolution.FullResolution(int(depth)), 96
        )
        for name, downsample in (("downsampling", True), ("the same without downsampling", False)):
            model = full_resolution.stack(int(depth) // 2, downsample)
            assert row[name]["multiplications"] == multiplications_of(model, 96)
            assert model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 7, 32, 32)


def test_full_resolution_verdicts_follow_from_the_arms():
    figures = load("full_resolution")["figures"]
    assert figures["verdicts"] == {
        name: full_resolution.verdict(name, figures["arms"]) for name in full_resolution.FULL
    }


@pytest.mark.parametrize(
    ("candidate", "rival", "holds"),  # the candidate's accuracies on validation and test, and its three costs
    [
        ((0.7, 0.72, 10, 10, 1.0), "FCN-8s", True),  # more accurate and cheaper
        ((0.59, 0.72, 10, 10, 1.0), None, False),  # not accurate enough on validation scenes
        ((0.7, 0.58, 10, 10, 1.0), "FCN-8s", False),  # nor, as it turns out, on the test scenes
        ((0.7, 0.72, 10, 30, 1.0), "FCN-8s", False),  # it keeps more memory
        ((0.7, 0.72, 10, 10, 3.0), "FCN-8s", False),  # it takes longer
    ],
)
def test_full_resolution_verdict_can_come_out_either_way(candidate, rival, holds):
    def arm(validation, test, multiplications, memory, seconds):
        return {
            "validation_mean_iou": {"0.01": validation, "0.003": 0.1},
            "mean_iou": {"values": [test, test, test]},
            "multiplications": multiplications,
            "activation_bytes": memory,
            "cpu_seconds": seconds,
        }

    arms = {name: arm(0.1, 0.1, 1, 1, 0.1) for name in full_resolution.CANDIDATES}  # cheapest, but worthless
    arms |= {"full resolution": arm(0.6, 0.6, 20, 20, 2.0), "FCN-8s": arm(*candidate)}
    judged = full_resolution.verdict("full resolution", arms)
    assert judged["rival"] == rival
    assert judged["holds"] is holds


def test_a_cell_gets_its_commonest_class(scenes):
    class_ids = scenes[1][:2]
    for stride in (2, 8, 32):
        coarse = shrinking.commonest(class_ids, stride)
        for index, row, column in np.ndindex(2, 96 // stride, 96 // stride):
            cell = (index, slice(row * stride, (row + 1) * stride), slice(column * stride, (column + 1) * stride))
            counts = np.bincount(class_ids[cell].flatten(), minlength=len(CLASSES))
            assert (coarse[cell] == int(counts.argmax())).all()


def test_shrinking_figures_are_those_of_the_script(scenes):
    figures = load("shrinking")["figures"]
    best = {int(stride): entry["mean_iou"] for stride, entry in figures["best_possible"].items()}
    coarse = shrinking.commonest(scenes[1], 16)
    assert best[1] == 1 and list(best) == sorted(best) and sorted(best.values(), reverse=True) == list(best.values())
    assert best[16] == pytest.approx(mean_iou(confusion_matrix(scenes[1], coarse, len(CLASSES))), abs=1e-4)
    costs = figures["multiplications"]
    assert costs["as it is"] == multiplications_of(EfficientNetLite0(), 224)
    assert figures["holds"] == (costs["at full size"] > 10 * costs["as it is"] and best[32] < 0.5)


def test_upsamplers_arms():
    result = load("upsamplers")
    arms, rates = result["figures"]["arms"], result["figures"]["validation_mean_iou"]
    assert list(arms) == [*UPSAMPLERS, "nearest, wide"]
    for name, arm in arms.items():
        model = upsamplers.make(name)
        assert arm["parameters"] == record.parameters(model)
        assert arm["multiplications"] == multiplications_of(model, 96)
        for state in arm["grid_percent"].values():
            for periods in state.values():
                assert list(periods) == [str(period) for period in result["configuration"]["periods"]]
                assert 0 <= periods["2"]["lowest"] <= periods["8"]["highest"] <= 100.001
    costs = [arm["multiplications"] for arm in arms.values()]
    assert costs[-1] == pytest.approx(max(costs[:-1]), rel=0.01)
    means = {float(rate): np.mean(list(scores.values())) for rate, scores in rates.items()}
    assert list(means) == result["configuration"]["learning_rates"]
    assert max(means, key=means.get) == result["figures"]["learning_rate"]
    assert result["configuration"]["validation_seed"] not in result["configuration"]["seeds"]


def test_upsamplers_maps_are_small_and_complete():
    assert upsamplers.MAPS.stat().st_size < 200_000
    side, shown = upsamplers.CONFIGURATION["side"], upsamplers.CONFIGURATION["shown_scenes"]
    with np.load(upsamplers.MAPS) as maps:
        assert len(maps) == 3 * (len(UPSAMPLERS) + 1)
        for name in (*UPSAMPLERS, "nearest, wide"):
            for state in ("untrained", "trained"):
                assert maps[f"{name}.{state}"].shape == (side, side)
                assert np.isfinite(maps[f"{name}.{state}"]).all()
            assert maps[f"{name}.predicted"].shape == (shown, 96, 96)
            assert maps[f"{name}.predicted"].max() < len(CLASSES)


def test_grid_share_is_one_of_a_pattern_and_zero_of_a_slope():
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    slope = torch.stack([rows + 2 * columns, -columns, 0 * rows])[None]
    pattern = torch.rand(2, 3, 4, 4).repeat(1, 1, 24, 24)
    noise = torch.rand(20, 3, 96, 96)
    for period in (2, 4, 7, 8):
        assert upsamplers.grid_share(slope, period, side=56) == pytest.approx(0, abs=1e-6)
        free = period**2 - 1  # values of a pattern of mean 0, among those of the square
        assert upsamplers.grid_share(noise, period, side=56) == pytest.approx(free / 56**2, rel=0.2)
        assert upsamplers.grid_share(pattern, period, side=56) == pytest.approx(
            {2: 0.25, 4: 1, 7: 0, 8: 1}[period], abs=0.25 if period == 2 else 1e-5
        )
    both = pattern[:1] + slope / slope.std()
    share = upsamplers.grid_share(both, 8, side=56)
    parts = [upsamplers.middle(maps - maps.mean(dim=1, keepdim=True), 56).var((2, 3)) for maps in (pattern[:1], both)]
    assert share == pytest.approx(float(parts[0].sum() / parts[1].sum()), rel=1e-3)


def test_pretrained_networks_and_learning_rates():
    result = load("pretrained")
    configuration, figures = result["configuration"], result["figures"]
    assert configuration["validation_seed"] not in configuration["seeds"]
    assert set(configuration["few"]) < set(configuration["labels"])
    names = [f"{name} {labels}" for labels in configuration["labels"] for name in pretrained.ARMS]
    assert list(figures["arms"]) == names
    for name, make in pretrained.ARMS.items():
        model, network = make(), figures["networks"][name]
        assert network["parameters"] == record.parameters(model)
        assert network["multiplications"] == multiplications_of(model, 96)
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        assert network["trained_parameters"] == sum(map(torch.numel, trained))
        rates = figures["validation_mean_iou"][name]
        assert [float(rate) for rate in rates] == configuration["learning_rates"]
        assert rates[str(figures["learning_rate"][name])] == max(rates.values())
        for curve in figures["curves"][name]:
            assert len(curve["mean_iou"]) == len(curve["cpu_seconds"]) == len(configuration["moments"])
            assert curve["cpu_seconds"] == sorted(curve["cpu_seconds"])
    assert figures["networks"]["frozen"]["trained_parameters"] < figures["networks"]["frozen"]["parameters"] / 5
    assert list(figures["trap_mean_iou"]) == configuration["trapped"]


def test_pretrained_seeds_share_no_labelled_scene():
    most, seeds = pretrained.CONFIGURATION["labels"][-1], pretrained.CONFIGURATION["seeds"]
    starts = sorted(seed * most for seed in (*seeds, pretrained.CONFIGURATION["validation_seed"]))
    assert all(later - earlier >= most for earlier, later in pairwise(starts))


def test_pretrained_trap_is_in_every_normalisation():
    momenta = [layer.momentum for layer in pretrained.trapped("fine-tuned").modules() if isinstance(layer, BatchNorm2d)]
    assert len(momenta) > 20
    assert set(momenta) == {pretrained.CONFIGURATION["trap_momentum"]}


def test_pretrained_verdicts_follow_from_the_arms():
    figures = load("pretrained")["figures"]
    assert list(figures["verdicts"]) == ["frozen", "fine-tuned"]
    for name, verdicts in figures["verdicts"].items():
        assert list(verdicts) == ["random init", "U-Net from scratch"]
        assert verdicts == {rival: pretrained.verdict(name, rival, figures) for rival in verdicts}


@pytest.mark.parametrize(
    ("own", "curves", "judged"),  # the arm's lowest score with each number of labels; the rival's highest is 0.5
    [
        (  # better with few labels alone, and faster with both seeds
            (0.6, 0.6, 0.6, 0.4, 0.4),
            [([1.0, 2.0], [0.4, 0.6]), ([1.0, 2.0], [0.5, 0.6])],
            {
                "better_with_few_labels": True,
                "wins_with": [8, 16, 32],
                "faster": True,
                "share_of_its_time": [0.5, 0.25],
            },
        ),
        (  # one of the few is a draw; the second seed never gets there
            (0.6, 0.5, 0.6, 0.6, 0.4),
            [([1.0, 2.0], [0.4, 0.6]), ([1.0, 2.0], [0.4, 0.49])],
            {
                "better_with_few_labels": False,
                "wins_with": [8, 32, 64],
                "faster": False,
                "share_of_its_time": [0.5, None],
            },
        ),
        (  # it gets there, but takes longer
            (0.4, 0.4, 0.4, 0.4, 0.4),
            [([3.0, 6.0], [0.4, 0.6]), ([1.0, 2.0], [0.5, 0.6])],
            {"better_with_few_labels": False, "wins_with": [], "faster": False, "share_of_its_time": [1.5, 0.25]},
        ),
    ],
)
def test_pretrained_verdict_can_come_out_either_way(own, curves, judged):
    arms = {
        f"{name} {labels}": {"mean_iou": {"lowest": score, "highest": score}}
        for name, scores in (("frozen", own), ("random init", (0.5,) * 5))
        for labels, score in zip((8, 16, 32, 64, 128), scores)
    }
    of_rival = [{"cpu_seconds": [2.0, 4.0], "mean_iou": [0.3, 0.5]}] * 2
    of_arm = [{"cpu_seconds": seconds, "mean_iou": scores} for seconds, scores in curves]
    figures = {"arms": arms, "curves": {"frozen": of_arm, "random init": of_rival}}
    assert pretrained.verdict("frozen", "random init", figures) == judged


def test_pretrained_maps_are_small_and_are_of_the_scored_networks(scenes):
    assert pretrained.MAPS.stat().st_size < 200_000
    shown = pretrained.CONFIGURATION["frame_scenes"]
    truth = scenes[1][shown].numpy()
    with np.load(pretrained.MAPS) as maps:
        assert list(maps) == list(load("pretrained")["figures"]["arms"])
        for predicted in maps.values():
            assert predicted.dtype == np.uint8
            assert predicted.shape == (len(shown), 96, 96)
            assert predicted.max() < len(CLASSES)
            assert (predicted == truth).mean() > 0.6


def test_skips_arms_and_their_curves():
    result = load("skips")
    configuration, arms = result["configuration"], result["figures"]["arms"]
    assert list(arms) == list(skips.ARMS)
    for name, arm in arms.items():
        model = skips.ARMS[name]()
        assert arm["parameters"] == record.parameters(model)
        assert arm["multiplications"] == multiplications_of(model, 96)
        assert len(arm["validation_curves"]) == len(arm["cpu_seconds"]) == len(configuration["seeds"])
        assert {len(curve) for curve in arm["validation_curves"]} == {len(configuration["moments"])}
    for wider in ("none, wider", "add, wider"):
        assert arms[wider]["parameters"] == pytest.approx(arms["concat"]["parameters"], rel=0.02)


def test_skips_errors_inside_and_outside_of_the_band_add_up(scenes):
    figures = load("skips")["figures"]
    share = boundary_band(scenes[1], skips.CONFIGURATION["band"]).double().mean().item()
    assert figures["band_share"] == pytest.approx(share, abs=5e-5)
    for arm in figures["arms"].values():
        parts = (arm[key]["values"] for key in ("error_in_band", "error_outside", "pixel_accuracy"))
        for inside, outside, accuracy in zip(*parts):
            assert share * inside + (1 - share) * outside == pytest.approx(1 - accuracy, abs=2e-4)


def test_skips_frames_are_small_and_get_closer_to_the_truth(scenes):
    assert skips.FRAMES.stat().st_size < 200_000
    moments, shown = skips.CONFIGURATION["moments"], skips.CONFIGURATION["frame_scenes"]
    truth = scenes[1][shown].numpy()
    with np.load(skips.FRAMES) as frames:
        assert list(frames) == ["none", "add", "concat"]
        for maps in frames.values():
            assert maps.dtype == np.uint8
            assert maps.shape == (len(moments), len(shown), 96, 96)
            assert maps.max() < len(CLASSES)
            right = (maps == truth).mean(axis=(1, 2, 3))
            assert right[-1] > max(right[0], 0.7)


def test_skips_weights_are_small_and_give_the_recorded_score(scenes):
    assert skips.WEIGHTS.stat().st_size < 1_500_000
    model = load_weights(skips.ARMS["concat"](), "skips", "concat")
    confusion = evaluate(model, *scenes, num_classes=len(CLASSES))
    score = load("skips")["figures"]["arms"]["concat"]["mean_iou"]["values"][0]  # of the first seed
    assert mean_iou(confusion) == pytest.approx(score, abs=3e-3)  # saved as float16


def test_edges_equal_those_of_scipy():
    images = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    for image, found in zip(images.mean(1).numpy(), details.edges(images)):
        rows, columns = (sobel(image, axis, mode="nearest") for axis in (0, 1))
        np.testing.assert_allclose(found[0], np.hypot(rows, columns), rtol=1e-5, atol=1e-6)


def test_quarters_stand_in_order():
    pictures = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    cut = details.quarters(pictures)
    for index, (picture, row, column) in enumerate(np.ndindex(2, 2, 2)):
        corner = pictures[picture, :, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
        assert torch.equal(cut[index], corner)


@pytest.mark.parametrize("shrink", [True, False])
@torch.no_grad()
def test_blocks_make_the_features_of_the_network(shrink):
    torch.manual_seed(0)
    network, images, seen = details.encoder_network(shrink).eval(), torch.rand(1, 3, 16, 16), []
    deepest = network.bottleneck if shrink else network.encoder
    deepest.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    network(images)
    probe = details.Probe(details.blocks_of(network), shrink, frozen=True).eval()
    probe.decoder = torch.nn.Identity()
    assert torch.equal(probe(images), seen[0])


@pytest.mark.parametrize("frozen", [True, False])
def test_a_probe_leaves_frozen_blocks_as_they_are(frozen):
    torch.manual_seed(0)
    for depth in range(1, 5):
        probe = details.Probe(details.blocks_of(details.encoder_network(True))[:depth], True, frozen)
        before = {name: value.clone() for name, value in probe.blocks.state_dict().items()}
        images = torch.rand(4, 3, 16, 16)
        fit(probe, images, details.with_edges(images), steps=2, batch_size=4, loss=mse_loss, device="cpu")
        assert probe(images).shape == (4, 4, 16, 16)
        same = [torch.equal(before[name], value) for name, value in probe.blocks.state_dict().items()]
        assert all(same) if frozen else not any(same)


def test_explained_and_decibels_by_hand():
    true = torch.tensor([0.0, 1, 2, 3])
    assert details.explained(true, true) == 1
    assert details.explained(true, torch.full((4,), 1.5)) == 0
    assert details.explained(true, true + 1) == pytest.approx(1 - 1 / 1.25)
    images = torch.full((1, 3, 4, 4), 0.5)
    images[..., 2:] = 0.9
    back = details.with_edges(images)
    back[:, :3, :, 0] += 0.1  # a quarter of the px
    band = torch.zeros(1, 4, 4, dtype=torch.bool)
    band[:, :, 0] = True
    compared = details.compare(images, back, band)
    assert compared["edges_explained"] == 1
    assert compared["psnr_in_band"] == pytest.approx(20, abs=1e-3)  # 10 log10(1 / 0.1^2)
    assert compared["psnr"] == pytest.approx(20 + 10 * np.log10(4), abs=1e-3)
    assert compared["psnr_outside"] == np.inf


@pytest.mark.parametrize(
    ("pictures", "segments", "words"),  # of each kind: the strides' values in one seed, and the control's two ends
    [
        (([0.9, 0.7, 0.5, 0.3], [0.9, 0.8]), ([0.8, 0.5, 0.2, 0.1], [0.8, 0.6]), "holds"),
        (([0.9, 0.7, 0.5, 0.3], [0.9, 0.5]), ([0.8, 0.5, 0.2, 0.1], [0.8, 0.6]), "holds in part"),  # depth alone loses
        (([0.9, 0.7, 0.75, 0.3], [0.9, 0.8]), ([0.8, 0.5, 0.2, 0.1], [0.8, 0.6]), "holds in part"),  # up on the way
        (([0.9, 0.89, 0.88, 0.81], [0.9, 0.9]), ([0.8, 0.5, 0.2, 0.1], [0.8, 0.4]), "does not hold"),  # too little
    ],
)
def test_details_verdict_can_come_out_either_way(pictures, segments, words):
    def group(index):
        return {
            kind: {
                index: {"edges_explained": {"values": [0.5 - index / 10, value]}} for index, value in enumerate(values)
            }
            for kind, values in zip(details.KINDS, (pictures[index], segments[index]))
        }

    kinds, controls = group(0), group(1)
    for control in controls.values():
        control[1]["edges_explained"]["values"][0] = 0.5  # in the first seed the claim holds
    assert details.verdict(kinds, controls)["verdict"] == words


def test_details_figures_are_those_of_the_script(scenes):
    result = load("details")
    configuration, figures = result["configuration"], result["figures"]
    images, class_ids = (part[: configuration["test_scenes"]] for part in scenes)
    assert figures["class_shares"] == pytest.approx(record.class_shares(class_ids), abs=5e-4)
    assert configuration["validation_seed"] not in configuration["seeds"]
    for kind in details.KINDS:
        rates = figures["validation_edges_explained"][kind]
        assert [float(rate) for rate in rates] == configuration["learning_rates"]
        assert rates[str(figures["learning_rate"][kind])] == max(rates.values())
        assert list(figures["kinds"][kind]) == ["1", "2", "4", "8"]
        assert list(figures["controls"][kind]) == ["1", "8"]
        for row in (*figures["kinds"][kind].values(), *figures["controls"][kind].values()):
            assert len(row["edges_explained"]["values"]) == len(configuration["seeds"]) >= 3
    judged = details.verdict(figures["kinds"], figures["controls"])
    assert judged == {"judged": figures["judged"], "verdict": figures["verdict"]}
    coarse = images.numpy().reshape(-1, 3, 12, 8, 12, 8).mean(axis=(3, 5))
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), size=(96, 96), mode="bilinear")
    recorded = figures["floor"]["8"]["psnr"]
    assert recorded == pytest.approx(-10 * np.log10(float((smooth - images).square().mean())), abs=1e-3)


def test_details_pictures_are_small_and_resemble_the_scenes(scenes):
    assert details.PICTURES.stat().st_size < 500_000
    images = scenes[0][details.CONFIGURATION["shown_scenes"]].numpy()
    with np.load(details.PICTURES) as pictures:
        assert len(pictures) == len(details.KINDS) * 5  # four depths, and the control at the last
        for kind in details.KINDS:
            errors = [np.abs(pictures[f"{kind}, kinds, {at}"][:, :3] / 255 - images).mean() for at in (1, 8)]
            assert errors[0] < errors[1] < 0.25


def test_nuclei_arms():
    result = load("nuclei")
    configuration, figures = result["configuration"], result["figures"]
    networks = ["foreground", "separated", "weight map", "gaps alone"]
    assert list(figures["arms"]) == ["Otsu", "Otsu, one threshold", *networks]
    for name, arm in figures["arms"].items():
        seeds = len(configuration["seeds"]) if name in networks else 1
        for picture, size in figures["pictures"].items():
            scores = arm[picture]
            for counts, f1 in zip(scores["counts"], scores["instance_f1"]["values"], strict=True):
                found, invented, missed = counts.values()
                assert found + missed == size["nuclei"]
                assert f1 == pytest.approx(2 * found / (2 * found + invented + missed), abs=1e-4)
            for score in ("foreground_iou", "instance_f1", "crowded_found"):
                assert len(scores[score]["values"]) == seeds
                assert 0 <= scores[score]["lowest"] <= scores[score]["mean"] <= scores[score]["highest"] <= 1
        if name in networks:
            rates = arm["validation_instance_f1"]
            assert [float(rate) for rate in rates] == configuration["learning_rates"]
            assert rates[str(arm["learning_rate"])] == max(rates.values())
    assert configuration["validation_seed"] not in configuration["seeds"] and len(configuration["seeds"]) >= 3


def test_nuclei_of_otsu_and_those_that_are_crowded():
    figures = load("nuclei")["figures"]
    film, other = split("test"), other_laboratory()
    level = threshold_otsu(split("train").images.numpy())
    for name, part, masks in (
        ("test", film, film.images[:, 0] > level),
        ("other", other, other.images[:, 0] > threshold_otsu(other.images.numpy())),
    ):
        arm = figures["arms"]["Otsu, one threshold" if name == "test" else "Otsu"][name]
        true = part.instance_ids > 0
        overlap = (masks & true).sum() / (masks | true).sum()
        assert arm["foreground_iou"]["values"] == pytest.approx([overlap.item()], abs=1e-3)
        crowds = sum(len(nuclei.crowded(ids.numpy())) for ids in part.instance_ids)
        assert figures["pictures"][name] == {"nuclei": int(part.instance_ids.amax((1, 2)).sum()), "crowded": crowds}


def test_crowded_nuclei_by_hand():
    ids = np.zeros((12, 12), dtype=int)
    ids[0, 0], ids[0, 3], ids[6, 0], ids[10, 3] = 1, 2, 3, 4  # 3 px, 6 px and 5 px apart: only 1 and 2 are close
    assert nuclei.crowded(ids) == [1, 2]


def test_a_stretched_picture_has_the_brightness_of_the_others():
    like, other = split("train").images, other_laboratory()
    stretched = nuclei.stretched(other, like)
    at = nuclei.CONFIGURATION["percentiles"]
    np.testing.assert_allclose(np.percentile(stretched.images, at), np.percentile(like, at), atol=1e-3)
    assert torch.equal(stretched.instance_ids, other.instance_ids)


def test_nuclei_masks_are_small_and_are_of_the_scored_networks():
    assert nuclei.MASKS.stat().st_size < 200_000
    configuration = nuclei.CONFIGURATION
    (top, left), size = configuration["figure_corner"], configuration["figure_size"]
    true_film = (split("test").instance_ids > 0)[configuration["figure_tiles"]].numpy()
    true_other = (other_laboratory().instance_ids > 0)[0, top : top + size, left : left + size].numpy()
    with np.load(nuclei.MASKS) as masks:
        for arm in load("nuclei")["figures"]["arms"]:
            of_film, of_other = masks[f"{arm}, test"], masks[f"{arm}, other, stretched"]
            assert (of_film & true_film).sum() > 0.6 * (of_film | true_film).sum()
            assert (of_other & true_other).sum() > 0.5 * (of_other | true_other).sum()
            assert masks[f"{arm}, other"].shape == true_other.shape


def test_losses_arms():
    result = load("losses")
    configuration, cases = result["configuration"], result["figures"]["cases"]
    assert list(cases) == list(configuration["cases"]) == ["cat", "fluid"]
    assert configuration["validation_seed"] not in configuration["seeds"] and len(configuration["seeds"]) >= 3
    for case, settings in configuration["cases"].items():
        assert list(cases[case]["arms"]) == list(losses.ARMS)
        for arm in cases[case]["arms"].values():
            rates = arm["validation_mean_iou"]
            assert [float(rate) for rate in rates] == configuration["learning_rates"]
            assert rates[str(arm["learning_rate"])] == max(rates.values())
            for score in ("mean_iou", "iou", "precision", "recall", "sure"):
                assert len(arm[score]["values"]) == len(configuration["seeds"])
                assert 0 <= arm[score]["lowest"] <= arm[score]["mean"] <= arm[score]["highest"] <= 1
            for iou, precision, recall in zip(*(arm[name]["values"] for name in ("iou", "precision", "recall"))):
                # 1 / IoU = 1 / precision + 1 / recall - 1, multiplied out so that zeros may stand in it
                assert iou * (precision + recall - precision * recall) == pytest.approx(precision * recall, abs=3e-4)
            for curve in arm["validation_curves"]:
                assert len(curve) == len(settings["moments"]) and settings["moments"][-1] == settings["steps"]


def test_losses_rare_classes_are_rare(scenes):
    recorded = load("losses")["figures"]["cases"]
    shares = {"cat": (scenes[1] == CLASSES.index("cat")), "fluid": brain.slices("test")[1] == losses.RARE}
    for case, rare in shares.items():
        assert recorded[case]["share"] == pytest.approx(rare.double().mean().item(), abs=1e-4)
        assert recorded[case]["share"] < 0.05


def test_losses_scores_of_a_network_that_is_known():
    class_ids = torch.tensor([[[0, 1, 1, 0]]])

    class Known(torch.nn.Module):
        def forward(self, images):  # calls the middle two and the last one rare, with probability 3/4
            return torch.tensor([[1, 3, 3, 3], [3, 1, 1, 1]]).flip(0).float().log().reshape(1, 2, 1, 4)

    scores = losses.score(Known(), torch.zeros(1, 3, 1, 4), class_ids)
    expected = {"mean_iou": (1 / 2 + 2 / 3) / 2, "iou": 2 / 3, "precision": 2 / 3, "recall": 1, "sure": 3 / 4}
    assert scores == pytest.approx(expected, abs=1e-6)


def test_spread_and_shares_by_hand():
    assert record.spread([0.5, 0.75, 0.25]) == {
        "mean": 0.5,
        "lowest": 0.25,
        "highest": 0.75,
        "values": [0.5, 0.75, 0.25],
    }
    shares = record.class_shares(torch.tensor([0, 0, 1, 6]))
    assert list(shares.values()) == [0.5, 0.25, 0, 0, 0, 0, 0.25]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    record.save("trial", {"steps": 1}, {"answer": 1}, started=0)
    before = (tmp_path / "trial.json").read_bytes()
    with pytest.raises(TypeError):
        record.save("trial", {"steps": 1}, {"answer": np.float32(2)}, started=0)
    assert (tmp_path / "trial.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["trial.json"]


def test_the_verdicts_of_the_claims_follow_from_the_figures():
    few, arrows = load("pretrained")["figures"], load("skips")["figures"]
    assert few["verdict"] == pretrained.overall(few["verdicts"])
    assert arrows["verdicts"] == skips.verdicts(arrows["arms"])


@pytest.mark.parametrize(
    ("better", "faster", "expected"),
    [
        ((True, True), (False, False), "holds"),
        ((True, False), (False, False), "holds in part"),
        ((False, False), (False, True), "holds in part"),
        ((False, False), (False, False), "does not hold"),
    ],
)
def test_better_or_faster_makes_one_verdict(better, faster, expected):
    arms = zip(("frozen", "fine-tuned"), better, faster)
    verdicts = {arm: {"random init": {"better_with_few_labels": b, "faster": f}} for arm, b, f in arms}
    assert pretrained.overall(verdicts) == expected


@pytest.mark.parametrize(
    ("none", "wider", "add", "expected"),
    [
        (0.5, 0.6, 0.65, {"C6": "holds", "C7": "holds"}),
        (0.5, 0.68, 0.65, {"C6": "holds in part", "C7": "holds in part"}),
        (0.68, 0.66, 0.69, {"C6": "does not hold", "C7": "does not hold"}),
    ],
)
def test_arrows_are_judged_by_every_pair(none, wider, add, expected):
    """Two seeds, 0.01 up and down; concat at 0.7; "add, wider" is as good as "none, wider"."""

    def arm(mean):
        run = {"mean": mean, "lowest": mean - 0.01, "highest": mean + 0.01}
        return {"mean_iou": run, "boundary_f_score": run}

    arms = {"none": none, "none, wider": wider, "add": add, "add, wider": wider, "concat": 0.7}
    assert skips.verdicts({name: arm(mean) for name, mean in arms.items()}) == expected
