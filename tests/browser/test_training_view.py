"""The progress view of a training: what it records, that it disturbs nothing, and the recording on the page."""

import json

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from lessons_lib.metrics import confusion_matrix, pixel_accuracy
from lessons_lib.training import fit, seed_everything
from lessons_lib.widgets import training
from lessons_lib.widgets.training import TrainingView

NAMES = ["sky", "grass", "cow"]
TRUTH = np.repeat(np.array([0, 1, 1, 2]), 4)[None].repeat(12, axis=0)  # (12, 16)
TRUTH[0, :3] = 255
IMAGE = np.random.default_rng(0).random((12, 16, 3))


class Painter(nn.Module):
    """Answers with the class map that it is told, whatever it sees."""

    def __init__(self):
        super().__init__()
        self.class_ids = torch.zeros(12, 16, dtype=torch.int64)

    def forward(self, images):
        return nn.functional.one_hot(self.class_ids, 3).permute(2, 0, 1)[None].float()


def recording(steps=25, every=5, learned_at=12):
    """Everything is grass until the network sees the truth's left half."""
    view, painter = TrainingView(IMAGE, TRUTH, NAMES, every=every), Painter()
    painter.class_ids = torch.ones(12, 16, dtype=torch.int64)
    with view:
        for step in range(steps):
            if step == learned_at:
                painter.class_ids[:, :8] = torch.from_numpy(TRUTH[:, :8]).where(
                    torch.from_numpy(TRUTH[:, :8]) != 255, 0
                )
            view(step, 2.0 / (step + 1), painter)
    return view


@pytest.fixture(autouse=True)
def static(tmp_path, monkeypatch):
    """Record as the page's build does."""
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path / "_static" / "lessons"))


def sentence(page):
    return page.locator(".lesson-sentence")


def test_it_looks_every_few_steps_and_at_the_end():
    view = recording(steps=23, every=5)
    assert [frame["step"] for frame in view.frames] == [0, 5, 10, 15, 20, 22]
    assert len(view.losses) == 23
    assert view.losses[3] == 0.5
    assert view.phase == "recorded"


def test_long_trainings_are_thinned_to_forty_looks():
    view = recording(steps=700, every=1)
    steps = [frame["step"] for frame in view.frames]
    assert 20 <= len(steps) <= 41
    assert steps[0] == 0
    assert steps[-1] == 699
    assert len(set(np.diff(steps[:-1]))) == 1


def test_a_loss_that_is_not_finite_and_steps_before_a_resume_are_gaps():
    view = TrainingView(IMAGE, TRUTH, NAMES)
    view(3, 0.25, Painter())
    view(4, float("nan"), Painter())
    assert view.losses == [None, None, None, 0.25, None]
    json.loads(json.dumps(view.state()), parse_constant=pytest.fail)


def test_looking_changes_neither_the_model_nor_the_random_numbers():
    images = torch.rand(6, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    class_ids = (images[:, 0] > 0.5).long()

    def train(callback):
        seed_everything(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 3, 1))
        model[1].eval()
        history = fit(model, images, class_ids, steps=12, batch_size=2, device="cpu", callback=callback)
        return history.loss, model, torch.rand(3)

    with TrainingView(IMAGE, TRUTH, NAMES, every=1) as view:
        loss, model, after = train(view)
    plain_loss, plain_model, plain_after = train(None)
    assert loss == plain_loss
    assert torch.equal(after, plain_after)
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain_model.state_dict()[name]), name
    assert [module.training for module in model] == [module.training for module in plain_model]


def test_live_it_appears_before_the_first_step_and_grows(monkeypatch):
    monkeypatch.delenv("LESSONS_STATIC")
    shown = []
    monkeypatch.setattr(training, "display", shown.append)
    with TrainingView(IMAGE, TRUTH, NAMES, every=2) as view:
        assert shown == [view]
        view(0, 1.0, Painter())
        assert (len(view.losses), len(view.frames), view.frame, view.phase) == (1, 1, 0, "running")
        view(1, 1.0, Painter())
        view(2, 1.0, Painter())
        assert (len(view.losses), len(view.frames), view.frame) == (3, 2, 1)
    assert view.phase == "done"
    assert shown == [view]


def test_the_truth_must_fit_the_sample():
    with pytest.raises(ValueError, match=r"got \(12, 8\) for \(12, 16\)"):
        TrainingView(IMAGE, TRUTH[:, :8], NAMES)


def test_the_page_tells_accuracy_and_baseline_of_the_last_look(widget_page):
    view = recording()
    page = widget_page(lambda: view)
    predicted = torch.from_numpy(np.frombuffer(view.frames[-1]["map"].encode(), np.uint8).astype(np.int64) - ord("a"))
    truth = torch.from_numpy(TRUTH.ravel())
    right = round(100 * float(pixel_accuracy(confusion_matrix(truth, predicted, 3))))
    expect(sentence(page)).to_contain_text(f"After step 24 the network gives {right} % of the sample’s pixels")
    expect(sentence(page)).to_contain_text("painting everything grass would give 51 %")
    expect(sentence(page)).to_contain_text("misses more than half of cow")
    expect(page.get_by_text("Recorded while this page was built")).to_be_visible()
    assert page.locator(".lesson-shares li").all_inner_texts() == [
        "sky\n100\u00a0%",
        "grass\n100\u00a0%",
        "cow\n0\u00a0%",
    ]


def test_slider_and_keys_walk_through_the_recording(widget_page):
    page = widget_page(recording)
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(sentence(page)).to_contain_text("After step 0")
    expect(sentence(page)).to_contain_text("misses more than half of sky and cow")
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("After step 5")
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("After step 24")


def test_play_starts_again_and_ends_at_the_last_look(widget_page):
    page = widget_page(recording)
    page.get_by_role("button", name="Play").click()
    expect(sentence(page)).to_contain_text("Watch the prediction")
    expect(sentence(page)).to_contain_text("After step 24")
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"


def test_two_recordings_on_one_page_and_an_address(widget_page):
    page = widget_page(recording, recording, hash="#training-2?frame=1")
    expect(sentence(page).first).to_contain_text("After step 24")
    expect(sentence(page).last).to_contain_text("After step 5")


def test_nothing_trained_and_no_sideways_scroll(widget_page):
    with TrainingView(IMAGE, TRUTH, NAMES) as view:
        pass
    page = widget_page(lambda: view, width=320)
    expect(sentence(page)).to_have_text("Nothing was trained here.")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
