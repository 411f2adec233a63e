"""The heat map: it tells each cell's classes as NumPy knows them, by mouse, by keys and by address."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.dense_maps import encode_cells, softmax
from lessons_lib.widgets.heat_map import HeatMap

NAMES = ["tabby", "lynx", "cup", "espresso", "sofa"]
GROUPS = {"any cat": [0, 1], "a cup": [2, 3]}
RNG = np.random.default_rng(5)
LOGITS = {stride: RNG.normal(0, 2, (5, 64 // stride + 1, 96 // stride + 1)) for stride in (32, 16, 8)}
PROBABILITIES = {stride: softmax(logits) for stride, logits in LOGITS.items()}
IMAGE = RNG.random((65, 97, 3))


def make(**state):
    return HeatMap(IMAGE, LOGITS, NAMES, GROUPS, **state)


def percent(probability):
    return min(99, round(100 * float(probability)))


def sentence(page):
    return page.locator(".lesson-sentence").first


def expected(stride, row, column, group=0):
    """The sentence's beginning for a cell."""
    cell = PROBABILITIES[stride][:, row, column]
    best, (name, ids) = int(cell.argmax()), list(GROUPS.items())[group]
    return (
        f"Round row {row * stride}, column {column * stride} the classifier says “{NAMES[best]}”, "
        f"{percent(cell[best])} %; {name} together: {percent(cell[ids].sum())} %."
    )


def test_the_text_of_a_map_is_read_back(page):
    described, words = encode_cells(PROBABILITIES, NAMES, GROUPS)
    code = f"""([maps, words]) => {{ {bundle("heat_map")}
      return maps.map((map) => readMap(map, [65, 97], words)).map(({{ rows, columns, percent, tops }}) =>
        Array.from({{ length: rows * columns }}, (_, cell) => [percent(0, cell), percent(1, cell), tops(cell)]));
    }}"""
    for (stride, values), cells in zip(PROBABILITIES.items(), page.evaluate(code, [described, words]), strict=True):
        for cell, received in zip(values.reshape(5, -1).T, cells, strict=True):
            tops = [[NAMES[index], percent(cell[index])] for index in np.argsort(-cell)[:3]]
            assert received == [percent(cell[:2].sum()), percent(cell[2:4].sum()), tops], stride


def test_the_first_frame_points_at_the_surest_cell(widget_page):
    page = widget_page(make())
    row, column = np.unravel_index(PROBABILITIES[32][:2].sum(axis=0).argmax(), (3, 4))
    expect(sentence(page)).to_contain_text(expected(32, row, column))
    whole = softmax(LOGITS[32].mean(axis=(1, 2)))
    expect(sentence(page)).to_contain_text(f"one answer, “{NAMES[whole.argmax()]}”; asked at stride 32 it has 12.")
    assert "Recorded while this page was built. Every cell can see 851 px" in page.inner_text("body")


def test_pointing_tells_the_cell_round_the_pointer(widget_page):
    page = widget_page(make())
    box = page.get_by_role("application").bounding_box()
    for stride in (32, 16, 8):
        page.get_by_role("radio", name=str(stride), exact=True).check()
        row, column = 32 // stride, 64 // stride
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        expect(sentence(page)).to_contain_text(expected(stride, 0, 0))
        page.mouse.move(box["x"] + box["width"] * 64.5 / 97, box["y"] + box["height"] * 32.5 / 65)
        expect(sentence(page)).to_contain_text(expected(stride, row, column))
        tops = page.locator(".lesson-heat-answers").first.locator("li").all_inner_texts()
        cell = PROBABILITIES[stride][:, row, column]
        assert [text.split("\n")[0] for text in tops] == [NAMES[index] for index in np.argsort(-cell)[:3]]


def test_keys_go_from_cell_to_cell(widget_page):
    page = widget_page(make(row=0, column=0, stride=16))
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text(expected(16, 1, 2))
    for _ in range(9):
        page.keyboard.press("ArrowDown")
    expect(sentence(page)).to_contain_text(expected(16, 4, 2))
    page.get_by_role("radio", name="a cup").check()
    expect(sentence(page)).to_contain_text(expected(16, 4, 2, group=1))
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text(expected(16, 0, 0))


def test_one_group_leaves_no_choice(widget_page):
    page = widget_page(HeatMap(IMAGE, LOGITS, NAMES, {"any cat": [0, 1]}))
    assert page.get_by_role("group", name="Bright where it sees").count() == 0
    expect(page.locator(".lesson-heat")).to_have_text("any cat: 0 %100 %")
    assert widget_page(make()).get_by_role("group", name="Bright where it sees").count() == 1


def test_the_veil_is_thin_where_the_group_is_probable(widget_page):
    page = widget_page(make(stride=8, group=1))
    code = """(canvas) => ({ alpha: [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
      .filter((_, index) => index % 4 === 3), box: canvas.getBoundingClientRect().toJSON(),
      picture: canvas.parentElement.getBoundingClientRect().toJSON() })"""
    found = page.locator(".lesson-pixels canvas").evaluate(code)
    shares = np.array([percent(share) for share in PROBABILITIES[8][2:4].sum(axis=0).ravel()])
    assert np.allclose(found["alpha"], 225 * (1 - shares / 99), atol=1)
    px = found["picture"]["width"] / 97
    assert found["box"]["width"] == pytest.approx(13 * 8 * px, abs=0.1)
    assert found["box"]["x"] - found["picture"]["x"] == pytest.approx(-3.5 * px, abs=0.1)


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    page = widget_page(make(), make(), hash="#heat_map-2?stride=8&row=40&column=999&group=7")
    second = page.locator("#heat_map-2")
    expect(second.locator(".lesson-sentence")).to_contain_text(expected(8, 5, 12, group=1))
    expect(sentence(page)).to_contain_text("asked at stride 32")
    second.get_by_role("button", name="Link to this setting").click()
    assert page.url.endswith("group=1&stride=8&row=40&column=96")


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width):
    page = widget_page(make(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("image", "logits", "rule"),
    [
        (IMAGE[:64], LOGITS, "32 m + 1 px: got 64 x 97"),
        (IMAGE, {16: LOGITS[16]}, "needs stride 32: got strides [16]"),
        (IMAGE, {32: LOGITS[32][:, :2]}, "a map of stride 32 is (5, 3, 4) here: got (5, 2, 4)"),
        (IMAGE, {32: LOGITS[32][:4]}, "got (4, 3, 4)"),
    ],
)
def test_a_broken_rule_is_named(image, logits, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        HeatMap(image, logits, NAMES, GROUPS)


def test_the_still_has_a_panel_for_each_stride():
    titles = [ax.get_title() for ax in make(group=1).still().axes]
    assert titles == ["a cup, stride 32", "a cup, stride 16", "a cup, stride 8"]
