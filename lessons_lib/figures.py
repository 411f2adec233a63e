"""Figures of the book: data in, matplotlib out, in one style that reads on light and on dark pages."""

import base64
import html
from collections.abc import Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lessons_lib.palette import COLORS, HATCHES
from lessons_lib.widgets import base
from lessons_lib.widgets.unet_picture import draw_unet as draw_unet

INK = "#797D81"  # the grey with about the same contrast, 4.2, on the light page and on the dark one
LINES = ("#C4602A", "#8A6FC9", "#2B909E", "#B9548F", "#6E8B2F")  # of models and settings; no class has them

# Font sizes are in pt; `show` sets one inch to 72 CSS px, so they are also CSS px on the page.
STYLE = {
    "figure.figsize": (9, 4),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.prop_cycle": matplotlib.cycler(color=LINES),
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.family": "STIXGeneral",
    "font.size": 14,
    "mathtext.fontset": "stix",
    "lines.linewidth": 2,
    "legend.frameon": False,
    "hatch.linewidth": 1,
    "image.interpolation": "nearest",
}


def use_style() -> None:
    """Give every figure drawn from now on the book's style."""
    matplotlib.rcParams.update(STYLE)


def show(figure: Figure, alt: str, caption: str) -> None:
    """Show a figure with its text alternative and its caption, and close it.

    On the built page the picture is a file beside the page, in live Jupyter it stands in the notebook.

    Args:
        figure: what to show; an inch of it is 72 CSS px wide.
        alt: what the figure shows, for a reader who does not see it.
        caption: what to see in it. Plain text.

    Raises:
        ValueError: alt or caption is empty.

    Example:
        >>> show(Figure(), alt="", caption="No ear.")
        Traceback (most recent call last):
        ValueError: every figure has a text alternative and a caption: got alt '' and caption 'No ear.'; write both
    """
    if not alt.strip() or not caption.strip():
        raise ValueError(
            f"every figure has a text alternative and a caption: got alt {alt!r} and caption {caption!r}; write both"
        )
    picture = base.figure_webp(figure)
    width, height = (round(72 * side) for side in figure.get_size_inches())
    plt.close(figure)
    if base.static_folder() is None:
        source = "data:image/webp;base64," + base64.b64encode(picture).decode()
    else:
        source = "../_static/lessons/" + base.keep(picture, "figure", ".webp")
    display(
        HTML(
            f'<figure class="lesson-figure"><img loading="lazy" src="{source}" width="{width}" height="{height}" '
            f'alt="{html.escape(alt)}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        )
    )


def show_images(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    size: float = 2,
    smooth: bool = False,
) -> Figure:
    """Draw pictures in a grid at one scale.

    Args:
        rows: pictures (H, W, 3) in [0, 1] or uint8, or (H, W) in [0, 1] as grey, row by row.
        row_names: one name a row, or none.
        column_names: one name a column, or none.
        size: height of each picture in inches.
        smooth: True for photographs, False where single pixels are the subject.

    Returns:
        The figure; `figure.axes` holds one Axes a picture, row by row.

    Raises:
        ValueError: the rows differ in length, or the names do not fit them.

    Example:
        >>> figure = show_images([[np.zeros((4, 4, 3)), np.ones((4, 4, 3))]], column_names=["night", "day"])
        >>> [ax.get_title() for ax in figure.axes]
        ['night', 'day']
    """
    shape = len(rows), len(rows[0])
    fits = len(row_names) in (0, shape[0]) and len(column_names) in (0, shape[1])
    if not fits or any(len(row) != shape[1] for row in rows):
        raise ValueError(
            "rows are equally long and every one has a name, or none: got rows of "
            f"{[len(row) for row in rows]} pictures, {len(row_names)} row names and {len(column_names)} column names; "
            "fill the grid, or leave the names out"
        )
    widths = [rows[0][column].shape[1] / rows[0][column].shape[0] for column in range(shape[1])]
    gap, left, top = 0.06, 0.3 if row_names else 0, 0.3 if column_names else 0  # inches
    figure = Figure(
        figsize=(left + size * sum(widths) + gap * shape[1], top + (size + gap) * shape[0]), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=gap / 2, h_pad=gap / 2, wspace=0, hspace=0)
    grid = figure.subplots(*shape, squeeze=False, width_ratios=widths)
    for row, axes in enumerate(grid):
        for column, ax in enumerate(axes):
            picture = rows[row][column]
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="antialiased" if smooth else "nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    for ax, name in zip(grid[0], column_names):
        ax.set_title(name, loc="center")
    for ax, name in zip(grid[:, 0], row_names):
        ax.set_ylabel(name)
    return figure


def curve_with_spread(ax: Axes, x: Sequence[float], runs: np.ndarray, label: str, *, color: str | None = None) -> None:
    """Draw the mean of several runs as a line with its name, their range as a band, each run as a thin line.

    Args:
        ax: where to draw.
        x: (N,) positions.
        runs: (R, N), one row a seed.
        label: the line's name.
        color: None takes the next of the style.

    Raises:
        ValueError: runs is not (R, N).

    Example:
        >>> ax = Figure().subplots()
        >>> curve_with_spread(ax, [1, 3, 5], np.array([[0.2, 0.4, 0.5], [0.3, 0.4, 0.6]]), "mIoU")
        >>> len(ax.lines), ax.texts[0].get_text()
        (3, 'mIoU')
    """
    runs = _runs(runs, len(x))
    (line,) = ax.plot(x, runs.mean(axis=0), color=color, marker="o", markersize=4.5, zorder=3)
    color = line.get_color()
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.18, linewidth=0)
    for run in runs:
        ax.plot(x, run, color=color, linewidth=0.8, alpha=0.55)
    _name_line(ax, (x[-1], runs.mean(axis=0)[-1]), label, color)


def bars(ax: Axes, names: Sequence[str], runs: np.ndarray, *, form: str = "{:.2f}") -> None:
    """Draw the mean of several runs as one bar a name, its value above it, each run as a dot.

    Args:
        ax: where to draw.
        names: (N,) what is compared, from left to right.
        runs: (R, N), one row a seed.
        form: how a value is written.

    Raises:
        ValueError: runs is not (R, N).

    Example:
        >>> ax = Figure().subplots()
        >>> bars(ax, ["1 px", "9 px"], [[0.31, 0.62], [0.33, 0.64]])
        >>> [text.get_text() for text in ax.texts]
        ['0.32', '0.63']
    """
    runs = _runs(runs, len(names))
    color = LINES[0]
    ax.bar(names, runs.mean(axis=0), width=0.62, color=color, alpha=0.35)
    if len(runs) > 1:
        ax.plot(np.arange(len(names)), runs.T, color=color, linestyle="none", marker="o", markersize=3.5)
    for place, (mean, top) in enumerate(zip(runs.mean(axis=0), runs.max(axis=0))):
        ax.annotate(form.format(mean), (place, top), (0, 6), textcoords="offset points", ha="center")
    ax.tick_params(axis="x", length=0)


def trivial_baseline(ax: Axes, value: float, label: str) -> None:
    """Draw the trivial answer's score as a dashed line across, its name on the line.

    Args:
        ax: where to draw; the score is on its vertical axis.
        value: the score.
        label: what the trivial answer is.

    Example:
        >>> ax = Figure().subplots()
        >>> trivial_baseline(ax, 0.31, "all grass")
        >>> ax.texts[0].get_text()
        'all grass'
    """
    ax.axhline(value, color=INK, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
    _name_line(ax, (1, value), label, INK, xycoords=("axes fraction", "data"))


def class_legend(figure: Figure, names: Sequence[str]) -> None:
    """Widen a figure and name the colours of its classes on the right.

    Args:
        figure: with constrained layout, as `show_images` returns it.
        names: classes that have a colour in the palette.

    Example:
        >>> figure = show_images([[np.zeros((4, 4, 3))]])
        >>> class_legend(figure, ["grass", "cow"])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['grass', 'cow']
    """
    swatches = [
        Patch(facecolor=COLORS[name], label=name)
        if name not in HATCHES
        else Patch(facecolor=COLORS[name], edgecolor=HATCHES[name].color, hatch="//////", linewidth=0, label=name)
        for name in names
    ]
    figure.set_figwidth(figure.get_figwidth() + 0.35 + 0.11 * max(map(len, names)))
    figure.legend(
        handles=swatches, loc="outside right center", frameon=False, handlelength=1, handleheight=1, borderaxespad=0
    )


def _runs(runs: np.ndarray, count: int) -> np.ndarray:
    """Return runs as an array (R, count)."""
    runs = np.asarray(runs)
    if runs.ndim != 2 or runs.shape[1] != count:
        raise ValueError(
            f"runs has one row a seed and one column a value: got the shape {runs.shape} for {count} values; "
            "stack the seeds, even a single one"
        )
    return runs


def _name_line(ax: Axes, end: tuple[float, float], name: str, color: str, xycoords: object = "data") -> None:
    """Write a line's name right of its end."""
    ax.annotate(name, end, (9, 0), xycoords, "offset points", va="center", color=color, annotation_clip=False)
