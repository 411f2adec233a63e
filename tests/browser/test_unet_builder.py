"""The U-Net builder's arithmetic, against the library's U-Net and torch, and the widget under a reader's hands."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from torch import nn
from traitlets import TraitError

from lessons_lib.models.costs import level_shapes, multiplications_of
from lessons_lib.models.unet import UNet
from lessons_lib.widgets.base import bundle
from lessons_lib.widgets.unet_builder import WIDTHS, UNetBuilder

FIELDS = ["name", "channels", "size", "parameters", "multiplications", "bytes"]
NET = ["size", "depth", "width", "convolutions", "skip", "remedy"]


class Plain(nn.Module):
    """A U-Net with any number of convolutions a level and any way to make maps of unlike size meet."""

    def __init__(self, depth, width, convolutions, skip, remedy):
        super().__init__()
        self.skip, self.remedy = skip, remedy
        widths = [width * 2**level for level in range(depth + 1)]

        def block(into, channels):
            layers = []
            for _ in range(convolutions):
                layers += [nn.Conv2d(into, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
                into = channels
            return nn.Sequential(*layers)

        self.encoder = nn.ModuleList(block(into, channels) for into, channels in zip([3, *widths], widths[:-1]))
        self.bottleneck = block(widths[-2], widths[-1])
        self.decoder = nn.ModuleList()
        for channels in reversed(widths[:-1]):
            level = nn.Module()
            level.narrow = nn.Conv2d(2 * channels, channels, 1)
            level.refine = block(2 * channels if skip == "concat" else channels, channels)
            self.decoder.append(level)
        self.head = nn.Conv2d(width, 7, 1)

    def meet(self, shallow, features):
        if self.remedy == "resize" or self.skip == "none":
            return shallow, F.interpolate(features, size=shallow.shape[-2:], mode="bilinear", align_corners=False)
        features = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        sides = shallow.shape[-1], features.shape[-1]
        if self.remedy == "crop":
            return [each[..., : min(sides), : min(sides)] for each in (shallow, features)]
        if self.remedy == "pad":
            return [F.pad(each, (0, max(sides) - each.shape[-1]) * 2) for each in (shallow, features)]
        return shallow, features

    def forward(self, images):
        skips, features = [], images
        for level in self.encoder:
            features = level(features)
            skips.append(features)
            features = F.max_pool2d(features, 2, ceil_mode=True)
        features = self.bottleneck(features)
        for level, shallow in zip(self.decoder, reversed(skips)):
            shallow, features = self.meet(shallow, level.narrow(features))
            if self.skip == "concat":
                features = torch.cat([shallow, features], dim=1)
            elif self.skip == "add":
                features = shallow + features
            features = level.refine(features)
        return self.head(features)


def stages_of(model):
    """(name, module) of every stage but the input, in the order of the forward pass."""
    depth = len(model.encoder)
    yield from ((f"encoder {number}", level) for number, level in enumerate(model.encoder, start=1))
    yield "bottleneck", model.bottleneck
    yield from ((f"decoder {number}", level) for number, level in zip(range(depth, 0, -1), model.decoder))
    yield "head", model.head


def traced(model, size):
    """What torch says about every stage: FIELDS, from hooks on all its convolutions."""
    rows = [["input", 3, size, 0, 0, 12 * size**2]]

    def watch(row, module):
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda layer, inputs, output: count(row, layer, inputs[0], output))

    def count(row, layer, into, output):
        row[1], row[2] = output.shape[1], output.shape[2]
        row[4] += output.numel() * layer.weight[0].numel()
        if layer.kernel_size == (3, 3) or row[0] == "head":
            row[5] += 4 * output.numel()

    for name, module in stages_of(model):
        rows.append([name, 0, 0, sum(weights.numel() for weights in module.parameters()), 0, 0])
        watch(rows[-1], module)
        if name.startswith("decoder"):
            row = rows[-1]
            module.refine.register_forward_pre_hook(
                lambda _, inputs, row=row: row.__setitem__(5, row[5] + 4 * inputs[0].numel())
            )
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return rows


def call(page, function, cases):
    """Call a function of the widget's bundle in the browser, once a case."""
    code = f"(cases) => {{ {bundle('unet_builder')}\n return cases.map((each) => ({function})(...each)); }}"
    return page.evaluate(code, cases)


def random_nets(count, seed, **fixed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        net = {
            "size": int(rng.integers(8, 257)),
            "depth": int(rng.integers(1, 6)),
            "width": int(rng.choice(WIDTHS)),
            "convolutions": int(rng.integers(1, 5)),
            "skip": str(rng.choice(["concat", "add", "none"])),
            "remedy": str(rng.choice(["crop", "pad", "resize"])),
        }
        yield net | fixed


def measured(page, nets):
    return call(
        page, f"(net) => measureUNet(net).map((stage) => {FIELDS}.map((key) => stage[key]))", [[n] for n in nets]
    )


def test_every_number_equals_the_library_s_u_net(page):
    nets = list(random_nets(40, seed=0, convolutions=2, remedy="resize"))
    for net, received in zip(nets, measured(page, nets)):
        with torch.device("meta"):
            model = UNet([net["width"] * 2**level for level in range(net["depth"])], skip=net["skip"])
        assert [(name, (channels, size, size)) for name, channels, size, *_ in received] == level_shapes(
            model, net["size"]
        )
        assert sum(row[4] for row in received) == multiplications_of(model, net["size"])
        assert received == traced(model, net["size"]), net


def test_every_number_equals_torch_with_any_convolutions_and_remedy(page):
    nets = list(random_nets(80, seed=1))
    for net, received in zip(nets, measured(page, nets)):
        with torch.device("meta"):
            model = Plain(*(net[key] for key in NET[1:]))
        assert received == traced(model, net["size"]), net


def test_without_a_remedy_impossible_is_what_torch_refuses(page):
    nets, broken = list(random_nets(120, seed=2, remedy="", width=4)), 0
    stages = call(
        page,
        "(net) => measureUNet(net).map((stage) => [stage.broken || false, stage.size ?? null])",
        [[n] for n in nets],
    )
    for net, received in zip(nets, stages):
        with torch.device("meta"):
            model = Plain(*(net[key] for key in NET[1:]))
        try:
            shapes = traced(model, net["size"])
        except RuntimeError:
            broken += 1
            first = next(index for index, (is_broken, _) in enumerate(received) if is_broken)
            assert [size for _, size in received[first:]] == [None] * (len(received) - first), net
            assert sum(is_broken for is_broken, _ in received) == 1
        else:
            assert received == [[False, row[2]] for row in shapes], net
    assert 30 < broken < 110


def test_fitting_sizes_are_the_nearest_that_fit(page):
    for size, depth in [(96, 3), (99, 3), (9, 4), (250, 5)]:
        fits = [each for each in range(1, 300) if each % 2**depth == 0]
        expected = [size] if size in fits else [*[s for s in fits if s < size][-1:], *[s for s in fits if s > size][:1]]
        assert call(page, "(size, depth) => fittingSizes(size, depth)", [[size, depth]])[0] == expected


def test_what_a_pixel_sees_equals_torch_gradients(page, monkeypatch):
    """With positive weights and mean instead of maximum pooling a gradient is 0 only where nothing is seen."""
    monkeypatch.setattr(F, "max_pool2d", lambda x, size, ceil_mode: F.avg_pool2d(x, size, ceil_mode=ceil_mode))
    rng, cases, expected = np.random.default_rng(3), [], []
    for net in random_nets(90, seed=3, width=1):
        net |= {
            "size": int(rng.integers(8, 48)),
            "depth": int(rng.integers(1, 4)),
            "convolutions": int(rng.integers(1, 3)),
        }
        library = net["convolutions"] == 2 and net["remedy"] == "resize"
        widths = [2**level for level in range(net["depth"])]
        model = UNet(widths, skip=net["skip"]) if library else Plain(*(net[key] for key in NET[1:]))
        model = model.double().eval()
        for weights in model.parameters():
            nn.init.constant_(weights, 1 / max(1, weights[0].numel()))
        name, module = list(stages_of(model))[int(rng.integers(2 * net["depth"] + 2))]
        outputs = []
        last = module.refine if hasattr(module, "refine") else module
        last.register_forward_hook(lambda _, inputs, output, outputs=outputs: outputs.append(output))
        image = torch.ones(1, 3, net["size"], net["size"]).double().requires_grad_()
        model(image)
        pixel = int(rng.integers(outputs[0].shape[2]))
        (gradient,) = torch.autograd.grad(outputs[0][0, :, pixel].sum(), image)
        rows = gradient[0].sum((0, 2))
        reached = (rows > 1e-12 * rows.max()).nonzero().flatten()
        if len(reached):  # else: a px of nothing but padding
            cases.append([net, name, pixel])
            expected.append([int(reached[0]), int(reached[-1])])
    seen = (
        "(net, name, pixel) => { const stages = measureUNet(net);"
        " return seenBy(net, stages, stages.findIndex((stage) => stage.name === name), [pixel, pixel]); }"
    )
    for case, received, wanted in zip(cases, call(page, seen, cases), expected):
        assert received == wanted, case
    assert len(cases) > 80


def sentence(page, widget="unet_builder"):
    return page.locator(f"#{widget} .lesson-sentence")


def shapes_on(page, widget="unet_builder"):
    """The shapes that the drawing shows, from stage to stage."""
    shown = page.locator(f"#{widget} .lesson-unet-stages .lesson-option:not([hidden]) .lesson-unet-shape")
    return [tuple(map(int, text.split(" × "))) for text in shown.all_inner_texts()]


def stage(page, name, widget="unet_builder"):
    return page.locator(f"#{widget} .lesson-unet-stages input[value='{name}']")


def area(page, name):
    """Where a stage's boxes stand."""
    return stage(page, name).locator("xpath=..").locator(".lesson-unet-area")


def test_the_first_frame_is_the_library_s_network(widget_page):
    page = widget_page(UNetBuilder())
    assert shapes_on(page) == [shape for _, shape in level_shapes(UNet(), 96)]
    parameters = sum(weights.numel() for weights in UNet().parameters())
    costs = page.locator(".lesson-unet-costs").inner_text()
    assert f"of {parameters / 1000:.0f} k" in costs
    assert f"of {multiplications_of(UNet(), 96) / 1e6:.0f} M" in costs
    expect(sentence(page)).to_have_text(
        "Bottleneck: a px of its 12 × 12 sees 68 × 68 px of the image. "
        "It has 49 % of the parameters and 10 % of the multiplications; its maps fill 144 KiB."
    )
    assert page.get_by_role("slider").count() == 4
    assert not page.get_by_role("button", name="Crop").is_visible()


def test_pointing_shows_a_stage_and_leaving_brings_back_the_chosen_one(widget_page):
    page = widget_page(UNetBuilder())
    area(page, "encoder 1").hover()
    expect(sentence(page)).to_contain_text("Encoder 1: a px of its 96 × 96 sees 5 × 5 px of the image.")
    box = area(page, "encoder 1").bounding_box()
    for step in range(4):  # moving about inside keeps it
        page.mouse.move(box["x"] + 8 + 10 * step, box["y"] + 20 + 10 * step)
    expect(page.locator(".lesson-unet-heading")).to_have_text("Encoder 116 × 96 × 96")
    page.locator(".lesson-title").hover()
    expect(sentence(page)).to_contain_text("Bottleneck:")
    area(page, "decoder 1").click(force=True)
    page.locator(".lesson-title").hover()
    expect(sentence(page)).to_contain_text("Decoder 1:")
    assert page.locator(".lesson-unet-sum").all_inner_texts() == [
        "3² · 16 · (32 + 16) + 4 · 16 + 16 · (32 + 1) = 7,504",
        "96² · 3² · 16 · (32 + 16) + 48² · 32 · 16 = 64,880,640",
        "4 B · (32 + 2 · 16) · 96² = 2,359,296",
    ]


def test_keys_go_from_stage_to_stage(widget_page):
    page = widget_page(UNetBuilder())
    stage(page, "bottleneck").focus()
    page.keyboard.press("ArrowDown")
    expect(sentence(page)).to_contain_text("Decoder 3:")
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    expect(sentence(page)).to_contain_text("Encoder 1:")
    page.keyboard.press("ArrowUp")
    expect(sentence(page)).to_have_text("The image has 3 channels of 96 × 96 px.")


@pytest.mark.parametrize("width", [390, 1100])
def test_where_maps_do_not_meet_the_arrow_says_so_and_three_remedies_help(widget_page, width):
    page = widget_page(UNetBuilder(), width=width)
    page.get_by_role("slider", name="Image").fill("99")
    expect(sentence(page)).to_have_text(
        "Decoder 3 cannot take in its skip: 25 px come across, but 13 px doubled are 26 px. "
        "The poolings round up, so what comes up is too large; here it is only doubled until you choose. "
        "The library's UNet resizes it. Choose a remedy, or a size that can be halved 3 times, such as 96 and 104."
    )
    totals = page.locator(".lesson-unet-costs small").all_inner_texts()
    assert [text.endswith(" so far") for text in totals] == [False, True, True]
    mark = page.locator(".lesson-unet-unlike")
    expect(mark).to_have_text("≠")
    line, mark_box = page.locator("svg .is-broken").bounding_box(), mark.bounding_box()
    assert abs(line["y"] + line["height"] / 2 - mark_box["y"] - mark_box["height"] / 2) < 2
    assert line["x"] < mark_box["x"] and mark_box["x"] + mark_box["width"] < line["x"] + line["width"]
    waiting = page.locator(".lesson-option.is-waiting:not([hidden]) input")
    assert waiting.count() == 4  # the decoder and the head
    for remedy, side, words in [
        ("Crop", 99, "is thrown away"),
        ("Pad", 104, "the scores are 104 px wide for 99 px of image"),
        ("Resize", 99, "becomes exactly as large as the skip"),
    ]:
        page.get_by_role("button", name=remedy).click()
        expect(sentence(page)).to_contain_text(words)
        assert waiting.count() == 0
        expect(stage(page, "head")).to_have_attribute("aria-label", f"The scores: 7 × {side} × {side}")
        expect(page.get_by_role("button", name=remedy)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Resize").press("Enter")
    expect(sentence(page)).to_contain_text("cannot take in its skip")
    page.get_by_role("radio", name="none").check(force=True)
    expect(sentence(page)).to_contain_text("Bottleneck:")  # nothing has to meet
    assert not page.get_by_role("button", name="Crop").is_visible()


def overlap(one, other):
    """Whether two boxes share an area, with 1 px of tolerance."""
    return all(
        one[start] + 1 < other[start] + other[side] - 1 and other[start] + 1 < one[start] + one[side] - 1
        for start, side in (("x", "width"), ("y", "height"))
    )


@pytest.mark.parametrize("width", [360, 390, 620, 890, 1100, 1280])
@pytest.mark.parametrize(
    "state", [{"size": 99}, {"size": 100}, {"size": 250, "depth": 5, "width": 64}, {"depth": 1, "size": 9}]
)
def test_nothing_overprints_and_the_remedies_stand_at_the_arrow(widget_page, state, width):
    page = widget_page(UNetBuilder(**state), width=width)
    remedies = page.locator(".lesson-unet-meeting")
    for remedy in ("", "Crop", "Pad", "Resize"):
        if remedy:
            page.get_by_role("button", name=remedy).click()
            expect(page.get_by_role("button", name=remedy)).to_have_attribute("aria-pressed", "true")
        shown = page.locator(
            ".lesson-unet-shape:visible, .lesson-unet-unlike:visible, .lesson-unet-drawing text, .lesson-unet-meeting"
        )
        boxes = [(node.text_content(), node.bounding_box()) for node in shown.all()]
        assert not [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[:i] if overlap(one, other)]
        if not remedy:
            arrow = page.locator("svg .is-broken").bounding_box()
        box = remedies.bounding_box()
        assert 0 < box["y"] - arrow["y"] - arrow["height"] / 2 < 40
        assert box["x"] < arrow["x"] + arrow["width"] and arrow["x"] < box["x"] + box["width"]


NO_LIST = ":not(.option-list, .field-list, .footnote, .glossary, .simple)"  # from the built page's style:
THEME = f"dl[class]{NO_LIST} {{ margin-bottom: 3rem }} dl[class]{NO_LIST} dd {{ margin-left: 2rem }}"


@pytest.mark.parametrize("width", [390, 890, 1280])
def test_no_strip_of_the_card_is_empty_and_formulas_break_between_terms(widget_page, width):
    page = widget_page(UNetBuilder(), UNetBuilder(size=99, stage="encoder 2"), width=width)
    page.add_style_tag(content=THEME)
    for name in ("unet_builder", "unet_builder-2"):
        card = page.locator(f"#{name}")
        drawing, sums, controls = (
            card.locator(part).bounding_box()
            for part in (".lesson-unet-drawing", ".lesson-unet-costs", ".lesson-controls")
        )
        lowest = card.locator("input[value='bottleneck'] + span .lesson-unet-shape").bounding_box()
        assert drawing["y"] + drawing["height"] - lowest["y"] - lowest["height"] < 30
        above = max(part["y"] + part["height"] for part in (drawing, sums))
        assert controls["y"] - above < 30
        if width < 800:
            assert sums["y"] - drawing["y"] - drawing["height"] < 60  # the heading of the stage lies between
            continue
        for term in card.locator(".lesson-unet-sum > span").all():
            assert term.evaluate("(node) => node.getClientRects().length") == 1
            assert term.bounding_box()["x"] + term.bounding_box()["width"] <= sums["x"] + sums["width"] + 1
        for total in card.locator(".lesson-unet-amount").all():
            assert total.bounding_box()["height"] < 30


def test_the_size_can_be_typed_and_stepped_by_key(widget_page):
    page = widget_page(UNetBuilder())
    typed, head = page.get_by_role("spinbutton", name="Side of the image in px"), stage(page, "head")
    expect(typed).to_have_value("96")
    typed.click()
    typed.press("ControlOrMeta+a")
    typed.press_sequentially("9")
    expect(sentence(page)).to_contain_text("Decoder 3 cannot")  # 9 px, 5, 3, 2: 4 do not fit 3
    typed.press_sequentially("7")
    expect(sentence(page)).to_contain_text("25 px come across, but 13 px doubled are 26 px")
    typed.press("ArrowDown")
    expect(head).to_have_attribute("aria-label", "The scores: 7 × 96 × 96")
    expect(page.get_by_role("slider", name="Image")).to_have_value("96")
    page.get_by_role("slider", name="Image").fill("128")
    expect(typed).to_have_value("128")
    for text, size in [("1000", 256), ("1", 8), ("", 8), ("40", 40)]:
        typed.fill(text)
        if size == 8 and text == "1":
            area(page, "encoder 1").hover()  # a redraw leaves half a number alone
            expect(sentence(page)).to_contain_text("Encoder 1")
            expect(typed).to_have_value("1")
        typed.press("Tab")
        expect(typed).to_have_value(str(size))
        expect(head).to_have_attribute("aria-label", f"The scores: 7 × {size} × {size}")


@pytest.mark.parametrize("net", [{}, {"skip": "add", "depth": 5}, {"size": 99, "remedy": "resize"}, {"depth": 1}])
def test_pointing_says_which_stages_cost_the_most(widget_page, net):
    page = widget_page(UNetBuilder(**net))
    expect(sentence(page)).to_contain_text("its maps fill")
    expect(sentence(page)).not_to_contain_text("No stage costs more")  # the reader guesses first
    area(page, "encoder 1").hover()
    expect(sentence(page)).to_contain_text("No stage costs more")
    said = re.search("multiplications than (.*): (\\d+)\\s%( each)?\\.$", sentence(page).inner_text())
    net = {"size": 96, "depth": 3, "width": 16, "skip": "concat"} | net
    with torch.device("meta"):
        model = UNet([net["width"] * 2**level for level in range(net["depth"])], skip=net["skip"])
    costs = {row[0]: row[4] for row in traced(model, net["size"])}
    shares = {name: math.floor(100 * cost / sum(costs.values()) + 0.5) for name, cost in costs.items()}
    dearest = [name for name, share in shares.items() if share == max(shares.values())]
    assert int(said[2]) == max(shares.values()) and bool(said[3]) == (len(dearest) > 1)
    levels = [name for name in costs if name.startswith("decoder")]
    together = "a level of the decoder" if dearest == levels and len(levels) > 1 else " and ".join(dearest)
    assert said[1] == together


def test_the_frame_on_the_picture_is_what_a_pixel_sees(widget_page):
    page = widget_page(UNetBuilder(stage="encoder 3"))
    picture = page.get_by_role("application")
    box = picture.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    expect(sentence(page)).to_contain_text("sees 18 × 18 px of the image")  # of 32, from -14 to 17
    frame = page.locator(".lesson-unet-seen").bounding_box()
    assert frame["width"] == pytest.approx(box["width"] * 18 / 96, abs=1)
    assert (frame["x"], frame["y"]) == pytest.approx((box["x"], box["y"]), abs=1)
    picture.focus()
    page.keyboard.press("ArrowRight")
    expect(sentence(page)).to_contain_text("sees 18 × 22 px of the image")
    page.keyboard.press("ArrowDown")
    expect(sentence(page)).to_contain_text("sees 22 × 22 px of the image")


def test_an_address_sets_the_state_of_its_own_widget_and_reset_takes_it_back(widget_page):
    address = '#unet_builder-2?size=33&depth=2&width=8&skip="add"&remedy="crop"&convolutions=1'
    page = widget_page(UNetBuilder(), UNetBuilder(), hash=address)
    assert shapes_on(page) == [shape for _, shape in level_shapes(UNet(), 96)]
    assert shapes_on(page, "unet_builder-2") == [shape for _, shape in level_shapes(UNet((8, 16), skip="add"), 33)]
    expect(sentence(page, "unet_builder-2")).to_contain_text("Cropped")
    page.locator("#unet_builder-2").get_by_role("button", name="Reset").click()
    expect(stage(page, "head", "unet_builder-2")).to_have_attribute("aria-label", "The scores: 7 × 96 × 96")
    page.evaluate("location.hash = '#unet_builder?width=5&depth=9&skip=\"all\"'")
    expect(stage(page, "bottleneck")).to_have_attribute("aria-label", "Bottleneck: 512 × 3 × 3")  # depth 5 at most


def test_a_stage_that_a_smaller_network_lacks_gives_way_to_the_bottleneck(widget_page):
    page = widget_page(UNetBuilder(stage="encoder 3"))
    page.get_by_role("slider", name="Levels").press("ArrowLeft")
    expect(sentence(page)).to_contain_text("Bottleneck: a px of its 24 × 24")


@pytest.mark.parametrize("width", [320, 390, 860, 1100])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(widget_page, width, theme):
    deep = UNetBuilder(size=250, depth=5, width=64, convolutions=4)
    page = widget_page(deep, UNetBuilder(size=99, remedy="pad", skip="add"), width=width)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("unet_builder", "unet_builder-2"):
        card = page.locator(f"#{name} .lesson-unet-drawing").bounding_box()
        for shape in page.locator(f"#{name} .lesson-option:not([hidden]) .lesson-unet-shape").all():
            box = shape.bounding_box()
            assert card["x"] - 1 <= box["x"] and box["x"] + box["width"] <= card["x"] + card["width"] + 1
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("state", [{"depth": 6}, {"width": 5}, {"skip": "all"}, {"remedy": "glue"}, {"size": 4}])
def test_wrong_states_are_refused(state):
    with pytest.raises(TraitError):
        UNetBuilder(**state)


def test_the_still_holds_every_shape():
    widget = UNetBuilder(size=33, depth=2, width=8)
    texts = [text.get_text() for text in widget.still().axes[0].texts]
    assert texts == [" × ".join(map(str, shape)) for _, shape in level_shapes(UNet((8, 16)), 33)]
