"""The stack builder's arithmetic, against lessons_lib.shapes and torch, and the widget under a reader's hands."""

import json
import re
from urllib.parse import quote

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from torch import nn
from traitlets import TraitError

from lessons_lib import shapes
from lessons_lib.models.full_resolution import FullResolution
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.stack_builder import PRESETS, StackBuilder

ROW = "(size, layers) => { const rows = measureStack(size, 3, layers);"


def call(page, function, cases):
    """Call a function of the widget's bundle in the browser, once a case."""
    code = f"(cases) => {{ {bundle('stack_builder')}\n return cases.map((each) => ({function})(...each)); }}"
    return page.evaluate(code, cases)


def random_stacks(count, seed):
    """Random (size, layers); about half of them hold an impossible layer."""
    rng, cases = np.random.default_rng(seed), []
    for _ in range(count):
        layers = []
        for _ in range(rng.integers(1, 7)):
            kernel, stride, padding = (int(rng.integers(low, high)) for low, high in ((1, 6), (1, 4), (0, 4)))
            if rng.random() < 0.35:
                layers.append(["pool", kernel, stride, min(padding, kernel // 2 + int(rng.random() < 0.1))])
            else:
                layers.append(["conv", kernel, stride, padding, int(rng.integers(1, 5)), int(rng.integers(1, 33))])
        cases.append([int(rng.integers(1, 70)), layers])
    return cases


def rows_by_shapes(size, layers):
    """What lessons_lib.shapes says about each row, down to the first impossible layer, which is None."""
    channels, done = 3, []
    rows = [[size, 3, 1, 1, 0, 0, 12 * size**2]]
    for kind, kernel, stride, padding, *more in layers:
        dilation, to = more or (1, channels)
        output = shapes.conv_output if kind == "conv" else shapes.pool_output
        try:
            size = output(size, kernel, stride, padding, dilation)
        except ValueError:
            return [*rows, None]
        done.append(shapes.Layer(kernel, stride, padding, dilation))
        costs = [0, 0]
        if kind == "conv":
            costs = [shapes.parameters(channels, to, kernel), shapes.multiplications(size, channels, to, kernel)]
        channels = to
        rows.append([size, to, shapes.receptive_field(done), shapes.jump(done), *costs, 4 * to * size**2])
    return rows


def run_in_torch(layers, line):
    """Run layers whose weights are all 1 on a line of pixels; pooling sums, so that every gradient shows."""
    for kind, kernel, stride, padding, *more in layers:
        if kind == "conv":
            line = F.conv1d(line, torch.ones(1, 1, kernel).double(), None, stride, padding, more[0])
        else:
            line = F.avg_pool1d(line, kernel, stride, padding)
    return line


def test_every_number_equals_shapes(page):
    cases = random_stacks(1500, seed=0)
    fields = ["size", "channels", "sees", "jump", "parameters", "multiplications", "bytes"]
    picked = f"{ROW} return rows.map((row) => row.waits ? 'waits' : row.broken || {fields}.map((key) => row[key])); }}"
    broken = 0
    for (size, layers), received in zip(cases, call(page, picked.replace("'", '"'), cases)):
        expected = rows_by_shapes(size, layers)
        if expected[-1] is None:
            broken += 1
            assert received[: len(expected) - 1] == expected[:-1], (size, layers)
            assert re.search(r"must .*: .*\. Use .*\.$", received[len(expected) - 1]), (size, layers)
            assert all(row == "waits" for row in received[len(expected) :]), (size, layers)
        else:
            assert received == expected, (size, layers)
    assert 200 < broken < 1300


def test_impossible_is_what_torch_refuses(page):
    cases = random_stacks(1000, seed=1)
    received = call(page, f"{ROW} return rows.every((row) => row.size !== undefined); }}", cases)
    for (size, layers), possible in zip(cases, received):
        try:
            run_in_torch(layers, torch.ones(1, 1, size).double())
        except RuntimeError:
            assert not possible, (size, layers)
        else:
            assert possible, (size, layers)


def test_the_cone_equals_torch_gradients(page):
    rng, cases = np.random.default_rng(3), []
    for size, layers in random_stacks(2400, seed=2):
        rows = rows_by_shapes(size, layers)
        if rows[-1] is not None:
            cases.append([size, layers, int(rng.integers(rows[-1][0]))])
    assert len(cases) > 1000
    cone = "coneOf(rows, layers, rows.length - 1, pixel)[0].seen, rows.map((row) => row.unread)"
    for (size, layers, pixel), (seen, unread) in zip(
        cases, call(page, ROW.replace("layers)", "layers, pixel)") + f" return [{cone}]; }}", cases)
    ):
        line = torch.ones(1, 1, size).double().requires_grad_()
        output = run_in_torch(layers, line)
        (gradient,) = torch.autograd.grad(output[0, 0, pixel], line, retain_graph=True)
        assert seen == gradient[0, 0].nonzero().flatten().tolist(), (size, layers, pixel)
        first = torch.ones(1, 1, size).double().requires_grad_()
        (gradient,) = torch.autograd.grad(run_in_torch(layers[:1], first).sum(), first)
        reached = gradient[0, 0].nonzero().flatten().tolist()
        assert unread[1] == size - 1 - max(reached, default=-1), (size, layers)


@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("chapter 2's window", PatchClassifier(window=17, width=16)),
        ("full resolution", FullResolution()),
        ("dilated", FullResolution(dilations=(1, 1, 2, 4, 8, 16, 1))),
    ],
)
def test_presets_are_the_book_s_networks(preset, model):
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    spans = [(conv.dilation[0] * (conv.kernel_size[0] - 1) + 1, conv.out_channels) for conv in convs]
    assert [(dilation * (kernel - 1) + 1, to) for _, kernel, _, _, dilation, to in PRESETS[preset][1]] == spans


def test_the_pooled_preset_sees_68_px(page):
    size, layers = PRESETS["pooled"]
    rows = call(page, "(size, layers) => measureStack(size, 3, layers).map((row) => row.sees)", [(size, layers)])[0]
    assert rows[-1] == 68 == shapes.receptive_field(shapes.Layer(*layer[1:4]) for layer in layers)


def sentence(page, widget="stack_builder"):
    return page.locator(f"#{widget} .lesson-sentence")


def choose_layer(page, number):
    page.locator(".lesson-stack-list input").nth(number).check(force=True)


def test_the_first_frame_asks_and_does_not_tell(widget_page):
    page = widget_page(StackBuilder())
    expect(sentence(page)).to_contain_text("Predict first. Pixel 3 of the 7 px after layer 15")
    assert "156" not in page.locator("#stack_builder").inner_text()
    guess = page.get_by_role("slider", name="Your guess")
    guess.fill("100")
    page.get_by_role("button", name="Show what it sees").click()
    expect(sentence(page)).to_have_text(
        "You guessed 100. Pixel 3 of the 7 px after layer 15 sees 156 of the 224 image pixels, 34 to 189."
    )
    assert not guess.is_visible()
    rows = page.locator(".lesson-stack-list .lesson-stack-sees").all_inner_texts()
    assert rows[15] == "156"
    total = page.locator(".lesson-stack-total").inner_text()
    assert "9.40 M" in total and "11.2 G" in total
    page.get_by_role("button", name="Reset").click()
    expect(sentence(page)).to_contain_text("Predict first.")


def test_keys_move_the_output_pixel_and_padding_shows(widget_page):
    page = widget_page(StackBuilder("full resolution", revealed=True))
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowLeft")
    expect(sentence(page)).to_contain_text(
        "Pixel 47 of the 96 px after layer 8 sees 15 of the 96 image pixels, 40 to 54."
    )
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(sentence(page)).to_contain_text("Pixel 47 of the 96 px after layer 6 sees 13 of")
    assert page.locator(".lesson-stack-padded").get_attribute("d") == ""
    for _ in range(47):
        page.keyboard.press("ArrowLeft")
    expect(sentence(page)).to_contain_text("sees 7 of the 96 image pixels, 0 to 6. Its receptive field is 13 px wide")
    assert page.locator(".lesson-stack-padded").get_attribute("d").count("M") == 6  # one a layer


def test_the_pointer_moves_the_output_pixel(widget_page):
    page = widget_page(StackBuilder("chapter 2's window", revealed=True))
    box = page.get_by_role("application").bounding_box()
    band = box["height"] / 8
    page.mouse.move(box["x"] + box["width"] * 3.5 / 17, box["y"] + 1.5 * band)
    expect(sentence(page)).to_contain_text("Pixel 2 of the 15 px after layer 1 sees 3 of the 17 image pixels, 2 to 4.")
    page.mouse.move(box["x"] + box["width"] * 3.5 / 17, box["y"] + 0.5 * band)
    expect(sentence(page)).to_contain_text("Image pixel 3")


def test_layers_are_edited_moved_added_and_removed(widget_page):
    page = widget_page(StackBuilder("chapter 2's window", revealed=True))
    names = page.locator(".lesson-stack-list .lesson-option:not([hidden]) .lesson-stack-name")
    sizes = page.locator(".lesson-stack-list .lesson-option:not([hidden]) .lesson-stack-size")
    choose_layer(page, 1)
    expect(page.get_by_role("slider")).to_have_count(5)
    page.get_by_role("slider", name="stride").press("ArrowRight")
    expect(names.nth(1)).to_have_text("conv 3×3stride 2, 16 channels")
    expect(sizes.nth(1)).to_have_text("8")
    expect(page.locator(".lesson-formula > div").first).to_contain_text(
        "⌊(17 + 2 · 0 − 1 · (3 − 1) − 1) / 2⌋ + 1 = 8 px"
    )
    expect(sentence(page)).to_contain_text("Layer 4, dilated conv 3×3, is impossible. The kernel must fit")
    expect(sentence(page)).to_contain_text("The 3 layers after it wait; nothing is lost.")
    assert sizes.all_inner_texts()[4:] == ["✗", "…", "…", "…"]
    page.get_by_role("slider", name="stride").press("ArrowLeft")
    expect(sizes.nth(7)).to_have_text("1")
    page.get_by_role("button", name="+ pooling").click()
    expect(names).to_have_count(9)
    expect(names.nth(2)).to_contain_text("pooling 2×2")
    assert page.get_by_role("slider").count() == 3
    page.get_by_role("slider", name="padding").fill("2")
    expect(sentence(page)).to_contain_text("Pooling padding must be at most half of the window")
    page.get_by_role("button", name="earlier").click()
    expect(names.nth(1)).to_contain_text("pooling 2×2")
    page.get_by_role("button", name="later").click()
    expect(names.nth(2)).to_contain_text("pooling 2×2")
    page.get_by_role("button", name="Remove").press("Enter")
    expect(names).to_have_count(8)
    expect(sizes.nth(7)).to_have_text("1")
    expect(sentence(page)).to_contain_text("sees 17 of the 17 image pixels")
    page.locator(".lesson-stack-list input:checked").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".lesson-stack-heading")).to_have_text("Layer 3: dilated conv 3×3")


def test_an_odd_image_leaves_a_pixel_unread(widget_page):
    page = widget_page(StackBuilder(size=33, layers=[["pool", 2, 2, 0]], selected=1, revealed=True))
    expect(page.locator(".lesson-formula > div").first).to_contain_text("= 16 px (the last 1 px stays unread)")


def test_an_address_sets_the_state_of_its_own_widget(widget_page):
    layers = quote(json.dumps([["conv", 5, 2, 2, 1, 8]]))
    wrong = quote(json.dumps([["conv", 5, 0, 2, 1, 8]]))
    address = f"#stack_builder-2?size=41&layers={layers}&selected=7&place=20&revealed=true&guess=0"
    page = widget_page(StackBuilder(), StackBuilder(), hash=address)
    expect(sentence(page)).to_contain_text("Predict first.")
    expect(sentence(page, "stack_builder-2")).to_contain_text(
        "of the 21 px after layer 1 sees 5 of the 41 image pixels"
    )
    page.evaluate(f"location.hash = '#stack_builder?layers={wrong}&revealed=true'")
    expect(sentence(page)).to_contain_text("after layer 15 sees 156")  # a stride of 0 is no layer


def test_one_pixel_is_named_in_the_singular_and_a_pooling_of_it_says_what_helps(widget_page):
    page = widget_page(StackBuilder(size=1, layers=[["conv", 1, 1, 0, 1, 8], ["pool", 2, 2, 0]]))
    expect(sentence(page)).to_contain_text("Use a smaller window, a larger image or fewer poolings.")
    expect(sentence(page)).to_contain_text("Does the image’s one pixel stand behind it?")


@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_names_keep_to_one_line_and_presets_stay(widget_page, width):
    layers = [["conv", 3, 1, 2, 2, 16], ["conv", 11, 2, 10, 2, 1024], ["pool", 11, 8, 5]]
    page = widget_page(StackBuilder(size=96, layers=layers, selected=2), width=width)
    heights = page.locator(".lesson-stack-list .lesson-option:not([hidden]) .lesson-stack-name").evaluate_all(
        "(nodes) => nodes.map((node) => node.getBoundingClientRect().height)"
    )
    assert max(heights) == min(heights) < 34
    expect(page.locator(".lesson-stack-heading")).to_have_text("Layer 2: dilated strided conv 11×11")
    page.get_by_role("radio", name="pooled").check(force=True)
    expect(page.locator(".lesson-stack-heading")).to_have_text("The image")


@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(widget_page, width, theme):
    broken = [["conv", 3, 1, 1, 16, 16], ["pool", 2, 2, 0], ["conv", 3, 1, 0, 32, 16], ["pool", 2, 2, 0]]
    page = widget_page(StackBuilder(size=66, layers=broken, selected=3, revealed=True), StackBuilder(), width=width)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    expect(page.locator("#stack_builder .lesson-formula")).to_contain_text("= 18 px < 65 px ✗")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#stack_builder .lesson-stack-labels").is_visible() == (width < 760)
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize(
    "layers",
    [
        [["conv", 3, 1, 1]],
        [["pool", 2, 0, 0]],
        [["blur", 2, 2, 0]],
        [["conv", 3, 1, 1, 1, 1.5]],
        [["pool", 2, 2, 0]] * 21,
    ],
)
def test_wrong_layers_are_refused(layers):
    with pytest.raises(TraitError, match="layer"):
        StackBuilder(layers=layers)
