"""Max pooling and unpooling in the browser, against torch and lessons_lib.upsampling, and under a reader's hands."""

import json
from urllib.parse import quote

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from traitlets import TraitError

from lessons_lib import upsampling
from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.max_unpooling import PRESETS, MaxUnpooling


def call(page, function, cases):
    code = f"(cases) => {{ {bundle('max_unpooling')}\n return cases.map((each) => ({function})(...each)); }}"
    return page.evaluate(code, cases)


def test_pooling_and_unpooling_equal_torch(page):
    rng, cases = np.random.default_rng(0), []
    for _ in range(1500):
        rows, columns = (int(side) for side in rng.integers(2, 10, 2))
        most = int(rng.choice([1, 2, 9]))  # few different numbers: many ties
        new = rng.integers(0, 10, (rows // 2) * (columns // 2)).tolist()
        cases.append([rng.integers(0, most + 1, rows * columns).tolist(), columns, new])
    pair = "(cells, columns, values) => { const { pooled, positions } = maxPool(cells, columns);"
    received = call(page, pair + " return [pooled, positions, maxUnpool(values, positions, cells.length)]; }", cases)
    for (cells, columns, values), result in zip(cases, received):
        maps = torch.tensor(cells).double().reshape(1, 1, -1, columns)
        pooled, positions = F.max_pool2d(maps, 2, return_indices=True)
        back = F.max_unpool2d(torch.tensor(values).double().reshape(pooled.shape), positions, 2, output_size=maps.shape)
        assert result == [part.flatten().tolist() for part in (pooled, positions, back)], (cells, columns)
        ours = upsampling.max_pool_with_positions(maps)
        assert [part.flatten().tolist() for part in ours] == result[:2], (cells, columns)


def sentence(page, widget="max_unpooling"):
    return page.locator(f"#{widget} .lesson-sentence")


def panel(page, name):
    return page.locator(f'#max_unpooling [data-panel="{name}"]')


def values(page, name):
    """The numbers of a panel's grid."""
    return [int(text) for text in panel(page, name).locator(".lesson-cell > b").all_inner_texts()]


def cell(page, name, index):
    return panel(page, name).locator(".lesson-cell").nth(index)


def test_the_first_frame_is_the_worked_example(widget_page):
    page = widget_page(MaxUnpooling())
    assert values(page, "pooled") == [5, 6, 7, 8]
    assert values(page, "positions") == [5, 2, 12, 15]
    assert values(page, "output") == [0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 4]
    expect(sentence(page)).to_contain_text("The maximum 6 of the framed block stands at position 2 (row 0, column 2).")
    assert not panel(page, "other").is_visible()


def test_a_click_moves_the_maximum_and_its_position(widget_page):
    page = widget_page(MaxUnpooling())
    cell(page, "map", 1).click()
    expect(sentence(page)).to_contain_text("The maximum 5 of the framed block stands at position 1")
    assert values(page, "map")[:6] == [1, 5, 6, 3, 3, 2]
    assert values(page, "positions")[0] == 1
    assert values(page, "output")[:6] == [0, 1, 2, 0, 0, 0]
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("position 2")
    assert values(page, "map") == PRESETS["by hand"]["cells"]


def test_keys_move_the_maximum_and_write_numbers(widget_page):
    page = widget_page(MaxUnpooling())
    panel(page, "map").get_by_role("application").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(sentence(page)).to_contain_text("The maximum 5 of the framed block stands at position 4")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("9")
    expect(sentence(page)).to_contain_text("The maximum 9 of the framed block stands at position 0")
    assert values(page, "output")[0] == 1
    panel(page, "middle").get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("8")
    expect(sentence(page)).to_contain_text("The network makes 8 of it.")
    assert values(page, "output")[2] == 8


def test_a_click_may_raise_the_number(widget_page):
    page = widget_page(MaxUnpooling())
    page.get_by_label("raises the number").check()
    cell(page, "map", 0).click()
    expect(cell(page, "map", 0)).to_have_text("2")
    for _ in range(8):
        cell(page, "map", 0).click()
    expect(cell(page, "map", 0)).to_have_text("9")  # and no further
    cell(page, "middle", 3).click()
    expect(cell(page, "output", 15)).to_have_text("5")
    page.get_by_label("changes nothing").check()
    expect(cell(page, "output", 15)).to_have_text("8")


def test_positions_of_another_layer_go_wrong(widget_page):
    page = widget_page(MaxUnpooling())
    page.get_by_label("another pooling layer").check()
    expect(sentence(page)).to_contain_text(
        "so 2 lands 1 px down of where it came from. 4 of 4 values come back at a wrong pixel"
    )
    maps, other = (torch.tensor(PRESETS["by hand"][key]).double().reshape(1, 1, 4, 4) for key in ("cells", "other"))
    positions = F.max_pool2d(other, 2, return_indices=True)[1]
    back = F.max_unpool2d(torch.tensor([[[[1.0, 2], [3, 4]]]]).double(), positions, 2, output_size=maps.shape)
    assert values(page, "output") == back.flatten().tolist()
    assert values(page, "positions") == positions.flatten().tolist()


def test_among_equals_the_first_counts(widget_page):
    page = widget_page(MaxUnpooling("ties", at=0))
    expect(sentence(page)).to_contain_text(
        "The maximum 5 of the framed block stands at position 0 (row 0, column 0), the first of 4"
    )
    cell(page, "map", 5).click()
    expect(sentence(page)).to_contain_text("stands at position 1 (row 0, column 1), the first of 3")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    cells = quote(json.dumps([9] + [0] * 15))
    address = f"#max_unpooling-2?cells={cells}&source=%22other%22&changes=false&middle=%5B1%5D"
    page = widget_page(MaxUnpooling(), MaxUnpooling(), hash=address)
    expect(sentence(page)).to_contain_text("stands at position 2")
    second = page.locator("#max_unpooling-2")
    assert second.get_by_label("another pooling layer").is_checked()
    assert second.locator('[data-panel="pooled"] .lesson-cell').first.inner_text() == "9"
    page.evaluate(f"location.hash = '#max_unpooling?cells={quote(json.dumps([1] * 15))}'")  # no square map
    assert values(page, "map") == PRESETS["by hand"]["cells"]


@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(widget_page, width, theme):
    page = widget_page(MaxUnpooling("a ring", source="other"), width=width)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert cell(page, "map", 0).bounding_box()["width"] >= 28
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("state", [{"cells": [1] * 16}, {"cells": [10] * 36}, {"source": "mine"}, {"middle": [1, 2]}])
def test_wrong_settings_are_refused(state):
    with pytest.raises(TraitError):
        MaxUnpooling("a ring", **state)
