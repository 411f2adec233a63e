"""Questions in the page: every answer gets its feedback, and the browser remembers, without a kernel."""

import json

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from lessons_lib.widgets.question import Choice, Mistake, Number, Option


def choice(**traits):
    options = [
        Option("Grass", why="Grass is `green` too."),
        Option("Sky", True, "Right above."),
        Option("Cat", why="Cats are not blue."),
    ]
    return Choice("test/blue", "Which is `blue`?", **{"options": options, "after": "So it is."} | traits)


def number(key="test/reads", **traits):
    defaults = {
        "answer": np.int64(3_981_312),
        "mistakes": [Mistake(9, "One row only."), Mistake(27, "One place only.")],
        "hints": ["Count the places.", "Count the channels too."],
        "unit": "px^2",
        "after": "That is all.",
    }
    return Number(key, "How many?", **defaults | traits)


def feedback(figure):
    return figure.locator("[aria-live]").inner_text()


def type_in(figure, text):
    figure.get_by_role("textbox").fill(text)
    figure.get_by_role("textbox").press("Enter")
    return feedback(figure)


def stored(page, key):
    return json.loads(page.evaluate("key => localStorage.getItem('lessons:question:' + key)", key) or "null")


def test_each_wrong_option_gets_its_own_words_and_the_right_one_passes(widget_page):
    page = widget_page(choice)
    figure, check = page.locator("figure"), page.get_by_role("button", name="Check")
    assert figure.get_by_role("group").get_attribute("aria-label") is None
    assert page.get_by_role("group", name="Which is blue?").count() == 1
    check.click()
    assert feedback(figure) == "Choose one of the answers."
    assert stored(page, "test/blue") is None
    page.get_by_role("radio", name="Grass").check()
    check.click()
    assert feedback(figure) == "Not yet. Grass is green too."
    assert figure.locator("[aria-live] code").inner_text() == "green"
    page.get_by_role("radio", name="Cat").check()
    check.click()
    assert feedback(figure) == "Not yet. Cats are not blue."
    assert figure.locator(".lesson-question-badge").inner_text() == ""
    page.get_by_role("radio", name="Sky").check()
    check.click()
    assert feedback(figure) == "Right. Right above. So it is."
    assert figure.locator(".lesson-question-badge").inner_text().endswith("solved, 3 tries")
    assert stored(page, "test/blue") == {"passed": True, "tries": 3, "answer": "Sky"}


def test_a_later_look_at_a_wrong_option_keeps_the_pass(widget_page):
    page = widget_page(choice)
    for name in ("Sky", "Cat"):
        page.get_by_role("radio", name=name).check()
        page.get_by_role("button", name="Check").click()
    assert feedback(page.locator("figure")) == "Not yet. Cats are not blue."
    assert stored(page, "test/blue") == {"passed": True, "tries": 1, "answer": "Cat"}


def test_the_keyboard_suffices(widget_page):
    page = widget_page(choice)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="Sky").is_checked()
    page.keyboard.press("Enter")
    assert feedback(page.locator("figure")).startswith("Right.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert feedback(page.locator("figure")) == ""
    assert page.evaluate("document.activeElement.type") == "radio"


def test_known_mistakes_and_hints_by_stages(widget_page):
    page = widget_page(number)
    figure = page.locator("figure")
    assert page.get_by_role("textbox", name="How many?").count() == 1
    assert type_in(figure, "9") == "Not yet. One row only."
    assert type_in(figure, "27 px^2") == "Not yet. One place only."
    page.get_by_role("button", name="Start again").click()
    assert type_in(figure, "10") == "Not yet. 10 is too small. Count the places."
    assert type_in(figure, "4e6") == "Not yet. 4,000,000 is too large. Count the channels too."
    assert type_in(figure, "5000000") == "Not yet. 5,000,000 is too large. Count the channels too."
    assert type_in(figure, "3,981,312") == "Right. That is all."
    assert stored(page, "test/reads") == {"passed": True, "tries": 4, "answer": "3,981,312"}


def test_a_number_may_be_written_in_many_ways(widget_page):
    page = widget_page(lambda: number(answer=1024.5, tolerance=0.001, mistakes=[]))
    for text in ("1024.5", "1,024.5", " 1 024.5 ", "1024.5px^2", "1024.5 px^2", "2049/2", "+1.0245e3", "1\u202f024.5"):
        assert type_in(page.locator("figure"), text) == "Right. That is all.", text


def test_minus_signs_and_the_edges_of_the_tolerance(widget_page):
    page = widget_page(lambda: number(answer=-0.3, tolerance=0.1, mistakes=[], hints=[]))
    figure = page.locator("figure")
    for text in ("-0.3", "\u22120.4", "-.2", "-3/10", "-30 %", "-30%"):
        assert type_in(figure, text).startswith("Right."), text
    assert type_in(figure, "0.3") == "Not yet. 0.3 is too large."
    assert type_in(figure, "-0.4001") == "Not yet. -0.4001 is too small."


def test_what_is_no_number_is_no_try(widget_page):
    page = widget_page(lambda: number(answer=0.5, tolerance=0.01, mistakes=[]))
    figure = page.locator("figure")
    assert "Here the decimal mark is a point: 0.5." in type_in(figure, "0,5")
    assert "Here the decimal mark is a point: 1024.25." in type_in(figure, "1024,25")
    for text in ("", "many", "1.2.3", "1/0", "NaN"):
        assert type_in(figure, text) == "Type a number, such as 9 or 0.5.", text
    assert stored(page, "test/reads") is None
    assert page.evaluate("document.activeElement.type") == "text"


def test_the_browser_remembers_until_told_to_forget(widget_page):
    page = widget_page(choice, number, lambda: number("test/other"))
    figures = page.locator("figure")
    page.get_by_role("radio", name="Sky").check()
    figures.nth(0).get_by_role("button", name="Check").click()
    assert type_in(figures.nth(1), "9").startswith("Not yet.")
    page.reload()
    page.wait_for_function("document.querySelectorAll('figure[data-state=ready]').length === 3")
    assert page.get_by_role("radio", name="Sky").is_checked()
    assert feedback(figures.nth(0)) == "Right. Right above. So it is."
    assert figures.nth(1).get_by_role("textbox").input_value() == "9"
    assert feedback(figures.nth(1)) == "Not yet. One row only."
    assert feedback(figures.nth(2)) == "" and not figures.nth(2).get_by_role("button", name="Start again").is_visible()
    assert stored(page, "test/reads")["tries"] == 1
    figures.nth(0).get_by_role("button", name="Start again").click()
    assert stored(page, "test/blue") is None and not page.get_by_role("radio", name="Sky").is_checked()
    page.reload()
    page.wait_for_function("document.querySelectorAll('figure[data-state=ready]').length === 3")
    assert feedback(figures.nth(0)) == ""


def test_a_broken_memory_is_no_memory(widget_page):
    page = widget_page(choice)
    for memory in ("{", "null", "[]", '{"passed": 1, "tries": 2, "answer": "Sky"}', '{"tries": 1}'):
        page.evaluate("memory => localStorage.setItem('lessons:question:test/blue', memory)", memory)
        page.reload()
        page.wait_for_selector("figure[data-state=ready]")
        assert feedback(page.locator("figure")) == "", memory


def test_an_option_that_is_gone_keeps_the_pass(widget_page):
    page = widget_page(choice)
    memory = json.dumps({"passed": True, "tries": 2, "answer": "The sky"})
    page.evaluate("memory => localStorage.setItem('lessons:question:test/blue', memory)", memory)
    page.reload()
    page.wait_for_selector("figure[data-state=ready]")
    figure = page.locator("figure")
    assert feedback(figure) == "" and figure.locator(".lesson-question-badge").inner_text().endswith("solved, 2 tries")


def test_it_works_without_a_memory(widget_page):
    page = widget_page(number)
    page.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('switched off'); } })"
    )
    page.reload()
    page.wait_for_selector("figure[data-state=ready]")
    assert type_in(page.locator("figure"), "9") == "Not yet. One row only."
    assert type_in(page.locator("figure"), "3981312") == "Right. That is all."
    page.get_by_role("button", name="Start again").click()
    assert feedback(page.locator("figure")) == ""


def test_a_prediction_takes_any_answer_and_is_resolved(widget_page):
    guess = Choice("test/guess", "Which?", options=[Option("More"), Option("Less")], predict=True, after="It is less.")
    page = widget_page(
        guess, lambda: number("test/guess-number", answer=0.25, tolerance=0.01, mistakes=[], predict=True)
    )
    figures = page.locator("figure")
    page.get_by_role("radio", name="More").check()
    figures.nth(0).get_by_role("button", name="That is my guess").click()
    assert feedback(figures.nth(0)) == "You say: More. It is less."
    assert figures.nth(0).locator(".lesson-question-badge").inner_text().endswith("answered")
    assert type_in(figures.nth(1), "1/8") == "You say: 0.125 px^2. It is 0.25 px^2. That is all."
    assert figures.nth(0).get_attribute("aria-label") == "Predict"


def test_the_same_question_twice_on_a_page(widget_page):
    page = widget_page(choice, choice)
    page.locator("figure").nth(0).get_by_role("radio", name="Sky").check()
    page.locator("figure").nth(1).get_by_role("radio", name="Cat").check()
    assert page.locator("figure").nth(0).get_by_role("radio", name="Sky").is_checked()
    assert (
        page.evaluate("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size")
        == page.locator("[id]").count()
    )


def test_it_reads_without_a_script(widget_page):
    page = widget_page(choice, wait=False, java_script_enabled=False)
    text = page.locator("figure").inner_text()
    assert [line for line in text.splitlines() if line.strip()] == [
        "Exercise", "Which is blue?", "○ Grass", "○ Sky", "○ Cat", "Your answer is judged where JavaScript runs."
    ]  # fmt: skip
    assert "Right above" not in text and page.locator("figure code").inner_text() == "blue"


def test_axe_finds_nothing(widget_page):
    page = widget_page(choice, number)
    page.get_by_role("radio", name="Cat").check()
    page.locator("figure").nth(0).get_by_role("button", name="Check").click()
    type_in(page.locator("figure").nth(1), "3981312")
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        assert Axe().run(page).violations_count == 0, theme


def test_nothing_scrolls_sideways_on_a_small_phone(widget_page):
    page = widget_page(choice, number, width=320)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for control in page.locator("figure button:visible, figure .lesson-option, figure input[type=text]").all():
        assert control.bounding_box()["height"] >= 44


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: choice(options=[Option("Sky", True, "Yes.")]), "both sorts"),
        (lambda: choice(options=[]), "both sorts"),
        (lambda: choice(options=[Option("Sky", True, "Yes."), Option("Cow")]), "say different things"),
        (lambda: choice(options=[Option("Sky", True, "So."), Option("Cow", why="So.")]), "say different things"),
        (lambda: choice(options=[Option("Sky", True, "Yes."), Option("Sky", why="No.")]), "say different things"),
        (lambda: choice(predict=True, after=""), "after"),
        (lambda: number(answer=0.5), "not whole needs a tolerance"),
        (lambda: number(answer=float("nan"), tolerance=1), "got nan"),
        (lambda: number(tolerance=-1), "within -1"),
        (lambda: number(answer=9), "lie apart: got 9.0 and 9.0"),
        (lambda: number(tolerance=20), "lie apart: got 9.0 and 27.0"),
        (lambda: number(answer="nine"), "answer"),
        (lambda: Number("test/none", "How many?"), "got nan"),
    ],
)
def test_a_question_that_cannot_be_judged_is_refused(make, words):
    with pytest.raises(Exception, match=words) as problem:
        make()
    assert type(problem.value).__name__ in ("ValueError", "TraitError")
