"""The swipe: it shows the right moment of the right network on each side, and says its true scores."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from traitlets import TraitError

from lessons_lib.metrics import boundary_f_score, confusion_matrix, mean_iou, pixel_accuracy
from lessons_lib.widgets.swipe import Swipe

NAMES = ["sky", "grass", "cat"]
MOMENTS = [0, 50, 1200]
RNG = np.random.default_rng(3)
TRUTHS = np.zeros((2, 24, 32), np.uint8)
TRUTHS[0, 12:] = 1
TRUTHS[1, 6:20, 8:20] = 2
TRUTHS[1, 0, 0] = 255
IMAGES = RNG.random((2, 24, 32, 3))


def noisy(share):
    wrong = RNG.random((3, *TRUTHS.shape)) < share * np.array([1, 0.5, 0.1])[:, None, None, None]
    return np.where(wrong, RNG.integers(0, 3, wrong.shape), TRUTHS % 255).astype(np.uint8)


FRAMES = {"FCN-32s": noisy(0.9), "FCN-16s": noisy(0.6), "FCN-8s": noisy(0.3)}
COLORS = np.array([[0x56, 0xB4, 0xE9], [0x00, 0x9E, 0x73], [0xE6, 0x9F, 0x00]])  # sky, grass, cat


def make(**state):
    return Swipe(IMAGES, TRUTHS, FRAMES, MOMENTS, NAMES, **state)


def sentence(page):
    return page.locator(".lesson-sentence").first


def scores(network, scene, moment):
    true, predicted = (torch.from_numpy(ids.astype(int)) for ids in (TRUTHS[scene], FRAMES[network][moment, scene]))
    counts = confusion_matrix(true, predicted, 3)
    return [pixel_accuracy(counts), mean_iou(counts), boundary_f_score(true[None], predicted[None], 3)]


def seen(page):
    """The class under the middle of each of the 24 x 32 px of the picture, read off a screenshot; -1 is none."""
    page.locator(".lesson-swipe-handle, .lesson-swipe-name").evaluate_all(
        "(nodes) => nodes.forEach((n) => { n.style.opacity = 0; })"
    )
    picture = page.locator(".lesson-swipe-picture").first
    page.wait_for_function("[...document.querySelectorAll('.lesson-swipe-side img')].every((image) => image.complete)")
    shot = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"), int)
    rows, columns = ((np.arange(count) + 0.5) * side / count for count, side in zip((24, 32), shot.shape))
    pixels = shot[np.ix_(rows.astype(int), columns.astype(int))]
    distance = abs(pixels[:, :, None] - COLORS).sum(axis=-1)
    return np.where(distance.min(axis=-1) < 12, distance.argmin(axis=-1), -1)


@pytest.mark.parametrize(("scene", "moment", "right"), [(0, 2, "FCN-32s"), (0, 1, "FCN-8s"), (1, 0, "FCN-16s")])
def test_each_side_shows_its_picture(widget_page, scene, moment, right):
    page = widget_page(make(scene=scene, moment=moment, right=right, left="FCN-32s"))
    received = seen(page)
    assert np.array_equal(received[:, :15], FRAMES["FCN-32s"][moment, scene][:, :15])
    assert np.array_equal(received[:, 17:], FRAMES[right][moment, scene][:, 17:])


def test_the_sentence_and_the_table_say_the_scores(widget_page):
    page = widget_page(make())
    accuracy, _, edges = scores("FCN-32s", 0, 2)
    text = f"gives {accuracy:.0%} of the pixels their true class; its boundary score is {edges:.2f}."
    expect(sentence(page)).to_contain_text("After 1,200 steps FCN-32s gives")
    expect(sentence(page)).to_contain_text(text.replace("%", "\u00a0%"))
    page.get_by_role("radio", name="2", exact=True).check()
    page.get_by_role("slider", name="After step").press("ArrowLeft")
    for network, row in zip(FRAMES, page.locator(".lesson-swipe-scores tbody tr").all(), strict=True):
        accuracy, iou, edges = scores(network, 1, 1)
        expect(row).to_have_text(f"{network}{accuracy:.0%}{iou:.2f}{edges:.2f}".replace("%", "\u00a0%"))
    assert page.locator(".lesson-swipe-scores .is-current th").all_inner_texts() == ["FCN-32s"]


def test_two_networks_are_compared(widget_page):
    page = widget_page(make())
    page.get_by_role("group", name="Left").get_by_role("radio", name="FCN-16s").check()
    page.get_by_role("group", name="Right").get_by_role("radio", name="FCN-8s").check()
    accuracy, _, edges = scores("FCN-16s", 0, 2)
    expect(sentence(page)).to_contain_text(f"For FCN-16s it is {accuracy:.0%} and {edges:.2f}.".replace("%", "\u00a0%"))
    assert page.locator(".lesson-swipe-scores .is-current th").all_inner_texts() == ["FCN-16s", "FCN-8s"]


def test_the_same_network_on_both_sides_is_named_and_the_scene_can_be_chosen(widget_page):
    page = widget_page(make(left="FCN-8s", right="FCN-8s"))
    expect(sentence(page)).to_contain_text("Both sides show FCN-8s, so they are the same")
    page.get_by_role("group", name="Left").get_by_role("radio", name="scene").check()
    expect(sentence(page)).to_contain_text("Drag the divider over the outlines.")
    expect(page.get_by_role("slider", name="Divider")).to_have_attribute(
        "aria-valuetext", "50 % scene, the rest FCN-8s"
    )


def test_the_divider_follows_mouse_and_keys(widget_page):
    page = widget_page(make(left="truth", right="FCN-32s", moment=0))
    picture = page.locator(".lesson-swipe-picture")
    divider = page.get_by_role("slider", name="Divider")
    box = picture.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 60)  # released: this moves nothing
    expect(divider).to_have_attribute("aria-valuenow", "75")
    assert np.array_equal(seen(page)[:, :23], TRUTHS[0][:, :23])
    for key, value in (("ArrowLeft", 73), ("Shift+ArrowRight", 83), ("Home", 0), ("ArrowLeft", 0), ("End", 100)):
        divider.press(key)
        expect(divider).to_have_attribute("aria-valuenow", str(value))
    expect(divider).to_have_attribute("aria-valuetext", "100 % truth, the rest FCN-32s")
    page.get_by_role("button", name="Reset").click()
    expect(divider).to_have_attribute("aria-valuenow", "50")


def test_the_divider_follows_a_finger(widget_page):
    page = widget_page(make(), width=390, has_touch=True)
    box = page.locator(".lesson-swipe-picture").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + 50)
    expect(page.get_by_role("slider", name="Divider")).to_have_attribute("aria-valuenow", "25")


def test_play_runs_to_the_last_moment(widget_page):
    page = widget_page(make(moment=0))
    play = page.get_by_role("button", name="Play the training")
    play.click()
    expect(sentence(page)).to_contain_text("Watch the outlines")
    expect(play).to_have_attribute("aria-pressed", "false", timeout=6000)
    expect(page.get_by_role("slider", name="After step")).to_have_attribute("aria-valuetext", "1,200")


def test_other_pictures_are_loaded_when_a_hand_comes_near(widget_page):
    page = widget_page(make())
    asked = set()
    page.on("request", lambda request: asked.add(request.url) if request.url.endswith(".webp") else None)
    page.reload()
    page.wait_for_load_state("networkidle")
    assert len(asked) == 3  # the still, the truth and one network's moments of the first scene
    page.get_by_role("slider", name="After step").focus()
    for _ in range(50):
        if len(asked) >= 11:
            break
        page.wait_for_timeout(100)
    assert len(asked) == 1 + 3 * 2 + 2 + 2


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    address = '#swipe-2?left="FCN-16s"&right="truth"&scene=9&moment=1&divider=-4'
    page = widget_page(make(), make(), hash=address)
    second = page.locator("#swipe-2")
    expect(second.locator(".lesson-sentence")).to_contain_text("After 50 steps FCN-32s gives")  # truth is no network
    expect(sentence(page)).to_contain_text("After 1,200 steps")
    second.get_by_role("button", name="Link to this setting").click()
    assert page.url.endswith("left=%22FCN-16s%22&right=%22FCN-32s%22&scene=1&moment=1&divider=0")


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width):
    page = widget_page(make(divider=100), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("truths", "frames", "names", "rule"),
    [
        (TRUTHS[:1], FRAMES, NAMES, "each scene has one truth: got (1, 24, 32)"),
        (TRUTHS, {"FCN": FRAMES["FCN-8s"][:2]}, NAMES, "got (2, 2, 24, 32) for FCN"),
        (TRUTHS, FRAMES, NAMES[:2], "every class id needs a name"),
    ],
)
def test_a_broken_rule_is_named(truths, frames, names, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        Swipe(IMAGES, truths, frames, MOMENTS, names)


def test_a_divider_beyond_the_picture_is_refused():
    with pytest.raises(TraitError):
        make(divider=101)


def test_the_still_shows_every_network():
    assert [ax.get_title() for ax in make().still().axes] == ["scene", "truth", "FCN-32s", "FCN-16s", "FCN-8s"]
