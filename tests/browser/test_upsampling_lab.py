"""The upsampling laboratory: its arithmetic against torch, setting by setting; the widget under a reader's hands."""

import random
import re

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from torch.nn import functional
from traitlets import TraitError

from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.upsampling_lab import UpsamplingLab
from lessons_lib.widgets.upsampling_presets import PRESETS, RANGES

MODES = ("nearest", "nails", "unpool", "bilinear", "strided", "transposed")


def random_setting(draw, mode):
    """A setting as the laboratory allows it, whether torch accepts it or not; numbers are quarters."""
    rows, columns, high, wide = draw.randint(1, 4), draw.randint(1, 4), draw.randint(1, 5), draw.randint(1, 5)
    setting = {key: [draw.randint(*bounds), draw.randint(*bounds)] for key, bounds in RANGES.items()}
    setting["outputPadding"] = setting.pop("output_padding")
    block = setting["stride"][0] * setting["stride"][1]
    return setting | {
        "mode": mode,
        "input": [[draw.randint(-20, 20) / 4 for _ in range(columns)] for _ in range(rows)],
        "kernel": [[draw.randint(-20, 20) / 4 for _ in range(wide)] for _ in range(high)],
        "positions": [[draw.randrange(block) for _ in range(columns)] for _ in range(rows)],
    }


def by_torch(mode, input, kernel, positions, stride, padding, dilation, outputPadding):
    """The output that torch computes with its own operators, as a list of rows; None where it refuses."""
    maps, weight = (torch.tensor(numbers, dtype=torch.float64)[None, None] for numbers in (input, kernel))
    rows, columns = maps.shape[2:]
    down, right = stride
    if mode in ("nearest", "bilinear"):
        return functional.interpolate(maps, (rows * down, columns * right), mode=mode)[0, 0].tolist()
    if mode in ("nails", "unpool"):
        place = torch.tensor(positions) if mode == "unpool" else torch.zeros(rows, columns, dtype=torch.int64)
        above = torch.arange(rows)[:, None] * down + place // right
        index = above * columns * right + torch.arange(columns) * right + place % right
        return functional.max_unpool2d(maps, index[None, None], (down, right))[0, 0].tolist()
    try:
        if mode == "strided":
            return functional.conv2d(maps, weight, None, stride, padding, dilation)[0, 0].tolist()
        return functional.conv_transpose2d(maps, weight, None, stride, padding, outputPadding, 1, dilation)[
            0, 0
        ].tolist()
    except RuntimeError:
        return None


def call(page, function, cases):
    """Call a function of the widget's bundle in the browser, once a case."""
    return page.evaluate(f"(cases) => {{ {bundle('upsampling_lab')}\n return cases.map({function}); }}", cases)


def test_every_mode_equals_torch_and_breaks_where_torch_refuses(page):
    draw = random.Random(0)
    cases = [random_setting(draw, mode) for mode in MODES for _ in range(300 if mode in MODES[:4] else 1000)]
    results = call(page, "(setting) => upsample(setting).broken || outputOf(setting)", cases)
    broken = 0
    for case, received in zip(cases, results):
        expected = by_torch(**case)
        if expected is None:
            assert isinstance(received, str) and received.endswith("."), case
            broken += 1
        else:
            assert not isinstance(received, str), (case, received)
            assert torch.tensor(received).shape == torch.tensor(expected).shape, case
            torch.testing.assert_close(
                torch.tensor(received).double(), torch.tensor(expected).double(), atol=1e-6, rtol=0
            )
    assert 400 < broken < len(cases) - 1000, "enough settings of both kinds"


def test_the_products_of_a_cell_add_up_to_it_and_each_is_there_once(page):
    draw = random.Random(1)
    cases = [random_setting(draw, mode) for mode in MODES for _ in range(150)]
    results = call(
        page,
        """(setting) => ({ ...upsample(setting),
          formula: [0, 1].map((axis) => sizeFormula(setting, axis).size) })""",
        cases,
    )
    for case, result in zip(cases, results):
        expected = by_torch(**case)
        if expected is None:
            continue
        assert result["formula"] == result["sizes"] == [len(expected), len(expected[0])]
        top, left = result["offset"]
        for row, line in enumerate(expected):
            for column, value in enumerate(line):
                terms = result["terms"][(row + top) * result["canvas"][1] + column + left]
                total = sum(case["input"][t["from"][0]][t["from"][1]] * t["weight"] for t in terms)
                assert total == pytest.approx(value, abs=1e-6), case
                assert len({tuple(t["from"]) for t in terms}) == len(terms)
                assert all(0 <= t["step"] < result["steps"] for t in terms)
        if case["mode"] == "transposed":  # the rim holds what padding cuts off: nothing gets lost
            assert sum(map(len, result["terms"])) == len(case["input"]) * len(case["input"][0]) * len(
                case["kernel"]
            ) * len(case["kernel"][0])


# ---------------------------------------------------------------- under a reader's hands


def sentence(page, widget=""):
    return page.locator(f"{widget} .lesson-sentence")


def output(page, widget=""):
    """The cells of the output, without the rim and without the single stamps of the 1D view."""
    return page.locator(f"{widget} .is-output .lesson-cell:not(.is-rim, .is-stamp) b")


def expect_output(page, numbers, widget=""):
    """Wait until the output holds the numbers, written in one string, row after row; "_" is an empty cell."""
    expect(output(page, widget)).to_have_text([number.replace("_", "") for number in numbers.split(";")])


def cell(page, row, column, columns, grid="output"):
    return page.locator(f".is-{grid} .lesson-cell").nth(row * columns + column)


def test_it_begins_half_way_and_asks(widget_page):
    page = widget_page(UpsamplingLab())
    expect(sentence(page)).to_have_text(
        "Predict first. Next comes the 2: what will the dashed cells hold? Then press Step."
    )
    expect_output(page, "0;4;1;0 + ?;2 + ?;3;?;?;_")
    assert page.locator(".is-output .lesson-grid-frame.is-ahead").is_visible()


def test_the_worked_example_step_by_step(widget_page):
    page = widget_page(UpsamplingLab())
    step = page.get_by_role("button", name="Step")
    step.click()
    expect(sentence(page)).to_have_text(
        "Step 3 of 4: 2 × the kernel is added, rows 1 to 2, columns 0 to 1. "
        "It meets earlier stamps in 2 cells: there the numbers add."
    )
    expect_output(page, "0;4;1;8;4;3;4;6;_")
    assert cell(page, 1, 1, 3).locator("small").inner_text() == "2 + 2"
    step.press("Enter")
    expect(sentence(page)).to_contain_text("The output is complete.")
    expect_output(page, "0;4;1;8;16;6;4;12;9")
    expect(page.get_by_role("button", name="Again")).to_be_focused()
    assert cell(page, 1, 1, 3).locator("small").inner_text() == "4 + 12"
    page.get_by_role("button", name="Back").click()
    expect_output(page, "0;4;1;8;4;3;4;6;_")
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first.")


def test_play_runs_to_the_end_at_once_with_reduced_motion(widget_page):
    page = widget_page(UpsamplingLab("uneven"), reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    expect(sentence(page)).to_contain_text("Step 9 of 9")
    assert set(output(page).all_inner_texts()) == {"1", "2", "4"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_example_ends_with_torchs_output(widget_page, name):
    page = widget_page(UpsamplingLab())
    page.get_by_label("Example").select_option(name)
    expect(output(page).filter(has_text=re.compile(r"\d"))).to_have_count(
        0
    )  # a chosen example begins with nothing stamped
    expect(sentence(page)).to_contain_text("Predict first.")
    page.get_by_role("button", name="Step").click()
    expect(sentence(page)).to_contain_text("Step 1 of ")
    page.evaluate(f"location.hash = '#upsampling_lab?done=99&preset=\"{name}\"'")
    expect(sentence(page)).to_contain_text("The output is ")
    state = PRESETS[name]["state"]
    setting = {key: state[key] for key in ("input", "kernel", "positions", "stride", "padding", "dilation")}
    expected = by_torch(PRESETS[name]["mode"], **setting, outputPadding=state["output_padding"])
    assert [float(text) for text in output(page).all_inner_texts()] == pytest.approx(
        [value for line in expected for value in line], abs=0.006
    )


def test_an_output_cell_tells_its_products_and_draws_them(widget_page):
    page = widget_page(UpsamplingLab(done=99, revealed=True))
    cell(page, 1, 1, 3).hover()
    expect(sentence(page)).to_have_text("Output row 1, column 1 is 0 × 3 + 1 × 2 + 2 × 1 + 3 × 4 = 16.")
    assert page.locator(".lesson-lab-stage path").count() == 4
    assert page.locator(".is-kernel .is-used").count() == page.locator(".is-input .is-used").count() == 4
    page.mouse.move(5, 5)
    expect(sentence(page)).to_contain_text("from 1 to 4 products in a cell")
    assert page.locator(".lesson-lab-stage path").count() == 0


def test_the_output_by_keyboard(widget_page):
    page = widget_page(UpsamplingLab("double", done=99, revealed=True))
    page.get_by_label("Kernel, row 2, column 2").focus()
    page.keyboard.press("Tab")
    expect(sentence(page)).to_contain_text("lies in the rim that padding cuts off")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(sentence(page)).to_have_text("Output row 1, column 1 is 1 × 1 + 2 × 1 + 3 × 1 + 4 × 1 = 10.")


def test_an_input_cell_tells_where_it_went(widget_page):
    page = widget_page(UpsamplingLab("double", done=99, revealed=True))
    cell(page, 0, 0, 2, "input").hover()
    expect(sentence(page)).to_have_text(
        "Input row 0, column 0 is 1. It reaches 9 cells, 5 of them in the rim that is cut off."
    )
    assert page.locator(".is-output .is-touched").count() == 9


def test_numbers_are_typed_and_arrows_move(widget_page):
    page = widget_page(UpsamplingLab(done=99, revealed=True))
    page.get_by_label("Input, row 0, column 0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("-1,5")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Input, row 1, column 1")).to_have_value("−1.5")
    expect(output(page).last).to_have_text("−4.5")
    page.keyboard.press("ArrowUp")
    page.keyboard.type("999")
    expect(output(page).nth(2)).to_have_text("99")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Input, row 0, column 1")).to_have_value("99")
    expect(page.get_by_label("Input, row 1, column 0")).to_be_focused()
    page.keyboard.type("-")  # no number yet: nothing changes
    expect(output(page).nth(6)).to_have_text("4")


@pytest.mark.parametrize(
    ("preset", "slider", "key", "words"),
    [
        (
            "double",
            "Output padding",
            "End",
            "output_padding must be smaller than stride or dilation: got 3 for stride 2",
        ),
        ("double", "Padding", "End", "Padding must leave at least 1 px of the output"),
        (
            "strided",
            "Dilation",
            "End",
            "The kernel must fit in the padded input: it spans 7 px, the padded input has 6",
        ),
    ],
)
def test_an_impossible_setting_is_reached_and_named(widget_page, preset, slider, key, words):
    page = widget_page(UpsamplingLab(preset))
    page.get_by_text("More").click()
    control = page.get_by_role("slider", name=slider, exact=False).first
    if slider != "Dilation":
        control = page.locator(f"[data-term={slider.lower().replace(' ', '_')}] input").first
    control.press(key)
    expect(sentence(page)).to_contain_text(words)  # at once, while the slider has the focus
    page.locator(".lesson-lab-term[data-term=stride]").first.dispatch_event("pointerenter")
    expect(page.locator(".lesson-lab")).to_have_attribute("data-look", "stride")
    expect(sentence(page)).to_contain_text(words)
    faults = {"Output padding": ["output_padding"], "Padding": ["padding"], "Dilation": ["dilation", "kernel"]}[slider]
    named = page.locator(".lesson-lab-formula p").first.locator("[data-term].is-broken")
    assert named.evaluate_all("terms => terms.map((term) => term.dataset.term)") == faults
    assert page.get_by_role("button", name="Step").is_disabled()
    page.get_by_role("button", name="Reset").press("Enter")
    expect(sentence(page)).to_contain_text("Predict first.")


def test_a_slider_lights_its_term_and_the_term_its_slider(widget_page):
    page = widget_page(UpsamplingLab("double", done=99, revealed=True))
    lab = page.locator("#upsampling_lab .lesson-lab")
    page.get_by_role("slider", name="Stride").hover()
    expect(lab).to_have_attribute("data-look", "stride")
    expect(sentence(page)).to_contain_text("moves its stamp on by 2 px")
    page.locator(".lesson-lab-term[data-term=output_padding]").first.hover()
    expect(lab).to_have_attribute("data-look", "output_padding")
    expect(sentence(page)).to_contain_text("1 px longer at its end only")
    assert page.locator(".is-output .is-extra").count() == 7
    page.locator(".lesson-lab-term[data-term=stride]").first.hover()
    assert page.locator(".is-output .is-origin").count() == 4


def test_rows_and_columns_go_apart(widget_page):
    page = widget_page(UpsamplingLab("double"))
    page.get_by_text("More").click()
    page.get_by_label("Rows and columns apart").check()
    page.get_by_role("slider", name="Stride, rows").press("ArrowRight")
    page.get_by_role("button", name="Reset").hover()
    sizes = page.locator(".is-size b")
    expect(sizes.first).to_have_text("5")
    expect(sizes.last).to_have_text("4")
    page.get_by_label("Rows and columns apart").uncheck()
    expect(sizes.first).to_have_text("4")
    page.get_by_role("slider", name="Kernel size").press("End")
    expect(sizes.first).to_have_text("6")
    assert page.locator(".is-kernel input").count() == 25


def test_remembered_positions_move_by_mouse_and_keys(widget_page):
    page = widget_page(UpsamplingLab("unpool", done=99, revealed=True))
    cell(page, 0, 0, 4, "positions").click()
    expect_output(page, "1;0;2;0;0;0;0;0;0;0;0;0;3;0;0;4")
    page.get_by_label("Remembered positions").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_output(page, "0;1;2;0;0;0;0;0;0;0;0;0;3;0;0;4")


@pytest.mark.parametrize(("typed", "kept"), [("abc", "2"), ("-", "2"), ("100", "99"), ("-1e9", "−99")])
@pytest.mark.parametrize("key", ["Tab", "Enter"])
def test_what_is_no_number_is_said(widget_page, typed, kept, key):
    page = widget_page(UpsamplingLab("line", done=99, revealed=True))
    field, limits = page.get_by_label("Input, row 0, column 0"), "Numbers from −99 to 99, please."
    field.fill(typed)
    if typed != "-":  # that may still become a number
        expect(sentence(page)).to_have_text(limits)
    field.press(key)
    expect(field).to_have_value(kept)
    expect(sentence(page)).to_have_text(limits)
    page.get_by_label("Input, row 0, column 1").fill("4")
    expect(sentence(page)).not_to_have_text(limits)
    weight = page.get_by_label("Kernel, row 0, column 2")
    weight.fill("four")
    expect(sentence(page)).to_have_text(limits)
    weight.fill("4")
    expect(sentence(page)).not_to_have_text(limits)


def test_a_sum_that_awaits_more_fits_its_cell(widget_page):
    page = widget_page(UpsamplingLab("bilinear"))
    expect(page.locator(".is-output .is-asked b").first).to_have_text("?")
    asked = page.locator(".is-output .is-asked:has(small:not(:empty))")
    assert asked.locator("small").first.inner_text() == "+ 0.75"
    inside = "cells => cells.every((cell) => [...cell.children].every((part) => part.offsetWidth <= cell.offsetWidth))"
    assert asked.count() > 1 and asked.evaluate_all(inside)


def test_digits_hide_where_cells_are_too_small(widget_page):
    large = {"input": [[1] * 4] * 4, "stride": [4, 4], "done": 99, "revealed": True}
    page = widget_page(UpsamplingLab("uneven", **large, kernel=[[1] * 5] * 5, dilation=[3, 3]), width=1100)
    size = "node => parseFloat(getComputedStyle(node).fontSize)"
    assert cell(page, 0, 0, 25).evaluate("node => node.offsetWidth") < 15
    assert cell(page, 0, 0, 25).locator("b").evaluate(size) == 0
    assert page.get_by_label("Kernel, row 0, column 0").evaluate(size) > 12


def test_large_grids_of_remembered_positions_stay_in_the_card(widget_page):
    large = {"input": [[1] * 4] * 4, "positions": [[1] * 4] * 4, "stride": [4, 4]}
    page = widget_page(UpsamplingLab("unpool", **large), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    dot = page.locator(".is-positions .lesson-cell b").nth(1)
    assert dot.inner_text() == "●" and dot.bounding_box()["width"] > 4


@pytest.mark.parametrize(("width", "lines"), [(1100, 2), (390, 1)])
def test_alike_axes_share_a_formula_on_a_phone(widget_page, width, lines):
    page = widget_page(UpsamplingLab("double"), width=width)
    assert page.locator(".lesson-lab-formula p:visible").count() == lines
    name = page.locator(".lesson-lab-formula p").last.locator(".is-size small")
    before = name.evaluate("node => getComputedStyle(node, '::before').content")
    assert (before == '"rows and "') == (lines == 1)
    page.get_by_text("More").click()
    page.get_by_label("Rows and columns apart").check()
    page.get_by_role("slider", name="Stride, rows").press("ArrowRight")
    expect(page.locator(".lesson-lab-formula p:visible")).to_have_count(2)


def test_words_agree_with_their_numbers(widget_page):
    page = widget_page(UpsamplingLab("line", done=1, revealed=True))
    expect(sentence(page)).to_have_text(
        "Step 1 of 2: 2 × the kernel is added, row 0, columns 0 to 2. It meets no earlier stamp."
    )
    page.get_by_role("button", name="Step").click()
    expect_output(page, "2;10;11;15;12")
    page.locator(".lesson-lab-term[data-term=input]").hover()
    expect(sentence(page)).to_contain_text("there is 1 step, one fewer")
    page.get_by_label("Example").select_option("strided")
    page.locator(".lesson-lab-term[data-term=down]").first.hover()
    expect(sentence(page)).to_contain_text("rounded down")


def test_an_address_sets_its_own_laboratory_only(widget_page):
    address = '#upsampling_lab-2?preset="line"&input=[[5,6]]&kernel=[[1,"x"]]&stride=[1,9]&padding=3&done=99'
    page = widget_page(UpsamplingLab(), UpsamplingLab("line"), hash=address)
    expect(sentence(page, "#upsampling_lab")).to_contain_text("Predict first.")
    expect(sentence(page, "#upsampling_lab-2")).to_contain_text(
        "The output is 1 × 7."
    )  # stride at most 4, kernel as it was
    expect_output(page, "5;25;20;0;6;30;24", "#upsampling_lab-2")
    page.locator("#upsampling_lab-2").get_by_role("button", name="Reset").click()
    expect(sentence(page, "#upsampling_lab-2")).to_contain_text("Predict first.")


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_scrolls_sideways_and_cells_stay_large(widget_page, width):
    page = widget_page(UpsamplingLab("double"), UpsamplingLab("strided"), width=width)
    page.get_by_text("More").first.click()
    page.get_by_role("slider", name="Kernel size").first.press("End")
    page.get_by_role("slider", name="Input size").first.press("End")
    expect(page.locator(".is-input input")).to_have_count(16 + 16)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    sides = page.locator(".lesson-cell:has(input)").evaluate_all("cells => cells.map((cell) => cell.offsetWidth)")
    assert min(sides) >= 28


def test_the_output_stays_in_its_place_while_settings_change(widget_page):
    page = widget_page(UpsamplingLab("double"))
    box = page.locator(".lesson-lab-box.is-output")
    before = box.bounding_box()
    page.get_by_role("slider", name="Stride").press("End")
    expect(page.locator(".is-size b").first).to_have_text("6")
    assert box.bounding_box() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(widget_page, scheme):
    page = widget_page(*(UpsamplingLab(name, done=99, revealed=True) for name in PRESETS))
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ({"input": [[1, 2], [3]]}, "equal rows"),
        ({"kernel": [[1] * 6]}, "at most 5 x 5"),
        ({"kernel": [[float("nan")]]}, "from -99 to 99"),
        ({"stride": [0, 1]}, "1 to 4"),
        ({"padding": [1]}, "padding"),
        ({"preset": "blur"}, "preset"),
        ({"done": 100}, "done"),
    ],
)
def test_wrong_settings_are_refused(state, rule):
    with pytest.raises(TraitError, match=rule):
        UpsamplingLab(**state)


def test_the_still_shows_the_first_state_or_its_lack():
    texts = [text.get_text() for ax in UpsamplingLab().still().axes for text in ax.texts]
    assert texts == list("0123") + list("4123") + list("041023000")
    assert len(UpsamplingLab("double", padding=[4, 4]).still().axes) == 2
