"""The skip ablation: names stay hidden until the guess, pictures and shares are those of the maps."""

import io
import re
from functools import partial

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from traitlets import TraitError

from lessons_lib.metrics import boundary_band
from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.class_maps import encode_runs
from lessons_lib.widgets.skip_ablation import SkipAblation

NAMES = ["sky", "grass", "cat"]
MOMENTS = [10, 100, 1500]
RNG = np.random.default_rng(5)
TRUTHS = np.zeros((2, 24, 32), np.uint8)
TRUTHS[0, 12:] = 1
TRUTHS[0, 8:18, 6:14] = 2
TRUTHS[1, 6:20, 8:20] = 2
TRUTHS[1, 0, :5] = 255
IMAGES = RNG.random((2, 24, 32, 3))
COLORS = np.array([[0x56, 0xB4, 0xE9], [0x00, 0x9E, 0x73], [0xE6, 0x9F, 0x00]])  # sky, grass, cat
WRONG = np.array([[255, 138, 61]])


def noisy(share):
    wrong = RNG.random((3, *TRUTHS.shape)) < share * np.array([1, 0.5, 0.2])[:, None, None, None]
    return np.where(wrong, RNG.integers(0, 3, wrong.shape), TRUTHS % 255).astype(np.uint8)


FRAMES = {"add": noisy(0.5), "none": noisy(0.9), "concat": noisy(0.3)}
make = partial(SkipAblation, IMAGES, TRUTHS, FRAMES, MOMENTS, NAMES)
told = partial(make, guess="none", view="errors")


def sentence(page, figure="#skip_ablation"):
    return page.locator(f"{figure} .lesson-sentence")


def percent(share):
    value = 100 * share
    return f"{value:.1f}\u00a0%" if 0 < value < 9.95 else f"{value:.0f}\u00a0%"


def share(network, scene, moment, region):
    """Share of wrong pixels, counted pixel by pixel."""
    band = boundary_band(torch.from_numpy(TRUTHS[scene : scene + 1].astype(int)), 2)[0].numpy()
    counted = wrong = 0
    for at in np.ndindex(24, 32):
        if TRUTHS[scene][at] != 255 and region in ("everywhere", "band" if band[at] else "outside"):
            counted += 1
            wrong += FRAMES[network][moment, scene][at] != TRUTHS[scene][at]
    return wrong / counted


def seen(page, panel, colors):
    """Which of the colours is in the middle of each px of a panel, read off a screenshot; -1 is none."""
    picture = page.locator(".lesson-class-panels .lesson-pixels").nth(panel)
    shot = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"), int)
    rows, columns = ((np.arange(count) + 0.5) * side / count for count, side in zip((24, 32), shot.shape))
    distance = abs(shot[np.ix_(rows.astype(int), columns.astype(int))][:, :, None] - colors).sum(axis=-1)
    return np.where(distance.min(axis=-1) < 12, distance.argmin(axis=-1), -1)


def titles(page):
    return page.locator(".lesson-class-panels .lesson-panel > b").all_inner_texts()


def test_first_it_asks_and_hides_names_and_shares(widget_page):
    page = widget_page(make())
    expect(sentence(page)).to_contain_text("Predict first")
    assert titles(page) == ["truth", "A", "B", "C"]
    assert page.locator(".lesson-ablation-shares > div > div").all_inner_texts() == ["?"] * 6
    assert "no skips" not in page.locator(".lesson-card").inner_text()
    expect(page.get_by_role("group", name="Where")).to_be_hidden()
    for panel, network in enumerate(FRAMES, start=1):
        assert np.array_equal(seen(page, panel, COLORS), FRAMES[network][2, 0])
    assert np.array_equal(seen(page, 0, COLORS), TRUTHS[0])


@pytest.mark.parametrize(
    ("letter", "words"),
    [("B", "Right: B has no skip connections."), ("C", "Network C is concat; the one without skip connections is B.")],
)
def test_a_guess_reveals_names_and_shares(widget_page, letter, words):
    page = widget_page(make())
    page.get_by_role("button", name=f"Network {letter} has no skip connections").press("Enter")
    expect(sentence(page)).to_contain_text(words)
    near, far = ({name: percent(share(name, 0, 2, region)) for name in FRAMES} for region in ("band", "outside"))
    expect(sentence(page)).to_contain_text(
        f"After 1,500 steps it is wrong in {near['none']} of the pixels near outlines (add {near['add']}, concat "
        f"{near['concat']}) and in {far['none']} of all others (add {far['add']}, concat {far['concat']})."
    )
    assert titles(page) == ["the scene", "add", "no skips", "concat"]
    shown = page.locator(".lesson-ablation-shares > div > div").all_inner_texts()
    assert shown == [text for name in FRAMES for text in (near[name], far[name])]
    expect(page.get_by_role("radio", name="mistakes")).to_be_focused()
    expect(page.get_by_role("button", name="Network A has no skip connections")).to_be_hidden()
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first")


def worse_at(*places):
    """The widget for networks without noise, but for one wrong pixel of "none" in each place and three of others'."""
    frames = {name: np.repeat(TRUTHS[None] % 255, 3, axis=0) for name in FRAMES}
    near, far = (slice(8, 18), 6), (slice(0, 5), 20)  # the cat's left edge, the sky
    for at in (near, far):
        frames["none"][:, 0, *at][:, :1] = 1
    for network, place in places:
        frames[network][:, 0, *{"near": near, "far": far}[place]][:, :3] = 1
    return partial(SkipAblation, IMAGES, TRUTHS, frames, MOMENTS, NAMES, guess="none", view="errors")


WORSE = (
    " But here others are wrong more often than it: {}. This is one scene and one seed: the table below has the test "
)
WORSE += "scenes of all seeds."


@pytest.mark.parametrize(
    ("places", "region", "words"),
    [
        ([("add", "near")], "everywhere", "add near outlines"),
        ([("add", "near"), ("add", "far")], "everywhere", "add near outlines and away from outlines"),
        ([("add", "near"), ("concat", "far")], "everywhere", "add near outlines, concat away from outlines"),
        ([("add", "near"), ("concat", "near")], "band", "add and concat near outlines"),
        ([("add", "near")], "outside", None),
        ([], "everywhere", None),
    ],
)
def test_a_scene_that_goes_against_the_rule_is_named(widget_page, places, region, words):
    page = widget_page(worse_at(*places)(region=region))
    text = sentence(page).inner_text()
    assert text.endswith(WORSE.format(words)) if words else "one seed" not in text


def test_an_answer_while_the_training_plays_keeps_its_verdict(widget_page):
    page = widget_page(make(moment=0))
    page.get_by_role("button", name="Play the training").click()
    page.get_by_role("button", name="Network C has no skip connections").click()
    expect(sentence(page)).to_contain_text(
        "Network C is concat; the one without skip connections is B. Watch the outlines"
    )
    expect(page.get_by_role("button", name="Play the training")).to_be_visible(timeout=6000)
    expect(sentence(page)).to_contain_text(
        "Network C is concat; the one without skip connections is B. After 1,500 steps"
    )


@pytest.mark.parametrize("width", [320, 390, 700, 860, 1100])
def test_the_scenes_stand_in_one_row_and_nothing_gapes(widget_page, width):
    four = [np.concatenate([given, given], axis=axis) for given, axis in ((IMAGES, 0), (TRUTHS, 0))]
    frames = {name: np.concatenate([maps, maps], axis=1) for name, maps in FRAMES.items()}
    page = widget_page(SkipAblation(*four, frames, MOMENTS, NAMES, guess="none"), width=width)
    page.add_style_tag(
        content="dl[class][class] { margin-bottom: 3rem; } dl[class] dd { margin: 3px 0 10px 2rem; }"
    )  # as the book
    tops = {thumb.bounding_box()["y"] for thumb in page.locator(".lesson-thumb").all()}
    assert len(tops) == 1
    shares, key = (
        page.locator(f".lesson-ablation {part}").last.bounding_box() for part in (".lesson-share", ".lesson-key")
    )
    assert key["y"] - shares["y"] - shares["height"] < 24


@pytest.mark.parametrize(("scene", "moment", "region"), [(0, 2, "everywhere"), (1, 0, "band"), (1, 1, "outside")])
def test_wrong_pixels_have_one_colour_inside_the_region(widget_page, scene, moment, region):
    page = widget_page(told(scene=scene, moment=moment, region=region))
    band = boundary_band(torch.from_numpy(TRUTHS[scene : scene + 1].astype(int)), 2)[0].numpy()
    inside = {"everywhere": band | True, "band": band, "outside": ~band}[region]
    for panel, network in enumerate(FRAMES, start=1):
        wrong = (FRAMES[network][moment, scene] != TRUTHS[scene]) & (TRUTHS[scene] != 255) & inside
        assert np.array_equal(seen(page, panel, WRONG) == 0, wrong)


def test_the_scene_recedes_below_mistakes_in_the_dark_theme_too(widget_page):
    page = widget_page(told())
    page.add_style_tag(content="html body main img:not(.a,.b) { filter: brightness(.8) contrast(1.2); }")  # as the book
    filters = page.locator("[data-shows=errors] > img").evaluate_all(
        "all => all.map((n) => getComputedStyle(n).filter)"
    )
    assert filters == ["grayscale(1) brightness(0.5)"] * 3


def test_the_region_says_what_it_holds(widget_page):
    page = widget_page(told())
    page.get_by_role("radio", name="near outlines").check()
    band = boundary_band(torch.from_numpy(TRUTHS[:1].astype(int)), 2)[0].numpy()
    wrong = FRAMES["none"][2, 0] != TRUTHS[0]
    expect(sentence(page)).to_contain_text(
        f"wrong in {percent(share('none', 0, 2, 'band'))} of the pixels near outlines (add "
        f"{percent(share('add', 0, 2, 'band'))}, concat {percent(share('concat', 0, 2, 'band'))}). These are "
        f"{percent(band.mean())} of the scene and hold {percent((wrong & band).sum() / wrong.sum())} of its mistakes."
    )
    page.get_by_role("radio", name="predictions").check()
    expect(page.locator("[data-shows=classes]")).to_have_count(4)
    assert np.array_equal(seen(page, 2, COLORS)[band], FRAMES["none"][2, 0][band])
    assert (seen(page, 2, COLORS)[~band] == -1).all()


def test_a_pixel_is_named_by_mouse_and_keys(widget_page):
    page = widget_page(make(), told())
    picture = page.locator("#skip_ablation .lesson-pixels").nth(2)
    box = picture.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 7.5 / 32, box["y"] + box["height"] * 8.5 / 24)
    said = [NAMES[FRAMES[network][2, 0, 8, 7]] for network in FRAMES]
    expect(sentence(page)).to_have_text(
        f"Row 8, column 7, near an outline: the truth is cat. A says {said[0]}, B says {said[1]} and C says {said[2]}."
    )
    assert page.locator("#skip_ablation .lesson-cursor:visible").count() == 4
    page.mouse.move(2, 2)
    expect(sentence(page)).to_contain_text("Predict first")
    assert page.locator("#skip_ablation .lesson-cursor:visible").count() == 0
    second = sentence(page, "#skip_ablation-2")
    page.locator("#skip_ablation-2 .lesson-pixels").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    said = [NAMES[FRAMES[network][2, 0, 1, 8]] for network in FRAMES]
    expect(second).to_have_text(
        f"Row 1, column 8: the truth is sky. add says {said[0]}, no skips says {said[1]} and concat says {said[2]}."
    )
    page.keyboard.press("Tab")
    expect(second).to_contain_text("Right: B")


def test_void_is_named_and_never_wrong(widget_page):
    page = widget_page(told(scene=1, row=0, column=0))
    expect(sentence(page)).to_contain_text("the truth is void, so nothing counts here.")
    assert (seen(page, 2, WRONG)[0, :5] == -1).all()


def test_play_runs_to_the_last_moment(widget_page):
    page = widget_page(told(moment=0))
    play = page.get_by_role("button", name="Play the training")
    play.click()
    expect(sentence(page)).to_contain_text("Watch the outlines")
    expect(play).to_have_attribute("aria-pressed", "false", timeout=6000)
    expect(page.get_by_role("slider", name="After step")).to_have_attribute("aria-valuetext", "1,500")
    page.get_by_role("slider", name="After step").press("Home")
    expect(sentence(page)).to_contain_text(f"After 10 steps it is wrong in {percent(share('none', 0, 0, 'band'))}")
    page.get_by_role("radio", name="2", exact=True).check()
    expect(sentence(page)).to_contain_text(f"After 10 steps it is wrong in {percent(share('none', 1, 0, 'band'))}")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    page = widget_page(
        make(), make(), hash='#skip_ablation-2?guess="concat"&region="nowhere"&scene=9&moment=1&view="errors"'
    )
    expect(sentence(page, "#skip_ablation-2")).to_contain_text("Network C is concat")
    expect(sentence(page)).to_contain_text("Predict first")
    page.locator("#skip_ablation-2").get_by_role("button", name="Link to this setting").click()
    assert "scene=1&moment=1&view=%22errors%22&region=%22everywhere%22&guess=%22concat%22" in page.url


@pytest.mark.parametrize("state", [{}, {"guess": "add", "view": "errors", "region": "band"}])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width, state):
    page = widget_page(make(**state), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(widget_page, scheme):
    page = widget_page(make(), told(region="band"))
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert results.violations_count == 0, results.generate_report()


def test_runs_are_read_as_they_were_written(page):
    maps = [RNG.integers(0, 29, (5, 7)), np.zeros((3, 4), int), np.array([[255, 255, 0, 1, 1, 28]])]
    code = bundle("skip_ablation")
    read = page.evaluate(
        f"(texts) => {{ {code}; return texts.map((text) => [...decodeRuns(text)]); }}", [encode_runs(m) for m in maps]
    )
    assert read == [m.ravel().tolist() for m in maps]


@pytest.mark.parametrize(
    ("truths", "frames", "names", "rule"),
    [
        (TRUTHS[:1], FRAMES, NAMES, "one map a scene and moment, (3, 2, 24, 32): got (3, 1, 24, 32) for the truth"),
        (TRUTHS, FRAMES | {"add": FRAMES["add"][:2]}, NAMES, "got (2, 2, 24, 32) for add"),
        (TRUTHS, {"add": FRAMES["add"]}, NAMES, "one network has no skip connections"),
        (TRUTHS, FRAMES, NAMES[:2], "every class id needs a name"),
    ],
)
def test_a_broken_rule_is_named(truths, frames, names, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        SkipAblation(IMAGES, truths, frames, MOMENTS, names)


def test_an_unknown_region_is_refused():
    with pytest.raises(TraitError):
        make(region="nowhere")


def test_the_still_shows_every_network():
    assert [ax.get_title() for ax in make().still().axes] == ["scene", "truth", "add", "none", "concat"]
