"""The U of a U-Net as a matplotlib figure, drawn from the shapes that the model itself gives."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

INK = "#797D81"  # reads on light and on dark
COLORS = {"encoder": "#2B909E", "bottleneck": "#8A6FC9", "decoder": "#C4602A"}
WIDTH, TOP, HEIGHT = 576, 28, 150  # of the figure, above the first level, of the highest map; px
SLOT, GAP, FOOT = 26, 30, 24  # least height of a level, between levels, below the last; px
PLANE, AWAY = 12, 30  # width of image and scores, and from them to the next block; px
LEAST, EDGE = 4, 2  # height of the smallest block; of the margins left and right; px

Levels = Sequence[tuple[str, tuple[int, int, int]]]


def draw_unet(levels: Levels) -> Figure:
    """Draw a network as the U: the encoder down the left, the bottleneck below, the decoder up the right.

    A level is a block as high as its map and wider the more channels it has (each doubling adds the same width). The
    arrows across are the skips.

    Args:
        levels: (name, (C, h, w)) in the order of the forward pass, as `level_shapes` gives them: "input", "encoder 1"
            and so on, "bottleneck", the decoder's levels by the numbers of the encoder's that they meet, "head".

    Returns:
        The figure; its texts are the shapes.

    Raises:
        ValueError: a decoder's level has no partner in the encoder, or input, bottleneck or head is missing.

    Example:
        >>> shapes = [(3, 8, 8), (16, 8, 8), (32, 4, 4), (16, 8, 8), (7, 8, 8)]
        >>> figure = draw_unet(list(zip(["input", "encoder 1", "bottleneck", "decoder 1", "head"], shapes)))
        >>> [text.get_text() for text in figure.axes[0].texts][:2]
        ['3 × 8 × 8', '16 × 8 × 8']
    """
    shapes = dict(levels)
    depth = sum(name.startswith("encoder") for name in shapes)
    wanted = {f"{kind} {level}" for kind in ("encoder", "decoder") for level in range(1, depth + 1)}
    wanted |= {"input", "bottleneck", "head"}
    if wanted != set(shapes):
        raise ValueError(
            "a U has input, bottleneck, head, and for each encoder level a decoder level of the same number: got "
            f"{', '.join(shapes)}; take the levels from level_shapes"
        )
    scale = HEIGHT / max(height for _, height, _ in shapes.values())
    tall = {name: max(LEAST, scale * height) for name, (_, height, _) in shapes.items()}
    wide = {name: 4 + 4 * math.log2(channels) for name, (channels, _, _) in shapes.items()}
    wide |= {"input": PLANE, "head": PLANE}

    middle, top = {}, TOP
    for level in range(1, depth + 1):
        row = f"encoder {level}", f"decoder {level}"
        slot = max(SLOT, *(tall[name] for name in row))
        middle |= dict.fromkeys(row, top + slot / 2)
        top += slot + GAP
    middle["bottleneck"] = top + tall["bottleneck"] / 2
    middle |= {"input": middle["encoder 1"], "head": middle["decoder 1"]}
    bottom = top + tall["bottleneck"] + FOOT

    column = EDGE + PLANE + AWAY + max(wide[name] for name in shapes) / 2
    centre = {name: column if name[0] == "e" else WIDTH - column for name in shapes}
    centre |= {"input": EDGE + PLANE / 2, "head": WIDTH - EDGE - PLANE / 2, "bottleneck": WIDTH / 2}

    figure = Figure(figsize=(WIDTH / 72, bottom / 72), facecolor="none", layout="none")
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(bottom, 0))
    ax.set_axis_off()

    def edge(name: str, dx: int, dy: int, away: float = 3) -> tuple[float, float]:
        """Return the point `away` px from the middle of a block's edge; dx, dy in -1, 0, 1 say which."""
        return (
            centre[name] + dx * (wide[name] / 2 + away),
            middle[name] + dy * (tall[name] / 2 + away),
        )

    def arrow(start: tuple, end: tuple, color: str = INK, bend: str = "arc3") -> None:
        style = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0, "lw": 1.4}
        ax.add_patch(FancyArrowPatch(start, end, connectionstyle=bend, color=color, **style))

    def write(name: str, place: tuple[float, float], **style) -> None:
        ax.text(*place, " × ".join(map(str, shapes[name])), color=INK, size=12, **style)

    for name in shapes:
        color = COLORS.get(name.split()[0], INK)
        corner = (centre[name] - wide[name] / 2, middle[name] - tall[name] / 2)
        block = Rectangle(corner, wide[name], tall[name], facecolor=(color, 0.35), edgecolor=color, linewidth=1.4)
        block.set_gid(name)
        ax.add_patch(block)
        if name in ("input", "head"):
            left = name == "input"
            place = (EDGE if left else WIDTH - EDGE, edge(name, 0, -1, 6)[1])
            write(name, place, ha="left" if left else "right", va="bottom")
        elif name == "bottleneck":
            write(name, edge(name, 0, 1, 5), ha="center", va="top")
        else:
            side = 1 if name[0] == "e" else -1
            x, y = edge(name, side, 0, 8)
            write(name, (x, y - 3), ha="left" if side > 0 else "right", va="bottom")

    arrow(edge("input", 1, 0), edge("encoder 1", -1, 0))
    arrow(edge("decoder 1", 1, 0), edge("head", -1, 0))
    for level in range(1, depth + 1):
        down, up = f"encoder {level}", f"decoder {level}"
        arrow(edge(down, 1, 0), edge(up, -1, 0), color=COLORS["encoder"])
        if level < depth:
            arrow(edge(down, 0, 1), edge(f"encoder {level + 1}", 0, -1))
            arrow(edge(f"decoder {level + 1}", 0, -1), edge(up, 0, 1))
        else:
            arrow(edge(down, 0, 1), edge("bottleneck", -1, 0), bend="angle,angleA=90,angleB=0,rad=10")
            arrow(edge("bottleneck", 1, 0), edge(up, 0, 1), bend="angle,angleA=0,angleB=90,rad=10")
    return figure
