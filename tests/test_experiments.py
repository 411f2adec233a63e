"""The recorded results belong to the scripts that stand here, and to the Meadow that is drawn here."""

import json
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import context, record, scene_labeling, sliding_window
from lessons_lib.data.meadow import CLASSES, batch
from lessons_lib.metrics import pixel_accuracy
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.notebook import load_weights
from lessons_lib.training import evaluate

FOLDER = Path(record.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "record"))
ON_MEADOW = ["context", "meadow", "scene_labeling"]
every_experiment = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def scenes():
    """The images and class_ids that every experiment on Meadow is scored on."""
    return batch("test", count=200)


def load(name):
    return json.loads((record.RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_every_script_has_a_result_and_every_result_a_script():
    assert NAMES == ["context", "meadow", "scene_labeling", "sliding_window"]
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
    shares = record.class_shares(scenes[1])
    assert shares == pytest.approx(load(name)["figures"]["class_shares"], abs=5e-4)


@pytest.mark.parametrize("name", ON_MEADOW)
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
        assert arm["multiplications"] == scene_labeling.multiplications(model, 96)
        assert arm["context"] == scene_labeling.context(model)
    assert arms["window 33"]["multiplications"] == PatchClassifier(33, width=16).multiplications(96)


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
