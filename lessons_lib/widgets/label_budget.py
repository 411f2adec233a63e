"""The label budget: how good networks get with few labelled scenes, and what they then say."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lessons_lib.palette import colorize
from lessons_lib.widgets.base import LessonWidget, picture_uri
from lessons_lib.widgets.budget_curves import draw_curves
from lessons_lib.widgets.class_maps import encode_runs


class LabelBudget(LessonWidget):
    """Mean IoU against labels, with a budget that the reader drags and the predictions at that budget.

    At first only the smallest budget has points, and the reader guesses how many labels one arm needs to catch up.

    Args:
        images: (N, H, W, 3) in [0, 1], the scenes.
        truths: (N, H, W) class ids; 255 is void.
        maps: {arm: {number of labels: class ids (N, H, W)}}, what one seed's network predicts.
        scores: {arm: {number of labels: mean IoU of each seed}}; arms and labels as in `maps`, labels growing.
        class_names: name of class 0, 1, 2 ...
        asked: two arms: how many labels does the second need to reach the first at its smallest budget?
        baselines: {name: mean IoU} of what does not depend on the labels.
        **state: of the first frame: `budget`, counted from 0; `scene`; `view`, "prediction" or "errors"; `guess`, a
            budget or, for more than the largest, their number, -1 for none; `row` and `column` of the pixel that
            is pointed at, -1 for none; `title`; `alt`.

    Raises:
        ValueError: arms, labels or arrays do not fit together, or a class has no name or colour.

    Example:
        >>> truth = np.array([[[0, 1]]])  # (N, H, W) = (1, 1, 2)
        >>> maps = {"new": {8: truth}, "pretrained": {8: truth}}
        >>> scores = {"new": {8: [0.25, 0.375]}, "pretrained": {8: [0.5, 0.75]}}
        >>> LabelBudget(np.zeros((1, 1, 2, 3)), truth, maps, scores, ["sky", "cat"], ("pretrained", "new")).budgets
        [8]
    """

    name = "label_budget"
    title = traitlets.Unicode("How many labels does it take?").tag(sync=True)
    alt = traitlets.Unicode("Mean IoU against labelled scenes, one line an arm, with its spread.").tag(sync=True)
    size = traitlets.List().tag(sync=True)  # [H, W], px
    photos = traitlets.List().tag(sync=True)  # one a scene
    truths = traitlets.List().tag(sync=True)  # one a scene, as runs
    arms = traitlets.List().tag(sync=True)
    budgets = traitlets.List().tag(sync=True)  # labelled scenes, growing
    maps = traitlets.List().tag(sync=True)  # [arm][budget][scene], as runs
    scores = traitlets.List().tag(sync=True)  # [arm][budget][seed], mean IoU
    asked = traitlets.List().tag(sync=True)  # two arms
    baselines = traitlets.Dict().tag(sync=True)
    class_names = traitlets.List().tag(sync=True)
    budget = traitlets.Int(0, min=0).tag(sync=True)
    scene = traitlets.Int(0, min=0).tag(sync=True)
    view = traitlets.Enum(("prediction", "errors"), "prediction").tag(sync=True)
    guess = traitlets.Int(-1, min=-1).tag(sync=True)
    row = traitlets.Int(-1, min=-1).tag(sync=True)
    column = traitlets.Int(-1, min=-1).tag(sync=True)

    def __init__(
        self,
        images: np.ndarray,
        truths: np.ndarray,
        maps: Mapping,
        scores: Mapping,
        class_names: Sequence,
        asked: Sequence,
        baselines: Mapping | None = None,
        **state,
    ):
        grid = {arm: list(budgets) for arm, budgets in scores.items()}
        budgets = next(iter(grid.values()))
        if grid != {arm: sorted(budgets) for arm in maps} or grid != {arm: list(row) for arm, row in maps.items()}:
            raise ValueError(f"all arms have the same growing labels: got {grid} with scores; record what is missing")
        if len(set(asked) & set(grid)) != 2:
            raise ValueError(f"asked names two arms of {list(grid)}: got {list(asked)}; choose among them")
        for ids in (truths, *(ids for row in maps.values() for ids in row.values())):
            if ids.shape != images.shape[:3]:
                raise ValueError(f"one map a scene, {images.shape[:3]}: got {ids.shape}; cut all alike")
            colorize(ids.reshape(-1, ids.shape[-1]), class_names)  # raises where a class has no name or colour
        lists = {"arms": grid, "budgets": budgets, "asked": asked, "class_names": class_names, "size": truths.shape[1:]}
        super().__init__(
            photos=[picture_uri(image, lossless=False) for image in images],
            truths=[encode_runs(ids) for ids in truths],
            maps=[[[encode_runs(ids) for ids in maps[arm][labels]] for labels in budgets] for arm in grid],
            scores=[[list(values) for values in row.values()] for row in scores.values()],
            baselines=dict(baselines or {}),
            **{key: list(values) for key, values in lists.items()} | state,
        )

    def still(self) -> Figure:
        """Draw all curves: there is nothing to guess where nothing moves.

        Returns:
            A figure of mean IoU against labels, one line an arm with its spread.
        """
        return draw_curves(self.budgets, dict(zip(self.arms, self.scores)), self.baselines)
