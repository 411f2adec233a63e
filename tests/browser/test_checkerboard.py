"""The checkerboard explorer: its counts against torch, and the widget as a reader meets it."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import expect
from traitlets import TraitError

from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.checkerboard import REMEDIES, Checkerboard


def call(page, function, cases):
    """Call a function of the widget's bundle in the browser, once a case."""
    return page.evaluate(f"(cases) => {{ {bundle('checkerboard')}\n return cases.map({function}); }}", cases)


def torch_counts(size, kernel, stride, remedy, layers):
    """What layers with weights of one make of ones, (H, H): each remedy as it is run in practice."""
    maps = torch.ones(1, 1, size, size, dtype=torch.float64)
    for _ in range(layers):
        if remedy == "resize, then convolve":
            maps = F.interpolate(maps, scale_factor=stride, mode="nearest")
            maps = F.conv2d(maps, torch.ones(1, 1, kernel, kernel).double(), padding=kernel - 1)
        elif remedy == "sub-pixel shuffle":
            weight = torch.ones(stride**2, 1, kernel, kernel).double()
            maps = F.pixel_shuffle(F.conv2d(maps, weight, padding=kernel - 1), stride)
        else:
            side = -(-kernel // stride) * stride if remedy == "divisible kernel" else kernel
            maps = F.conv_transpose2d(maps, torch.ones(1, 1, side, side).double(), stride=stride)
    return maps[0, 0].long().numpy()


def random_settings(count, seed):
    rng = np.random.default_rng(seed)
    settings = []
    while len(settings) < count:
        size, kernel, stride, layers = (int(rng.integers(low, high)) for low, high in ((1, 9), (1, 9), (1, 5), (1, 4)))
        if size * stride**layers <= 160:
            settings.append([size, kernel, stride, str(rng.choice(REMEDIES)), layers])
    return settings


def test_counts_equal_torch_on_1200_settings(page):
    cases = random_settings(1200, seed=1)
    layer = "upsamplingLayer(kernel, stride, remedy)"
    code = f"([size, kernel, stride, remedy, layers]) => overlapCounts(size, {layer}, layers)"
    for case, counts in zip(cases, call(page, code, cases), strict=True):
        assert np.array_equal(np.outer(counts, counts), torch_counts(*case)), case


def test_inside_is_what_no_border_reaches(page):
    """Counts of a long row of ones, and of the same row longer at both ends: inside is where they agree."""
    cases = [case for case in random_settings(300, seed=2) if case[4] < 3]
    code = """([size, kernel, stride, remedy, layers]) => {
      const layer = upsamplingLayer(kernel, stride, remedy);
      return [insideCounts(layer, layers), insideStart(layer, layers), overlapCounts(60, layer, layers)];
    }"""
    for case, (inside, start, counts) in zip(cases, call(page, code, cases), strict=True):
        period = len(inside)
        assert period == case[2] ** case[4]
        for at in range(start, start + 2 * period):
            assert counts[at] == inside[at % period], (case, at)
        if start:
            assert counts[start - 1] < inside[(start - 1) % period], case  # one px earlier is the border


@pytest.mark.parametrize("remedy", REMEDIES)
@pytest.mark.parametrize(
    ("kernel", "stride", "layers"), [(3, 2, 1), (3, 2, 2), (5, 3, 1), (4, 2, 2), (2, 3, 2), (1, 1, 3)]
)
def test_random_kernels_equal_torch(page, remedy, kernel, stride, layers):
    channels = [2] * layers + [3]
    code = """([kernel, stride, remedy, channels]) => {
      const layer = upsamplingLayer(kernel, stride, remedy);
      const kernels = randomKernels(7, layer, channels);
      const maps = throughKernels(kernels, layer, channels);
      return [layer, kernels.map((weights) => [...weights]), maps.map((map) => [...map])];
    }"""
    ((layer, kernels, received),) = call(page, code, [[kernel, stride, remedy, channels]])
    maps, side = torch.ones(1, channels[0], 24, 24, dtype=torch.float64), layer["kernel"]
    for level, flat in enumerate(kernels):
        weight = torch.tensor(flat, dtype=torch.float64).reshape(channels[level], channels[level + 1], side, side)
        if remedy == "resize, then convolve":
            maps = F.interpolate(maps, scale_factor=stride, mode="nearest")
            maps = F.conv2d(maps, weight.transpose(0, 1).flip(2, 3), padding=side - 1)
        elif remedy == "sub-pixel shuffle":
            parts = [weight[:, :, row::stride, column::stride] for row in range(stride) for column in range(stride)]
            sub = torch.stack(parts, dim=2).flatten(1, 2).transpose(0, 1).flip(2, 3)  # (out * stride², in, k, k)
            maps = F.pixel_shuffle(F.conv2d(maps, sub, padding=kernel - 1), stride)
        else:
            maps = F.conv_transpose2d(maps, weight, stride=stride)
        maps = maps.relu() if level < len(kernels) - 1 else maps
    period = stride**layers
    at = maps.shape[2] // 2 // period * period
    expected = maps[0, :, at : at + period, at : at + period].flatten(1)
    torch.testing.assert_close(torch.tensor(received, dtype=torch.float64), expected, rtol=1e-9, atol=1e-9)


def test_random_kernels_are_normal_and_differ_by_seed(page):
    first, again, other = call(page, "(seed) => [...randomKernels(seed, { kernel: 8 }, [8, 64])[0]]", [1, 1, 2])
    assert first == again != other
    assert abs(np.mean(first)) < 0.02
    assert np.std(first) == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.02


def sentence(page):
    return page.locator(".lesson-sentence").first


def numbers(page, line):
    text = page.locator(".lesson-sums > div", has_text=line).first.locator("dd").inner_text()
    return [float(number) for number in re.findall(r"[\d.]+", text)]


def test_the_first_frame_asks_and_does_not_tell(widget_page):
    page = widget_page(Checkerboard())
    expect(sentence(page)).to_contain_text("Predict first.")
    assert numbers(page, "kernel ÷ stride") == [3, 2, 1.5]
    assert numbers(page, "in 2D, squared") == []
    assert page.locator(".lesson-overlap-numbers span").count() == 0
    assert page.locator(".lesson-overlap-stamps i").count() == 8


@pytest.mark.parametrize(
    ("answer", "verdict"), [("The same on all", "Not as you said."), ("More on some", "As you said.")]
)
def test_a_prediction_is_answered(widget_page, answer, verdict):
    page = widget_page(Checkerboard())
    page.get_by_role("button", name=answer).click()
    expect(sentence(page)).to_contain_text(verdict)
    expect(sentence(page)).to_contain_text("output pixels get 1 to 2 stamps: 3 is not divisible by 2")
    shown = [int(text) for text in page.locator(".lesson-overlap-numbers span").all_inner_texts()]
    assert shown == [1] + [1, 2] * 7 + [1]
    assert (numbers(page, "along a row"), numbers(page, "in 2D")) == ([1, 2], [1, 4])
    assert numbers(page, "highest ÷ lowest") == [4]
    assert not page.get_by_role("button", name=answer).is_visible()
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first.")


def test_keys_change_kernel_and_point_at_a_pixel(widget_page):
    page = widget_page(Checkerboard(guess="skipped"))
    page.get_by_role("slider", name="Kernel size").press("ArrowRight")
    expect(sentence(page)).to_contain_text("every output pixel gets 2 stamps: 4 is divisible by 2")
    line = page.get_by_role("application")
    line.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("Output px 4 gets 2.")
    expect(page.locator(".lesson-overlap-stamps .is-reaching")).to_have_text(["1", "2"])


def test_the_grid_says_what_the_pointer_meets(widget_page):
    page = widget_page(Checkerboard(guess="skipped"))
    page.get_by_role("radio", name="in 2D").check()
    expect(sentence(page)).to_contain_text("get 1 to 4 stamps")
    box = page.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 4.5 / 16, box["y"] + box["height"] * 6.5 / 16)
    expect(sentence(page)).to_contain_text("Row 6, column 4 gets 2 × 2 = 4.")
    shown = np.array(page.locator(".lesson-overlap-cells span").all_inner_texts(), int).reshape(16, 16)
    assert np.array_equal(shown, torch_counts(16, 3, 2, "none", 1)[:16, :16])


@pytest.mark.parametrize(
    ("remedy", "words", "about", "note"),
    [
        (
            "divisible kernel",
            "every output pixel gets 2 stamps: 4 is divisible by 2",
            "4 is twice the stride 2: every place is reached by as many weights.",
            "the kernel becomes 4",
        ),
        (
            "resize, then convolve",
            "every output pixel gets 3 stamps: the input is first enlarged 2 times",
            "First copy every pixel, then an ordinary convolution.",
            "after resizing the stride is 1",
        ),
        (
            "sub-pixel shuffle",
            "every output pixel gets 3 stamps: each of the 4 sub-pixels has a 3×3 kernel",
            "A convolution makes four times the channels; they become the four pixels of a block.",
            "its kernels together make one of 6",
        ),
    ],
)
def test_each_remedy_is_even_and_explained(widget_page, remedy, words, about, note):
    page = widget_page(Checkerboard(guess="skipped"))
    page.get_by_role("radio", name=remedy).check()
    expect(sentence(page)).to_contain_text(words)
    expect(page.locator(".lesson-overlap-about")).to_have_text(about)
    expect(page.locator(".lesson-sums small")).to_have_text(note)
    assert numbers(page, "highest ÷ lowest") == [1]


def test_stacked_layers_and_gaps(widget_page):
    page = widget_page(Checkerboard(guess="skipped"))
    page.get_by_role("radio", name="3", exact=True).check()
    expect(sentence(page)).to_contain_text(
        "After 3 layers, output pixels get 1 to 5 paths from the input (a path: one weight of each layer)"
    )
    captions = page.locator(".lesson-overlap-name").all_inner_texts()
    assert captions == ["after layer 1: 1 to 2", "after layer 2: 1 to 3", "after layer 3: 1 to 5"]
    page.get_by_role("slider", name="Kernel size").press("Home")
    expect(sentence(page)).to_contain_text("leaves gaps")
    expect(page.locator(".lesson-ratio")).to_have_text("gaps")


def test_random_kernels_tell_resize_from_shuffle(widget_page):
    page = widget_page(Checkerboard(guess="skipped", show="random"))
    expect(sentence(page)).to_contain_text("repeats every 2 px")
    before = sentence(page).inner_text()
    page.get_by_role("button", name="Other random kernels").click()
    expect(sentence(page)).not_to_have_text(before)
    page.get_by_role("radio", name="sub-pixel shuffle").check()
    expect(sentence(page)).to_contain_text("Equal counts don’t make equal weights")
    page.get_by_role("radio", name="resize, then convolve").check()
    expect(sentence(page)).to_contain_text("stays constant, whatever the kernels")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    address = '#checkerboard-2?kernel=99&stride=4&guess="skipped"&remedy="none"&layers=7&show="grid"'
    page = widget_page(Checkerboard(), Checkerboard(), hash=address)
    expect(sentence(page)).to_contain_text("Predict first.")
    second = page.locator("#checkerboard-2")
    expect(second.locator(".lesson-sentence")).to_contain_text("every output pixel gets 4 stamps: 8 is divisible by 4")
    assert second.get_by_role("radio", name="1", exact=True).is_checked()
    second.get_by_role("button", name="Link to this setting").click()
    assert "kernel=8&stride=4&layers=1" in page.url


@pytest.mark.parametrize("show", ["line", "grid", "random"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, show, width):
    page = widget_page(Checkerboard(show=show, guess="skipped", kernel=8), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("state", [{"kernel": 9}, {"stride": 0}, {"layers": 4}, {"remedy": "hope"}, {"show": "3D"}])
def test_wrong_settings_are_refused(state):
    with pytest.raises(TraitError):
        Checkerboard(**state)


def test_the_still_counts_as_the_page_does():
    for remedy in REMEDIES:
        titles = [ax.get_title() for ax in Checkerboard(remedy=remedy, kernel=3, layers=2).still().axes]
        counts = torch_counts(16, 3, 2, remedy, 2)[:16, :16]
        assert titles[1] == f"stamps in 2D: {counts.min()} to {counts.max()}"
