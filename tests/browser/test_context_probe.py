"""The context probe: nothing is told before the guess, and what is told after it is what the networks believe."""

import io

import numpy as np
import pytest
import traitlets
from PIL import Image
from playwright.sync_api import expect

from lessons_lib.widgets.beliefs import encode_beliefs, telling_pixels
from lessons_lib.widgets.context_probe import STEP, ContextProbe

NAMES = ("sky", "grass", "tree", "water", "cat", "dog", "cow")
WINDOWS = (1, 3, 5, 9, 17, 33, 65)
RNG = np.random.default_rng(0)
SCENES = [(np.round(RNG.random((48, 48, 3)) * 255) / 255, RNG.integers(0, 7, (48, 48))) for _ in range(2)]
BELIEFS = RNG.dirichlet(np.full(7, 0.3), (2, 7, 12, 12))


def probe(**state):
    return ContextProbe(SCENES, BELIEFS, WINDOWS, NAMES, **state)


def truth(scene, row, column):
    return NAMES[SCENES[scene][1][row, column]]


def kept(scene, window, row, column):
    """The beliefs as they are kept: to the nearest 1/15."""
    return np.rint(15 * BELIEFS[scene, WINDOWS.index(window), row // STEP, column // STEP]) / 15


def pixels_of(locator):
    """A screenshot of an element, (height, width, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"))


def guess(page, name):
    page.locator(".lesson-probe-class", has_text=name).click()


def sentence(page):
    return page.locator(".lesson-sentence")


def test_encoding_loses_at_most_a_thirtieth():
    digits = encode_beliefs(BELIEFS)
    back = np.reshape([int(digit, 16) / 15 for digit in digits], BELIEFS.shape)
    assert np.abs(back - BELIEFS).max() <= 1 / 30 + 1e-12


def test_encoding_refuses_logits():
    with pytest.raises(ValueError, match=r"beliefs lie in \[0, 1\].*apply softmax"):
        encode_beliefs(np.array([-1.0, 3.0]))


def test_telling_pixels_are_missed_by_small_windows_and_known_to_large_ones():
    class_ids = np.zeros((12, 12), int)
    beliefs = np.full((7, 12, 12, 2), 0.5)
    beliefs[:3, 8, 3], beliefs[4:, 8, 3] = (0.1, 0.9), (0.95, 0.05)
    beliefs[:3, 2, 9], beliefs[4:, 2, 9] = (0.2, 0.8), (0.9, 0.1)
    assert telling_pixels(class_ids, beliefs)[:2] == [[8, 3], [2, 9]]
    beliefs[:, 0, 5] = beliefs[:, 8, 3]
    assert [0, 5] not in telling_pixels(class_ids, beliefs), "at the rim the place tells too much"
    class_ids[8, 3] = 255  # nobody knows
    assert telling_pixels(class_ids, beliefs)[0] == [2, 9]


def test_nothing_is_told_before_the_guess(widget_page):
    page = widget_page(probe)
    row, column = probe().row, probe().column
    assert "%" not in page.locator(".lesson-card").inner_text()
    assert "ruth" not in page.locator(".lesson-card").inner_text()
    assert page.locator(".lesson-probe-stack > i").count() == 0
    scene = page.locator(".lesson-probe-place .lesson-pixels")
    shot, scale = pixels_of(scene), scene.bounding_box()["width"] / 48
    well = shot[3, 3]
    covered = [
        (shot[int((r + 0.5) * scale), int((c + 0.5) * scale)] == well).all()
        for r in range(1, 40) for c in range(1, 47) if max(abs(r - row), abs(c - column)) > 4
    ]  # fmt: skip
    assert all(covered)


@pytest.mark.parametrize("window", [1, 3, 5, 9, 17])
def test_the_patch_is_exactly_the_pixels_of_the_window(widget_page, window):
    page = widget_page(lambda: probe(row=20, column=24, window=window))
    canvas, half = page.locator(".lesson-probe-patch canvas"), window // 2
    assert canvas.evaluate("(canvas) => [canvas.width, canvas.height]") == [window, window]
    page.add_style_tag(content=".lesson-probe-centre { display: none }")
    shot = pixels_of(canvas)
    middles = ((np.arange(window) + 0.5) / window * len(shot)).astype(int)
    expected = np.round(SCENES[0][0][20 - half : 21 + half, 24 - half : 25 + half] * 255)
    np.testing.assert_allclose(shot[np.ix_(middles, middles)], expected, atol=1)


def test_outside_the_scene_the_patch_is_empty(widget_page):
    page = widget_page(lambda: probe(row=0, column=0, window=3))
    shot = pixels_of(page.locator(".lesson-probe-patch"))
    well, scene = shot[len(shot) // 6, len(shot) // 6], np.round(SCENES[0][0] * 255)
    np.testing.assert_array_equal(shot[len(shot) // 6, 5 * len(shot) // 6], well)
    np.testing.assert_allclose(shot[5 * len(shot) // 6, 5 * len(shot) // 6], scene[1, 1], atol=1)


def test_after_the_guess_every_number_is_the_networks(widget_page):
    page = widget_page(lambda: probe(row=20, column=24, window=5))
    guess(page, "dog")
    believed, right = kept(0, 5, 20, 24), truth(0, 20, 24)
    first = NAMES[believed.argmax()]
    expect(sentence(page)).to_contain_text(
        f"You: dog. Network at 5 px: {first}, {round(100 * believed.max())}\u00a0%. Truth: {right}."
    )
    values = page.locator(".lesson-probe-class b").all_inner_texts()
    assert values == [f"{round(100 * belief)}\u00a0%" for belief in believed]
    widths = page.locator(".lesson-probe-bar").evaluate_all("(bars) => bars.map((bar) => parseFloat(bar.style.width))")
    np.testing.assert_allclose(np.divide(widths, 100), BELIEFS[0, 2, 5, 6], atol=1 / 30 + 1e-6)
    assert page.locator(".lesson-probe-class.is-truth span").inner_text() == right


def test_the_strip_shows_how_the_answer_changes_with_the_window(widget_page):
    page = widget_page(lambda: probe(row=20, column=24, revealed=True))
    right = truth(0, 20, 24)
    winners = [NAMES[kept(0, window, 20, 24).argmax()] for window in WINDOWS]
    verdicts = page.locator(".lesson-probe-strip em")
    assert verdicts.all_inner_texts() == winners
    good = verdicts.evaluate_all("(verdicts) => verdicts.map((verdict) => verdict.classList.contains('is-right'))")
    assert good == [winner == right for winner in winners]
    for place, window in enumerate(WINDOWS):
        stack = page.locator(".lesson-probe-stack").nth(place)
        grown = stack.locator("i").evaluate_all(
            "(parts) => parts.map((part) => [part.className, Number(part.style.flexGrow)])"
        )
        shown = {name.removeprefix("lesson-swatch-"): level for name, level in grown}
        believed = np.rint(15 * kept(0, window, 20, 24)).astype(int).tolist()
        assert shown == {name: level for name, level in zip(NAMES, believed) if level}
        if right in shown:
            assert grown[0][0] == f"lesson-swatch-{right}", "the truth stands at the bottom"


def test_the_sentence_draws_the_lesson(widget_page):
    class_ids = np.zeros((4, 12), int)
    beliefs = np.zeros((1, 7, 1, 3, 2))
    beliefs[0, :4, 0, 0], beliefs[0, 4:, 0, 0] = (0, 1), (1, 0)
    beliefs[0, :, 0, 1] = (1, 0)
    beliefs[0, :, 0, 2] = (0, 1)
    make = lambda: ContextProbe([(np.ones((4, 12, 3)), class_ids)], beliefs, WINDOWS, NAMES[:2], revealed=True)  # noqa: E731
    page = widget_page(make)
    expect(sentence(page)).to_contain_text("From 17 px on every network is right.")
    page.locator(".lesson-pixels[tabindex]").focus()
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("every network is right, even through a single pixel")
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("even the largest window is not enough")


def test_keys_and_pointer_stay_on_the_grid_and_forget_the_guess(widget_page):
    page = widget_page(lambda: probe(row=20, column=24))
    guess(page, "cow")
    expect(sentence(page)).to_contain_text("You: cow.")
    place = page.locator(".lesson-pixels[tabindex]")
    place.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".lesson-probe-seen")).to_contain_text("Row 28, column 28:")
    expect(sentence(page)).not_to_contain_text("You:")
    box = place.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 14.5 / 48, box["y"] + box["height"] * 47.5 / 48)
    expect(page.locator(".lesson-probe-seen")).to_contain_text(f"Row 44, column {STEP * round(14 / STEP)}:")


def test_another_pixel_covers_the_scene_again(widget_page):
    page = widget_page(probe)
    guess(page, "sky")
    page.locator(".lesson-probe-strip input").last.check()
    page.get_by_role("button", name="Another pixel").click()
    scene, row, column = probe().pixels[1]
    assert scene == 1
    expect(page.locator(".lesson-probe-seen")).to_contain_text(f"Row {row}, column {column}: 3 × 3 = 9 of 2304 pixels")
    assert page.locator(".lesson-probe-stack > i").count() == 0
    guess(page, "sky")
    expect(sentence(page)).to_contain_text(f"Truth: {truth(1, row, column)}.")


def test_a_second_guess_changes_nothing(widget_page):
    page = widget_page(probe)
    guess(page, "sky")
    expect(sentence(page)).to_contain_text("You: sky.")
    page.locator(".lesson-probe-class").nth(2).click(force=True)
    expect(sentence(page)).to_contain_text("You: sky.")


def test_the_guess_works_by_keyboard(widget_page):
    page = widget_page(probe)
    page.locator(".lesson-probe-class").nth(3).focus()
    page.keyboard.press("Enter")
    expect(sentence(page)).to_contain_text("You: water.")
    page.locator(".lesson-probe-strip input").nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".lesson-probe-asked")).to_contain_text("5 × 5")


def test_the_address_holds_the_setting_and_reset_covers(widget_page):
    page = widget_page(
        probe, hash="#context_probe?scene=1&row=13&column=900&window=9&guess=%22cat%22&revealed=true&turn=0"
    )
    expect(page.locator(".lesson-probe-seen")).to_contain_text("Row 12, column 44: 9 × 9")
    expect(sentence(page)).to_contain_text(f"You: cat. Network at 9 px: {NAMES[kept(1, 9, 12, 44).argmax()]}")
    page.get_by_role("button", name="Link to this setting").click()
    assert "guess=%22cat%22" in page.url and "row=12" in page.url


def test_reset_covers_again(widget_page):
    page = widget_page(probe)
    guess(page, "tree")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".lesson-probe-asked")).to_have_text("Which class is the pixel in the middle?")


def test_two_on_one_page_do_not_disturb_each_other(widget_page):
    page = widget_page(probe, probe)
    page.locator("#context_probe .lesson-probe-class").first.click()
    expect(page.locator("#context_probe .lesson-sentence")).to_contain_text("You: sky.")
    expect(page.locator("#context_probe-2 .lesson-sentence")).not_to_contain_text("You:")


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width):
    page = widget_page(lambda: probe(revealed=True), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_python_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match=r"beliefs have the shape.*keep every 4th pixel"):
        ContextProbe(SCENES, BELIEFS[:, :, ::2], WINDOWS, NAMES)
    scenes, beliefs = [(np.ones((96, 96, 3)), np.zeros((96, 96), int))] * 3, np.zeros((3, 7, 24, 24, 7))
    with pytest.raises(ValueError, match="at most 60000 beliefs: got 84672"):
        ContextProbe(scenes, beliefs, WINDOWS, NAMES)
    with pytest.raises(traitlets.TraitError, match="row is a multiple of 4: got 5"):
        probe(row=5)
    with pytest.raises(traitlets.TraitError, match="window is one of"):
        probe(window=4)


def test_the_still_shows_every_window_and_no_answer():
    axes = probe().still().axes
    assert [ax.get_title() for ax in axes] == [f"{window} px" for window in WINDOWS]
    assert axes[1].get_xlim() == (probe().column - 1.5, probe().column + 1.5)
