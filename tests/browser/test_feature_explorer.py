"""The feature explorer: pictures and shares are those of the network's maps, and the decoder stays covered at first."""

import io
import re
from functools import partial

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from lessons_lib.data.meadow import batch
from lessons_lib.models.unet import UNet
from lessons_lib.notebook import load_weights
from lessons_lib.widgets import feature_explorer
from lessons_lib.widgets.feature_explorer import FeatureExplorer
from lessons_lib.widgets.feature_maps import PARTS, fine_share, level_maps, strongest

torch.manual_seed(2)
MODEL = UNet((4, 8)).eval()  # the bottom has cells of 4 px
IMAGES = torch.rand(2, 3, 8, 8).repeat_interleave(3, 2).repeat_interleave(4, 3)  # (2, 3, 24, 32)
LEVELS = level_maps(MODEL, IMAGES)
make = partial(FeatureExplorer, MODEL, IMAGES, channels=3, level=0)
told = partial(make, revealed=True)


def sentence(page, figure="#feature_explorer"):
    return page.locator(f"{figure} .lesson-sentence")


def percent(part, level, scene):
    return f"{100 * fine_share(LEVELS[level][part][scene], (6, 8)):.0f}\u00a0%"


def panel(page, part):
    return page.locator("#feature_explorer .lesson-panel").nth(1 + PARTS.index(part))


def seen(page, part, level):
    """The shades in the middle of each cell of a level's map, read off a screenshot."""
    page.locator(".lesson-cursor").evaluate_all("(nodes) => nodes.forEach((node) => { node.style.opacity = 0; })")
    page.wait_for_function("[...document.querySelectorAll('.lesson-panel img')].every((image) => image.complete)")
    shot = np.asarray(
        Image.open(io.BytesIO(panel(page, part).locator(".lesson-pixels").screenshot())).convert("L"), int
    )
    shape = LEVELS[level]["skip"].shape[-2:]
    rows, columns = ((np.arange(count) + 0.5) * side / count for count, side in zip(shape, shot.shape))
    return shot[np.ix_(rows.astype(int), columns.astype(int))]


def shades(part, level, scene, channel):
    return strongest(LEVELS[level][part], 3)[scene, channel, ..., 0].astype(int) // 8 * 8


def choose(page, group, name):
    page.get_by_role("group", name=group).get_by_role("radio", name=name, exact=True).check()


def test_first_it_asks_and_the_decoder_is_covered(widget_page):
    page = widget_page(make())
    expect(sentence(page)).to_contain_text("Predict first. Level 1, 24 × 32 cells of 1 × 1 px")
    expect(sentence(page)).to_contain_text(f"{percent('skip', 0, 0)} of the variation of the encoder's maps")
    expect(sentence(page)).to_contain_text(f"{percent('below', 0, 0)} of what comes from below")
    cover = panel(page, "decoded").locator(".lesson-pixels")
    assert cover.evaluate("(node) => getComputedStyle(node, '::after').content") == '"?"'
    values = page.locator(".lesson-features-value").all_inner_texts()
    assert values == [percent("skip", 0, 0), "?", percent("skip", 1, 0), "?", "0\u00a0%", ""]
    assert panel(page, "decoded").get_by_role("radio").count() == 0


def test_the_button_uncovers_the_decoder(widget_page):
    page = widget_page(make())
    page.get_by_role("button", name="Show the decoder's maps").click()
    expect(sentence(page)).to_contain_text(f"In the decoder's maps it is {percent('decoded', 0, 0)}")
    expect(page.get_by_role("radio", name="Level 1")).to_be_focused()
    expect(panel(page, "decoded").get_by_text("fine detail")).to_have_text(f"{percent('decoded', 0, 0)} fine detail")
    assert np.abs(seen(page, "decoded", 0) - shades("decoded", 0, 0, 0)).max() <= 1
    bars = [bar.bounding_box()["width"] for bar in page.locator(".lesson-features-bar").all()]
    order = [("skip", 0), ("decoded", 0), ("skip", 1), ("decoded", 1)]
    shares = [fine_share(LEVELS[level][part][0], (6, 8)) for part, level in order]
    assert np.array(bars[:4]) / bars[0] == pytest.approx(np.array(shares) / shares[0], abs=0.02)
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first")


def test_it_begins_at_the_deepest_level_of_the_decoder(widget_page):
    page = widget_page(FeatureExplorer(MODEL, IMAGES, channels=3))
    expect(sentence(page)).to_contain_text("Predict first. Level 2, 12 × 16 cells of 2 × 2 px")
    expect(page.get_by_role("radio", name="Level 2")).to_be_checked()


LESS = "less than the skip's, because texture such as grass and fur was dropped"
MORE = "more than what came from below, because outlines came back"


@pytest.mark.parametrize(
    ("skip", "below", "decoded", "words"),
    [
        (0.53, 0.12, 0.19, f"{LESS}; {MORE}."),
        (0.53, 0.12, 0.6, f"no less than the skip's; {MORE}."),
        (0.53, 0.12, 0.122, f"{LESS}; no more than what came from below."),
        (0.2, 0.3, 0.25, "no less than the skip's; no more than what came from below."),
    ],
)
def test_revealed_it_says_what_the_share_means_at_this_level(widget_page, skip, below, decoded, words):
    explorer = told()
    shares = {part: [list(scenes) for scenes in levels] for part, levels in explorer.shares.items()}
    for part, share in zip(PARTS, (skip, below, decoded)):
        shares[part][0][0] = share
    explorer.shares = shares
    page = widget_page(explorer)
    expect(sentence(page)).to_contain_text(
        "So much of their variation is fine, inside cells of the bottom's size: " + words
    )
    page.get_by_role("radio", name="The bottom of the U").check()
    expect(sentence(page)).to_contain_text("so it is 0\u00a0% here by definition")


def test_the_recorded_network_drops_texture_and_brings_outlines_back():
    """What the words say holds where they can be checked: in cells of one class the decoder of level 1 has less of what
    is fine than the skip, and in cells with an outline more than what came from below."""
    images, class_ids, *_ = batch("test", 75)
    chosen = [6, 14, 63, 74]
    level = level_maps(load_weights(UNet(), "skips", "concat"), images[chosen])[0]
    cells = class_ids[chosen].unflatten(2, (12, 8)).unflatten(1, (12, 8)).transpose(2, 3).flatten(3)
    alike = (cells == cells[..., :1]).all(-1)

    def fine(part, where):
        maps = level[part].double()
        parts = maps.unflatten(3, (12, 8)).unflatten(2, (12, 8))
        inside = (parts - parts.mean((3, 5), keepdim=True)).square().sum((1, 3, 5))
        return (inside * where).sum((1, 2)) / (maps - maps.mean((2, 3), keepdim=True)).square().sum((1, 2, 3))

    assert (fine("decoded", alike) < 0.15 * fine("skip", alike)).all()
    assert (fine("decoded", ~alike) > 1.5 * fine("below", ~alike)).all()


def test_every_part_shows_the_chosen_map_of_the_chosen_level_and_scene(widget_page):
    page = widget_page(told())
    choose(page, "Level", "Level 2")
    choose(page, "Scene", "2")
    for channel, (group, part) in enumerate(zip(("The encoder", "From below", "The decoder"), PARTS)):
        choose(page, group, f"Map {channel + 1}")
        assert np.abs(seen(page, part, 1) - shades(part, 1, 1, channel)).max() <= 1
        fine = panel(page, part).get_by_text("fine detail")
        expect(fine).to_have_text(f"{percent(part, 1, 1)} fine detail")
    titles = page.locator(".lesson-panel > b").all_inner_texts()
    assert titles == ["scene", "encoder 2: the skip", "from below, resized", "decoder 2: of both"]


def test_the_bottom_has_one_kind_of_map(widget_page):
    page = widget_page(told())
    page.get_by_role("radio", name="Level 1").focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    expect(sentence(page)).to_contain_text("The bottom of the U: 6 × 8 cells of 4 × 4 px.")
    expect(panel(page, "below")).to_be_hidden()
    expect(panel(page, "decoded")).to_be_hidden()
    assert np.abs(seen(page, "skip", 2) - shades("skip", 2, 0, 0)).max() <= 1


def test_the_same_place_is_framed_in_every_picture(widget_page):
    page = widget_page(told(level=1))
    box = panel(page, "below").locator(".lesson-pixels").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 20.5 / 32, box["y"] + box["height"] * 11.5 / 24)
    expect(sentence(page)).to_contain_text("Row 11, column 20: the frame marks the same place in every picture.")
    expect(sentence(page)).to_contain_text("one value for these 2 × 2 px")
    places = page.locator(".lesson-cursor").evaluate_all(
        "(nodes) => nodes.map((n) => [n.hidden, n.style.left, n.style.top])"
    )
    assert len(places) == 4 and all(place == places[0] and not place[0] for place in places)
    page.mouse.move(2, 2)
    expect(sentence(page)).to_contain_text("In the decoder's maps it is")
    assert page.locator(".lesson-cursor:visible").count() == 0
    picture = page.get_by_role("application", name="The scene.")
    picture.focus()
    picture.press("ArrowDown")
    picture.press("Shift+ArrowRight")
    expect(sentence(page)).to_contain_text("Row 12, column 28")
    page.get_by_role("radio", name="The bottom of the U").check()
    picture.press("ArrowUp")
    expect(sentence(page)).to_contain_text("Row 11, column 28")
    frame = page.locator(".lesson-cursor").first.evaluate(
        "(node) => ['top', 'left', 'height', 'width'].map((k) => node.style[k])"
    )
    shares = [float(side.rstrip("%")) for side in frame]
    assert shares == pytest.approx([100 * 8 / 24, 100 * 28 / 32, 100 * 4 / 24, 100 * 4 / 32], abs=0.01)
    picture.blur()
    expect(sentence(page)).to_contain_text("The bottom of the U")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    address = '#feature_explorer-2?scene=1&level=7&revealed=true&skip=2&below="x"'
    page = widget_page(make(), make(), hash=address)
    expect(sentence(page, "#feature_explorer-2")).to_contain_text("The bottom of the U")
    expect(sentence(page)).to_contain_text("Predict first")
    page.locator("#feature_explorer-2").get_by_role("button", name="Link to this setting").click()
    for part in ("scene=1", "level=2", "skip=2", "below=0"):
        assert part in page.url


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width):
    page = widget_page(told(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(widget_page, scheme):
    page = widget_page(make(), told(row=3, column=4))
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(
    ("images", "channels", "rule"),
    [
        (IMAGES[..., :30], 3, "multiples of 4 px, the bottom's cell: got (2, 3, 24, 30)"),
        (IMAGES[0], 3, "images must be (N, 3, H, W)"),
        (IMAGES, 5, "channels must be 1 to 4: got 5"),
        (IMAGES, 0, "got 0"),
    ],
)
def test_a_broken_rule_is_named(images, channels, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        FeatureExplorer(MODEL, images, channels)


def test_pictures_that_are_too_heavy_for_a_page_are_refused(monkeypatch):
    monkeypatch.setattr(feature_explorer, "MOST_BYTES", 500)
    with pytest.raises(ValueError, match="pictures must weigh at most 500 bytes: got"):
        make()


def test_the_recorded_network_with_four_scenes_weighs_less_than_150_kb(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path))
    scenes = batch("test", 75)[0][[6, 14, 63, 74]]
    FeatureExplorer(load_weights(UNet(), "skips", "concat"), scenes).static_html()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.webp")) < 150_000


def test_the_still_shows_what_the_first_frame_shows():
    assert [ax.get_title() for ax in make().still().axes] == ["scene", "the encoder's map", "what comes from below"]
    assert len(make(level=2).still().axes) == 2
