"""The sliding window's counts, against loops and torch, and the widget under a reader's hands."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn
from traitlets import TraitError

from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.sliding_window import SlidingWindow

NAMES = ["sky", "grass", "cow"]
IMAGE = np.random.default_rng(0).random((20, 24, 3))
ANSWERS = np.random.default_rng(1).integers(0, 3, (20, 24))


def make(**state):
    return SlidingWindow(IMAGE, ANSWERS, NAMES, **state)


def counts_by_loop(rows, columns, window, done):
    """Visit the windows one by one and every pixel of each."""
    counts, half = [[0] * columns for _ in range(rows)], window // 2
    for number in range(done):
        for row in range(number // columns - half, number // columns + half + 1):
            for column in range(number % columns - half, number % columns + half + 1):
                if 0 <= row < rows and 0 <= column < columns:
                    counts[row][column] += 1
    return [count for line in counts for count in line]


def multiplications_by_torch(rows, columns, window, width, classes):
    """Run the stack and count, at every convolution, one multiplication for each weight at each place of the output."""
    channels = [3] + [width] * (window // 2)
    layers = [nn.Conv2d(before, after, 3) for before, after in pairwise(channels)]
    stack = nn.Sequential(*layers, nn.Conv2d(width, classes, 1))
    total = 0

    def count(layer, _, output):
        nonlocal total
        total += output.shape[2] * output.shape[3] * layer.weight.numel()

    for layer in stack:
        layer.register_forward_hook(count)
    assert stack(torch.zeros(1, 3, rows + window - 1, columns + window - 1)).shape == (1, classes, rows, columns)
    return total


def call(page, function, cases):
    """Call a function of the widget's bundle in the browser, once a case."""
    return page.evaluate(f"(cases) => {{ {bundle('sliding_window')}\n return cases.map({function}); }}", cases)


def test_read_counts_equal_the_loop(page):
    rng = np.random.default_rng(2)
    cases = []
    for _ in range(60):
        rows, columns = (int(side) for side in rng.integers(1, 21, 2))
        cases.append([rows, columns, int(rng.choice([1, 3, 5, 9, 15])), int(rng.integers(0, rows * columns + 1))])
    cases += [[8, 8, 15, 64], [20, 20, 9, 400], [5, 7, 3, 0]]
    received = call(page, "(size) => Array.from(readCounts(...size))", cases)
    for case, counts in zip(cases, received):
        assert counts == counts_by_loop(*case), case


def test_multiplications_equal_torch(page):
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(40):
        sides = [1, 1] if rng.random() < 0.4 else rng.integers(1, 30, 2).tolist()
        settings = [int(rng.choice([3, 5, 7, 9, 11, 13, 15])), int(rng.integers(1, 20)), int(rng.integers(1, 9))]
        cases.append(dict(zip(("rows", "columns", "window", "width", "classes"), sides + settings)))
    received = call(page, "stackMultiplications", cases)
    for case, total in zip(cases, received):
        assert total == multiplications_by_torch(**case), case


def sentence(page):
    return page.locator(".lesson-sentence")


def number(page, line):
    """The number that a line of the formula ends in."""
    text = page.locator(".lesson-sums > div", has_text=line).locator("dd").first.inner_text()
    return float(re.findall(r"[\d,.]+", text)[-1].replace(",", ""))


def test_the_first_frame_asks_and_does_not_tell(widget_page):
    page = widget_page(make())
    expect(sentence(page)).to_contain_text("Predict first.")
    assert page.locator(".lesson-controls").inner_text().count("?") == 1
    assert "81" not in page.locator(".lesson-key").inner_text()
    assert number(page, "pixels read, padding too") == 288 * 81
    once = multiplications_by_torch(20, 24, 9, 16, 3)
    each = multiplications_by_torch(1, 1, 9, 16, 3)
    assert number(page, "window by window") == 288 * each
    assert number(page, "one pass") == once
    assert number(page, "ratio") == pytest.approx(288 * each / once, abs=0.05)


def test_step_reads_on_and_reveals(widget_page):
    page = widget_page(make(done=10 * 24))
    page.get_by_role("button", name="Step").click()
    expect(sentence(page)).to_contain_text("Window 241, round row 10, column 0, reads 81 pixels")
    assert number(page, "most often read") == max(counts_by_loop(20, 24, 9, 241))
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    expect(sentence(page)).to_contain_text("reads 49 pixels")
    assert number(page, "pixels read, padding too") == 241 * 49
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first.")


def test_play_ends_with_the_answer(widget_page):
    page = widget_page(make(done=400, speed=400))
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Every pixel has its answer").wait_for()
    expect(sentence(page)).to_contain_text("middle was read 81 times")
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Step").click()
    expect(sentence(page)).to_contain_text("Window 1, round row 0, column 0,")


def test_reduced_motion_goes_straight_to_the_end(widget_page):
    page = widget_page(make(speed=20), reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Every pixel has its answer").wait_for(timeout=1000)


def test_the_window_follows_pointer_and_keys(widget_page):
    page = widget_page(make())
    picture = page.get_by_role("application")
    box = picture.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 5.5 / 24, box["y"] + box["height"] * 3.5 / 20)
    expect(sentence(page)).to_contain_text("round row 3, column 5")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("round row 4, column 6")
    assert page.locator(".lesson-cut b").inner_text() == NAMES[ANSWERS[4, 6]]


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    address = "#sliding_window-2?done=480&revealed=true&window=15&view=%22answers%22&speed=3"
    page = widget_page(make(), make(), hash=address)
    expect(sentence(page).first).to_contain_text("Predict first.")
    expect(sentence(page).last).to_contain_text("middle was read 225 times")
    second = page.locator("#sliding_window-2")
    assert second.get_by_label("answers").is_checked()
    assert second.get_by_label("100").is_checked()  # 3 is no speed
    assert not page.locator("#sliding_window").get_by_label("answers").is_checked()


def test_nothing_scrolls_sideways_on_a_phone(widget_page):
    page = widget_page(make(window=15), width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(
    ("image", "answers", "state", "rule"),
    [
        (IMAGE[:9], ANSWERS[:9], {}, "15 to 48 px"),
        (IMAGE, ANSWERS[:9], {}, "one answer"),
        (IMAGE, ANSWERS + 1, {}, "needs a name"),
        (IMAGE, ANSWERS, {"window": 4}, "window"),
    ],
)
def test_wrong_settings_are_refused(image, answers, state, rule):
    with pytest.raises((ValueError, TraitError), match=rule):
        SlidingWindow(image, answers, NAMES, **state)
