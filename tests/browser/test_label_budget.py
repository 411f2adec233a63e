"""The label budget: curves stay hidden until the guess, numbers and pictures are those of the chosen budget."""

import io
import re
from functools import partial

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from traitlets import TraitError

from lessons_lib.figures import LINES
from lessons_lib.widgets.label_budget import LabelBudget

NAMES = ["sky", "grass", "cat"]
LABELS = [8, 16, 32, 128]
RNG = np.random.default_rng(7)
TRUTHS = np.zeros((2, 24, 32), np.uint8)
TRUTHS[0, 12:] = 1
TRUTHS[1, 6:20, 8:20] = 2
TRUTHS[1, 0, 0] = 255
IMAGES = RNG.random((2, 24, 32, 3))
COLORS = np.array([[0x56, 0xB4, 0xE9], [0x00, 0x9E, 0x73], [0xE6, 0x9F, 0x00]])  # sky, grass, cat
WRONG = np.array([[255, 138, 61]])
SCORES = {
    "new": {8: [0.30, 0.34], 16: [0.40, 0.42], 32: [0.52, 0.56], 128: [0.60, 0.66]},
    "frozen": {8: [0.44, 0.46], 16: [0.50, 0.50], 32: [0.55, 0.57], 128: [0.58, 0.60]},
    "pretrained": {8: [0.48, 0.52], 16: [0.56, 0.60], 32: [0.55, 0.67], 128: [0.70, 0.70]},
}


def noisy(share):
    wrong = RNG.random(TRUTHS.shape) < share
    return np.where(wrong, RNG.integers(0, 3, wrong.shape), TRUTHS % 255).astype(np.uint8)


MAPS = {arm: {labels: noisy(1 - np.mean(seeds)) for labels, seeds in rows.items()} for arm, rows in SCORES.items()}
make = partial(LabelBudget, IMAGES, TRUTHS, MAPS, SCORES, NAMES, ("pretrained", "new"), {"colour alone": 0.41})


def sentence(page, figure="#label_budget"):
    return page.locator(f"{figure} .lesson-sentence")


def handle(page):
    return page.get_by_role("slider", name="Labelled scenes")


def seen(page, panel, colors):
    """Which of the colours is in the middle of each px of a panel, read off a screenshot; -1 is none."""
    picture = page.locator(".lesson-class-panels .lesson-pixels").nth(panel)
    shot = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"), int)
    rows, columns = ((np.arange(count) + 0.5) * side / count for count, side in zip((24, 32), shot.shape))
    distance = abs(shot[np.ix_(rows.astype(int), columns.astype(int))][:, :, None] - colors).sum(axis=-1)
    return np.where(distance.min(axis=-1) < 12, distance.argmin(axis=-1), -1)


def expect_table(page, labels):
    expect(page.locator(".lesson-budget-scores caption")).to_have_text(f"With {labels} labelled scenes")
    for (arm, rows), row in zip(SCORES.items(), page.locator(".lesson-budget-scores tbody tr").all(), strict=True):
        seeds = rows[labels]
        expect(row).to_have_text(f"{arm}{sum(seeds) / 2:.2f}{min(seeds):.2f} to {max(seeds):.2f}")


def test_first_it_asks_and_shows_the_smallest_budget_alone(widget_page):
    page = widget_page(make(budget=3))
    expect(sentence(page)).to_contain_text(
        "Predict first: with 8 labelled scenes “pretrained” has a mean IoU of 0.50. How many does “new” need"
    )
    assert page.locator(".lesson-budget-dot:visible").count() == 3
    expect(handle(page)).to_be_hidden()
    expect_table(page, 8)
    for panel, arm in enumerate(MAPS, start=1):
        assert np.array_equal(seen(page, panel, COLORS), MAPS[arm][8][0])
    plot = page.locator(".lesson-budget-plot").bounding_box()
    page.mouse.click(plot["x"] + plot["width"] * 0.9, plot["y"] + 50)  # the budget cannot be dragged yet
    expect_table(page, 8)


@pytest.mark.parametrize(
    ("guess", "words"), [("32", "Right: 32."), ("16", "You said 16; it takes 32."), ("more than 128", "You said more")]
)
def test_a_guess_reveals_the_curves_and_starts_at_the_smallest_budget(widget_page, guess, words):
    page = widget_page(make())
    page.get_by_role("button", name=guess, exact=True).press("Enter")
    expect(sentence(page)).to_contain_text(words)
    expect(sentence(page)).to_contain_text(
        "With 8 labelled scenes “pretrained” is 0.18 above “new”; no seed of the one comes into the range of the other."
    )
    assert page.locator(".lesson-budget-dot:visible").count() == 12
    expect(handle(page)).to_be_focused()
    expect(page.get_by_role("group", name="Your guess")).to_be_hidden()
    expect_table(page, 8)
    handle(page).press("ArrowRight")
    handle(page).press("ArrowRight")
    expect(sentence(page)).to_contain_text(
        "With 32 labelled scenes “pretrained” is 0.07 above “new”; their seeds overlap, so this difference is not sure."
    )
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first")


def test_what_is_never_reached_is_said(widget_page):
    high = SCORES | {"pretrained": SCORES["pretrained"] | {8: [0.8, 0.9]}}
    page = widget_page(LabelBudget(IMAGES, TRUTHS, MAPS, high, NAMES, ("pretrained", "new"), guess=4))
    expect(sentence(page)).to_contain_text("Right: more than 128.")


def test_reached_is_what_the_shown_numbers_say_and_a_fall_is_named(widget_page):
    falls = SCORES | {"new": {8: [0.30, 0.34], 16: [0.496, 0.496], 32: [0.6, 0.6], 128: [0.40, 0.44]}}
    page = widget_page(LabelBudget(IMAGES, TRUTHS, MAPS, falls, NAMES, ("pretrained", "new"), guess=1))
    expect(sentence(page)).to_contain_text("Right: 16. With 128 it is below the dashed line again. With 8")


def overlap(one, other):
    return all(
        one[a] < other[a] + other[s] and other[a] < one[a] + one[s] for a, s in (("x", "width"), ("y", "height"))
    )


@pytest.mark.parametrize("state", [{}, {"guess": 0}, {"guess": 0, "budget": 3}])
@pytest.mark.parametrize("width", [350, 390, 1280])
def test_every_line_is_named_and_the_handle_covers_no_text(widget_page, width, state):
    page = widget_page(make(**state), width=width)
    names = {name.inner_text(): name.bounding_box() for name in page.locator(".lesson-budget-name:visible").all()}
    assert set(names) == {*SCORES, "colour alone"} | (set() if state else {"pretrained, 8 labels"})
    boxes = list(names.values())
    assert not any(overlap(boxes[i], boxes[j]) for i in range(len(boxes)) for j in range(i))
    if state:
        knob = page.locator(".lesson-budget-knob").bounding_box()
        texts = page.locator(".lesson-budget-labels > span, .lesson-budget-x").all()
        assert not any(overlap(knob, text.bounding_box()) for text in texts if text.is_visible())
        dots = [page.locator(".lesson-budget-dot").nth(4 * arm + 3).bounding_box()["y"] for arm in range(3)]
        order = sorted(SCORES, key=lambda arm: names[arm]["y"])
        assert order == [list(SCORES)[arm] for arm in np.argsort(dots)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_are_those_of_the_figures(widget_page, scheme):
    page = widget_page(make(guess=0))
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    strokes = [
        page.locator(f".lesson-budget-plot .lesson-budget-mean[data-arm='{arm}']").evaluate(
            "p => getComputedStyle(p).stroke"
        )
        for arm in range(3)
    ]
    assert strokes == ["rgb({}, {}, {})".format(*bytes.fromhex(line[1:])) for line in LINES[:3]]


def test_the_axis_suits_the_scores(widget_page):
    page = widget_page(make(guess=0))
    tops = page.locator(".lesson-budget-dot").evaluate_all("d => d.map((n) => parseFloat(n.style.top))")
    assert 0 < min(tops) < 20 and 70 < max(tops) < 100  # percent of the height


def test_the_budget_follows_keys(widget_page):
    page = widget_page(make(guess=0))
    for key, labels in (("ArrowRight", 16), ("ArrowUp", 32), ("End", 128), ("ArrowRight", 128), ("ArrowLeft", 32)):
        handle(page).press(key)
        expect(handle(page)).to_have_attribute("aria-valuetext", f"{labels} labelled scenes")
        expect_table(page, labels)
    handle(page).press("Home")
    expect(sentence(page)).to_contain_text(
        "With 8 labelled scenes “pretrained” is 0.18 above “new”; no seed of the one comes into the range of the other."
    )


def test_the_budget_follows_the_mouse_to_the_nearest_one(widget_page):
    page = widget_page(make(guess=0))
    dots = [page.locator(".lesson-budget-dot").nth(at).bounding_box() for at in range(4)]
    places = [box["x"] + box["width"] / 2 for box in dots]
    spacing = np.diff(places) / np.diff(np.log2(LABELS))
    assert np.allclose(spacing, spacing[0], atol=0.5)  # labels lie on a logarithmic scale
    plot = page.locator(".lesson-budget-plot").bounding_box()
    page.mouse.move(places[0], plot["y"] + 40)
    page.mouse.down()
    page.mouse.move(places[2] + 0.4 * (places[3] - places[2]), plot["y"] + 60)
    expect_table(page, 32)
    page.mouse.move(places[2] + 0.6 * (places[3] - places[2]), plot["y"] + 60)
    page.mouse.up()
    expect_table(page, 128)
    page.mouse.move(places[0], plot["y"] + 60)  # released: this moves nothing
    expect_table(page, 128)


def test_the_budget_follows_a_finger(widget_page):
    page = widget_page(make(guess=0), width=390, has_touch=True)
    plot = page.locator(".lesson-budget-plot").bounding_box()
    page.touchscreen.tap(plot["x"] + plot["width"] - 3, plot["y"] + 50)
    expect_table(page, 128)


def test_dots_stand_at_the_mean_of_their_seeds(widget_page):
    page = widget_page(make(guess=0))
    tops = [
        float(style)
        for style in page.locator(".lesson-budget-dot").evaluate_all("d => d.map((n) => n.style.top.slice(0, -1))")
    ]
    means = [np.mean(seeds) for rows in SCORES.values() for seeds in rows.values()]
    ticks = page.locator(".lesson-budget-ticks span").evaluate_all(
        "spans => spans.map((n) => [Number(n.textContent), Number(n.style.top.slice(0, -1))])"
    )
    (low, bottom), (high, top) = ticks[0], ticks[-1]
    assert np.allclose(tops, [bottom + (top - bottom) * (mean - low) / (high - low) for mean in means], atol=1e-6)


@pytest.mark.parametrize(("scene", "budget"), [(0, 3), (1, 1)])
def test_panels_show_the_predictions_or_the_mistakes_at_the_budget(widget_page, scene, budget):
    page = widget_page(make(guess=0, scene=scene, budget=budget))
    notes = []
    for panel, rows in enumerate(MAPS.values(), start=1):
        predicted, valid = rows[LABELS[budget]][scene], TRUTHS[scene] != 255
        assert np.array_equal(seen(page, panel, COLORS), predicted)
        wrong = 100 * np.mean(predicted[valid] != TRUTHS[scene][valid])
        notes.append(f"{wrong:.1f}\u00a0% wrong here" if wrong < 9.95 else f"{wrong:.0f}\u00a0% wrong here")
    assert page.locator(".lesson-class-panels p").all_inner_texts() == notes
    page.get_by_role("radio", name="mistakes").check()
    expect(page.locator("[data-shows=errors]")).to_have_count(3)
    for panel, rows in enumerate(MAPS.values(), start=1):
        wrong = (rows[LABELS[budget]][scene] != TRUTHS[scene]) & (TRUTHS[scene] != 255)
        assert np.array_equal(seen(page, panel, WRONG) == 0, wrong)


def test_a_pixel_is_named(widget_page):
    page = widget_page(make(guess=0, budget=1))
    page.get_by_role("radio", name="2", exact=True).check()
    page.locator(".lesson-pixels").first.focus()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    said = [f"{arm} says {NAMES[rows[16][1, 8, 8]]}" for arm, rows in MAPS.items()]
    expect(sentence(page)).to_have_text(f"Row 8, column 8: the truth is cat. {', '.join(said)}.")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    page = widget_page(make(), make(), hash="#label_budget-2?guess=9&budget=2&scene=1")
    expect(sentence(page, "#label_budget-2")).to_contain_text("You said more than 128; it takes 32.")
    expect(sentence(page)).to_contain_text("Predict first")


@pytest.mark.parametrize("state", [{}, {"guess": 1, "budget": 3}])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width, state):
    page = widget_page(make(**state), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(widget_page, scheme):
    page = widget_page(make(), make(guess=1, budget=2, view="errors"))
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"maps": {"new": MAPS["new"], "pretrained": MAPS["pretrained"]}}, "all arms have the same growing labels"),
        ({"scores": SCORES | {"new": dict(reversed(SCORES["new"].items()))}}, "all arms have the same growing labels"),
        ({"asked": ("pretrained", "old")}, "asked names two arms of ['new', 'frozen', 'pretrained']"),
        ({"asked": ("new", "new")}, "asked names two arms"),
        ({"truths": TRUTHS[:1]}, "one map a scene, (2, 24, 32): got (1, 24, 32)"),
        ({"class_names": NAMES[:2]}, "every class id needs a name"),
    ],
)
def test_a_broken_rule_is_named(changed, rule):
    given = {"truths": TRUTHS, "maps": MAPS, "scores": SCORES, "class_names": NAMES, "asked": ("pretrained", "new")}
    with pytest.raises(ValueError, match=re.escape(rule)):
        LabelBudget(IMAGES, **given | changed)


def test_an_unknown_view_is_refused():
    with pytest.raises(TraitError):
        make(view="scores")


def test_the_still_shows_every_curve():
    (axes,) = make().still().axes
    assert axes.get_legend_handles_labels()[1] == [*SCORES, "colour alone"]
    assert np.allclose(axes.lines[2].get_ydata(), [0.5, 0.58, 0.61, 0.7])
