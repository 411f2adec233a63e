"""What the notebooks lean on: results, claims and recorded weights."""

import json

import numpy as np
import pytest
import torch

from lessons_lib import notebook
from lessons_lib.models.patch_classifier import PatchClassifier


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "RESULTS", tmp_path)
    return tmp_path


def test_results_gives_the_file(results_folder):
    (results_folder / "probe.json").write_text(json.dumps({"figures": {"miou": 0.5}}))
    assert notebook.results("probe") == {"figures": {"miou": 0.5}}


def test_results_names_the_command_that_makes_a_missing_file(results_folder):
    with pytest.raises(FileNotFoundError, match="make experiment NAME=probe"):
        notebook.results("probe")


def test_load_weights_gives_the_recorded_network(results_folder):
    recorded, fresh = PatchClassifier(3, width=16).eval(), PatchClassifier(3, width=16)
    arrays = {f"3.{name}": value.numpy() for name, value in recorded.state_dict().items()}
    np.savez(results_folder / "probe_weights.npz", **arrays)
    images = torch.rand(1, 3, 8, 8)
    assert not torch.equal(fresh(images), recorded(images))
    loaded = notebook.load_weights(fresh, "probe", "3")
    assert torch.equal(loaded(images), recorded(images)) and not loaded.training


def test_a_claim_is_an_admonition_with_its_verdict(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", lambda output: shown.append(output.data))
    notebook.claim("C1", "holds in part", "One pixel reaches 0.4.")
    assert shown[0].startswith(
        ":::{admonition} Measured claim C1: holds in part\n:class: claim\nOne pixel reaches 0.4."
    )


def test_setup_makes_random_numbers_repeatable():
    notebook.setup(3)
    first = torch.rand(2), np.random.rand()
    notebook.setup(3)
    assert torch.equal(first[0], torch.rand(2)) and first[1] == np.random.rand()
