"""Figures: the style reads on both pages, helpers draw what they are given, `show` keeps its promises."""

import re

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lessons_lib import figures
from lessons_lib.models.costs import level_shapes
from lessons_lib.models.unet import UNet
from lessons_lib.models.unet_2015 import UNet2015
from lessons_lib.palette import COLORS
from lessons_lib.widgets import unet_picture


@pytest.fixture
def shown(monkeypatch):
    """What `show` hands to the notebook, as HTML."""
    pages = []
    monkeypatch.setattr(figures, "display", lambda shown: pages.append(shown.data))
    return pages


def contrast(one, other):
    """Contrast ratio of two colours after WCAG 2.1."""

    def luminance(color):
        parts = np.array(to_rgb(color))
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#FFFEFB", "#14181D"])
def test_ink_and_lines_read_on_light_and_on_dark(page):
    assert contrast(figures.INK, page) >= 4
    assert min(contrast(color, page) for color in figures.LINES) >= 3


def test_no_line_has_the_colour_of_a_class():
    assert not set(figures.LINES) & set(COLORS.values())


def test_every_style_key_is_known_and_used():
    with matplotlib.rc_context():
        figures.use_style()
        assert Figure().get_facecolor()[3] == 0
        assert {key: matplotlib.rcParams[key] for key in ("text.color", "axes.spines.top")} == {
            "text.color": figures.INK,
            "axes.spines.top": False,
        }


def test_show_writes_a_file_when_the_book_is_built(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path))
    figures.show(Figure(figsize=(3, 2)), alt='A "cat" & its <ear>', caption="The <ear> disappears.")
    name = re.search(r'src="\.\./_static/lessons/(figure\.[0-9a-f]{10}\.webp)"', shown[0])[1]
    assert (tmp_path / name).read_bytes()[8:12] == b"WEBP"
    assert 'width="216" height="144"' in shown[0]
    assert 'loading="lazy"' in shown[0]
    assert 'alt="A &quot;cat&quot; &amp; its &lt;ear&gt;"' in shown[0]
    assert "<figcaption>The &lt;ear&gt; disappears.</figcaption>" in shown[0]


def test_show_puts_the_picture_into_a_live_notebook_and_closes_it(shown, monkeypatch):
    monkeypatch.delenv("LESSONS_STATIC", raising=False)
    figure, _ = figures.plt.subplots()
    figures.show(figure, alt="Nothing.", caption="Nothing to see.")
    assert 'src="data:image/webp;base64,' in shown[0]
    assert not figures.plt.fignum_exists(figure.number)


@pytest.mark.parametrize("words", [{"alt": " ", "caption": "See."}, {"alt": "A cat.", "caption": ""}])
def test_show_wants_alt_and_caption(words):
    with pytest.raises(ValueError, match="text alternative and a caption"):
        figures.show(Figure(), **words)


def test_show_images_keeps_one_scale_and_names_rows_and_columns():
    wide, square = np.zeros((10, 20, 3)), np.zeros((10, 10, 3))
    figure = figures.show_images([[wide, square], [wide, square]], row_names=["a", "b"], column_names=["left", "right"])
    figure.draw_without_rendering()
    axes = np.array(figure.axes).reshape(2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["left", "right"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["a", "b"]
    boxes = [ax.get_window_extent() for ax in figure.axes]
    heights = [box.height for box in boxes]
    assert max(heights) - min(heights) < 1
    assert boxes[0].width == pytest.approx(2 * boxes[1].width, rel=0.02)


def test_show_images_refuses_a_ragged_grid_and_missing_names():
    picture = np.zeros((4, 4, 3))
    with pytest.raises(ValueError, match=r"rows of \[2, 1\] pictures"):
        figures.show_images([[picture, picture], [picture]])
    with pytest.raises(ValueError, match="1 column names"):
        figures.show_images([[picture, picture]], column_names=["one"])


def test_curve_shows_mean_range_and_every_seed():
    ax = Figure().subplots()
    runs = np.array([[0.1, 0.5], [0.3, 0.6], [0.2, 0.4]])
    figures.curve_with_spread(ax, [1, 9], runs, "mIoU")
    assert ax.lines[0].get_ydata() == pytest.approx([0.2, 0.5])
    assert [line.get_ydata().tolist() for line in ax.lines[1:]] == runs.tolist()
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.1, 0.6)
    assert len({line.get_color() for line in ax.lines}) == 1
    assert ax.texts[0].xy == pytest.approx((9, 0.5))


def test_bars_show_means_and_seeds():
    ax = Figure().subplots()
    figures.bars(ax, ["one pass", "windows"], [[1, 60], [3, 64]], form="{:.0f} times")
    assert [bar.get_height() for bar in ax.patches] == [2, 62]
    assert [text.get_text() for text in ax.texts] == ["2 times", "62 times"]
    assert ax.lines[0].get_ydata().tolist() == [1, 60]


@pytest.mark.parametrize("runs", [[0.1, 0.2], [[0.1, 0.2, 0.3]]])
def test_runs_of_another_shape_are_refused(runs):
    with pytest.raises(ValueError, match="one row a seed"):
        figures.curve_with_spread(Figure().subplots(), [1, 3], runs, "mIoU")
    with pytest.raises(ValueError, match="one row a seed"):
        figures.bars(Figure().subplots(), ["a", "b"], runs)


def test_class_legend_has_the_palettes_colours_and_leaves_the_pictures_their_size():
    picture = np.zeros((10, 10, 3))
    plain, named = figures.show_images([[picture]]), figures.show_images([[picture]])
    figures.class_legend(named, ["sky", "tree"])
    for figure in (plain, named):
        figure.draw_without_rendering()
    sky, tree = named.legends[0].get_patches()
    assert sky.get_facecolor()[:3] == pytest.approx(to_rgb(COLORS["sky"]))
    assert tree.get_hatch() and not sky.get_hatch()
    widths = [figure.axes[0].get_window_extent().width for figure in (plain, named)]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


@pytest.mark.parametrize(("model", "size"), [(UNet, 97), (lambda: UNet((4, 8), skip="add"), (24, 31)), (UNet2015, 572)])
def test_a_drawn_unet_holds_every_shape_and_is_to_scale(model, size):
    with torch.device("meta"):
        levels = level_shapes(model(), size)
    ax = figures.draw_unet(levels).axes[0]
    assert [text.get_text() for text in ax.texts] == [" × ".join(map(str, shape)) for _, shape in levels]
    blocks = {patch.get_gid(): patch for patch in ax.patches if patch.get_gid()}
    assert list(blocks) == [name for name, _ in levels]
    tallest = max(height for _, (_, height, _) in levels)
    inner = [(blocks[name], shape) for name, shape in levels if name not in ("input", "head")]
    for block, (channels, height, _) in inner:
        assert block.get_height() == pytest.approx(unet_picture.HEIGHT * height / tallest)
        more = [other.get_width() - block.get_width() for other, shape in inner if shape[0] == 2 * channels]
        assert np.ptp([*more, 4]) < 1e-9  # each doubling adds 4 px
    depth = sum(name.startswith("encoder") for name, _ in levels)
    assert len(ax.patches) == len(levels) + 3 * depth + 2  # arrows across, down and up; in and out


def test_a_drawn_unet_runs_down_and_up_in_the_figure():
    with torch.device("meta"):
        figure = figures.draw_unet(level_shapes(UNet((64, 128, 256, 512, 1024)), 256))
    middles = {}
    for patch in figure.axes[0].patches:
        if patch.get_gid():
            middles[patch.get_gid()] = patch.get_y() + patch.get_height() / 2, patch.get_x() + patch.get_width() / 2
    down = [middles[f"encoder {level}"] for level in range(1, 6)] + [middles["bottleneck"]]
    assert [y for y, _ in down] == sorted({y for y, _ in down})
    for level in range(1, 6):
        (left_y, left), (right_y, right) = middles[f"encoder {level}"], middles[f"decoder {level}"]
        assert left_y == right_y and left < middles["bottleneck"][1] < right
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


def test_only_a_unet_is_drawn():
    with pytest.raises(ValueError, match=r"decoder level of the same number: got input, encoder 1, head; take"):
        figures.draw_unet([("input", (3, 8, 8)), ("encoder 1", (16, 8, 8)), ("head", (7, 8, 8))])


def test_the_unet_has_the_ink_and_the_colours_of_the_style():
    assert unet_picture.INK == figures.INK
    assert set(unet_picture.COLORS.values()) <= set(figures.LINES)
