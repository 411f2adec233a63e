"""A grid typed cell by cell: each cell is judged, known mistakes are named, and the browser remembers."""

import json

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from lessons_lib.widgets.cells import Cells
from lessons_lib.widgets.question import Mistake


def row(**traits):
    """Stamps of 1, 5, 4, two apart, for the inputs 2 and 3."""
    defaults = {
        "answer": [2, 10, 11, 15, 12],
        "room": (1, 7),
        "mistakes": [
            Mistake([2, 10, 3, 15, 12], "You forgot to sum: two stamps meet."),
            Mistake([2, 13, 23, 12], "You ignored the stride."),
            Mistake([0, 2, 10, 11, 15, 12, 0], "You added the `padding`."),
        ],
        "hints": ["Lay the first stamp down.", "The second starts at place 2."],
        "solution": "2 x `kernel`, then 3 x kernel.",
        "after": "Five places.",
    }
    return Cells("test/row", "Which numbers come out?", **defaults | traits)


def grid():
    return Cells("test/grid", "And in 2D?", answer=np.array([[0, 4, 1], [8, 16, 6], [4, 12, 9]]))


def type_in(figure, *texts):
    """Fill the cells from the first on, leave the others empty, and check."""
    boxes = figure.get_by_role("textbox").all()
    for box, text in zip(boxes, [*texts, *[""] * (len(boxes) - len(texts))]):
        box.fill(str(text))
    boxes[0].press("Enter")
    return figure.locator("[aria-live]").inner_text()


def marks(figure):
    return [box.get_attribute("data-mark") for box in figure.locator(".lesson-cell").all()]


def stored(page, key):
    return json.loads(page.evaluate("key => localStorage.getItem('lessons:question:' + key)", key) or "null")


def test_the_right_row_passes_and_the_size_is_not_given_away(widget_page):
    page = widget_page(row)
    figure = page.locator("figure")
    assert page.get_by_role("group", name="Which numbers come out?").count() == 1
    assert figure.get_by_role("textbox").count() == 7
    assert type_in(figure, 2, "10.0", 11, " 15", "24/2") == "Right. Five places."
    assert marks(figure) == ["right"] * 5 + ["", ""]
    typed = json.dumps(["2", "10.0", "11", "15", "24/2", "", ""], separators=(",", ":"))
    assert stored(page, "test/row") == {"passed": True, "tries": 1, "answer": typed}


def test_every_cell_is_judged_for_itself(widget_page):
    figure = widget_page(row).locator("figure")
    assert type_in(figure, 2, 10, 11, 14, 12) == "Not yet. 4 of your 5 numbers are right. Lay the first stamp down."
    assert marks(figure) == ["right"] * 3 + ["wrong", "right", "", ""]
    assert [box.get_attribute("aria-invalid") for box in figure.get_by_role("textbox").all()][3:5] == ["true", "false"]
    said = type_in(figure, 2, 10, 4)
    assert said.startswith("Not yet. 2 of your 3 numbers are right. The output has more places than you filled.")
    assert said.endswith("The second starts at place 2.")
    assert marks(figure) == ["right"] * 2 + ["wrong"] * 3 + ["", ""]
    assert "fewer places" in type_in(figure, 2, 10, 11, 15, 12, 7)
    figure.get_by_role("textbox").nth(5).fill("")
    assert marks(figure) == [None] * 7


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ((2, 10, 3, 15, 12), "You forgot to sum: two stamps meet."),
        ((2, 13, 23, 12), "You ignored the stride."),
        ((0, 2, 10, 11, 15, 12, 0), "You added the padding."),
    ],
)
def test_a_known_mistake_is_named(widget_page, typed, words):
    assert type_in(widget_page(row).locator("figure"), *typed) == f"Not yet. {words}"


@pytest.mark.parametrize("empty", [1, 2])
def test_a_row_may_begin_in_any_cell(widget_page, empty):
    page = widget_page(row)
    figure = page.locator("figure")
    gap = [""] * empty
    assert type_in(figure, *gap, 2, 10, 11, 15, 12) == "Right. Five places."
    assert marks(figure) == [*gap, *["right"] * 5, *[""] * (2 - empty)]
    assert stored(page, "test/row")["passed"]
    page.reload()
    page.wait_for_selector("figure[data-state=ready]")
    assert figure.locator("[aria-live]").inner_text() == "Right. Five places."


def test_a_row_that_begins_later_is_compared_from_there(widget_page):
    figure = widget_page(row).locator("figure")
    assert type_in(figure, "", 2, 13, 23, 12) == "Not yet. You ignored the stride."
    assert type_in(figure, "", 2, 10, 11, 14, 12).startswith("Not yet. 4 of your 5 numbers are right.")
    assert marks(figure) == ["", "right", "right", "right", "wrong", "right", ""]
    assert "4 of your 5 numbers are right. The second" in type_in(figure, 7, 2, 10, 11, 15)
    assert marks(figure) == ["wrong", "right", "right", "right", "right", "wrong", ""]
    said = type_in(figure, 2, 10, "", 11, 15, 12)
    assert said == "Not yet. The numbers are right, but leave no cell empty between them."


def test_a_grid_has_to_begin_in_its_corner(widget_page):
    figure = widget_page(lambda: Cells("test/wide", "Where?", answer=[[1, 2], [3, 4]], room=(2, 3))).locator("figure")
    assert "4 numbers are right" in type_in(figure, "", 1, 2, "", 3, 4)
    assert type_in(figure, 1, 2, "", 3) == "Not yet. That is right so far, but something is missing."
    assert type_in(figure, 1, 2, "", 3, 4) == "Right."


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ((2, 10, 11), "That is right so far, but something is missing. Lay"),
        ((2,), "That is right so far, but something is missing. Lay"),
        (("", "", 2, 10), "That is right so far, but something is missing. Lay"),
        ((15, 12), "That is right so far, but something is missing at the beginning. Lay"),
        ((2, 10, "", 15, 12), "That is right so far, but something is missing. Lay"),
    ],
)
def test_what_is_right_but_unfinished_hears_so(widget_page, typed, words):
    assert type_in(widget_page(row).locator("figure"), *typed).startswith(f"Not yet. {words}")


@pytest.mark.parametrize(
    ("typed", "right"),
    [((2, 13), "1 of your 2 numbers is right."), ((2, 10, 3), "2 of your 3"), ((0, 2, 10, 11), "3 of your 4")],
)
def test_a_part_of_a_known_mistake_is_not_that_mistake(widget_page, typed, right):
    said = type_in(widget_page(row).locator("figure"), *typed)
    assert said.startswith(f"Not yet. {right}") and "more places" in said and said.endswith("Lay the first stamp down.")


def test_hints_then_the_solution(widget_page):
    page = widget_page(row)
    figure = page.locator("figure")
    for _ in range(2):
        type_in(figure, 1)
        assert not figure.locator("details").is_visible()
    type_in(figure, 1)
    figure.get_by_text("Show the solution").click()
    assert figure.locator("details p").inner_text() == "2 x kernel, then 3 x kernel."
    assert type_in(figure, 2, 10, 11, 15, 12).startswith("Right.") and not figure.locator("details").is_visible()
    page.get_by_role("button", name="Start again").click()
    assert not any(box.input_value() for box in figure.get_by_role("textbox").all())


def test_what_is_no_number_is_no_try(widget_page):
    page = widget_page(row)
    figure = page.locator("figure")
    assert type_in(figure) == "Type a number into every place that the output has."
    assert type_in(figure, 2, "ten") == "Place 1: Type a number, such as 9 or 0.5."
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "place 1"
    assert stored(page, "test/row") is None


def test_arrow_keys_go_from_cell_to_cell(widget_page):
    page = widget_page(grid)
    focused = "document.activeElement.getAttribute('aria-label')"
    page.get_by_role("textbox", name="row 0, column 0").focus()
    for key, name in (
        ("ArrowDown", "row 1, column 0"),
        ("ArrowRight", "row 1, column 1"),
        ("ArrowUp", "row 0, column 1"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(focused) == name
    page.keyboard.type("12")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "row 0, column 1"  # the caret still stands inside what is typed


def test_the_browser_remembers(widget_page):
    page = widget_page(row, grid)
    type_in(page.locator("figure").nth(0), 2, 13, 23, 12)
    assert type_in(page.locator("figure").nth(1), 0, 4, 1, 8, 16, 6, 4, 12, 9) == "Right."
    page.reload()
    page.wait_for_function("document.querySelectorAll('figure[data-state=ready]').length === 2")
    first, second = page.locator("figure").all()
    assert first.locator("[aria-live]").inner_text() == "Not yet. You ignored the stride."
    assert first.get_by_role("textbox").nth(1).input_value() == "13"
    assert second.locator(".lesson-question-badge").inner_text().endswith("solved")


def test_axe_finds_nothing_and_a_small_phone_holds_it(widget_page):
    page = widget_page(lambda: row(room=(1, 8)), grid, width=320)
    for _ in range(3):
        type_in(page.locator("figure").nth(0), 2, 10, 3)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        assert Axe().run(page).violations_count == 0, theme
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for box in page.locator("figure input").all():
        size = box.bounding_box()
        assert size["height"] >= 44 and size["width"] >= 28


def test_it_reads_without_a_script(widget_page):
    page = widget_page(row, wait=False, java_script_enabled=False)
    assert "Which numbers come out?" in page.locator("figure").inner_text()


@pytest.mark.parametrize(
    ("traits", "words"),
    [
        ({"answer": [[1, 2], [3]]}, "equal rows"),
        ({"room": (1, 4)}, "fits into 1 x 4"),
        ({"answer": []}, "equal rows"),
        ({"mistakes": [Mistake([2, 10, 11, 15, 12], "Same.")]}, "answer and mistakes differ"),
        ({"predict": True}, "no prediction"),
    ],
)
def test_a_grid_that_cannot_be_judged_is_refused(traits, words):
    with pytest.raises(ValueError, match=words):
        row(**traits)
