"""Curves of mean IoU against labels, the still of the label budget."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def draw_curves(
    budgets: Sequence[int], scores: Mapping[str, Sequence[Sequence[float]]], baselines: Mapping[str, float]
) -> Figure:
    """Draw one line an arm, with its spread over seeds, and a dotted line for each baseline.

    Args:
        budgets: B growing numbers of labelled scenes.
        scores: {arm: B lists, the mean IoU of each seed}.
        baselines: {name: mean IoU} of what does not depend on the labels.

    Returns:
        A figure with one axes; labels are on a logarithmic scale.

    Example:
        >>> figure = draw_curves([8, 16], {"new": [[0.25, 0.375], [0.5, 0.5]]}, {"colour alone": 0.25})
        >>> figure.axes[0].get_legend_handles_labels()[1]
        ['new', 'colour alone']
    """
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    ax = figure.add_subplot(xscale="log", xlabel="labelled scenes", ylabel="mean IoU")
    for arm, rows in scores.items():
        (line,) = ax.plot(budgets, [sum(row) / len(row) for row in rows], "o-", ms=4, label=arm)
        lowest, highest = zip(*((min(row), max(row)) for row in rows))
        ax.fill_between(budgets, lowest, highest, color=line.get_color(), alpha=0.2)
    for name, value in baselines.items():
        ax.axhline(value, color="0.5", ls=":", label=name)
    ax.minorticks_off()
    ax.set_xticks(budgets, budgets)
    ax.tick_params(colors="0.5")
    ax.spines[["top", "right"]].set_visible(False)
    for part in (*ax.spines.values(), ax.xaxis.label, ax.yaxis.label):
        part.set_color("0.5")
    ax.legend(frameon=False, labelcolor="0.5")
    return figure
