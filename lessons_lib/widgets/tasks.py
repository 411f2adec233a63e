"""The four tasks on one picture: what each of them answers about the pixel under the pointer."""

from collections.abc import Sequence

import numpy as np
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons_lib.palette import COLORS, INSTANCE_SHADES, overlay
from lessons_lib.widgets.base import LessonWidget
from lessons_lib.widgets.task_picture import TaskPicture

TASKS = ("classification", "semantic segmentation", "object detection", "instance segmentation")


class Tasks(LessonWidget):
    """One picture, one pixel, and what four tasks answer about it.

    Args:
        pictures: what the reader may choose from.
        **state: of the first frame, where it is not the default: picture, task, row, column, opacity, title, alt.

    Raises:
        ValueError: there is no picture, a class has no colour, or class ids and instance ids disagree.

    Example:
        >>> stripes = np.array([[0, 1], [0, 1]])
        >>> picture = TaskPicture("Stripes", np.ones((2, 2, 3)), stripes, stripes, ("grass", "cow"), ("cow",))
        >>> Tasks([picture], task="object detection").pictures[0]["map"]
        'abab'
    """

    name = "tasks"
    title = traitlets.Unicode("Four tasks, one picture").tag(sync=True)
    alt = traitlets.Unicode("One scene: its one word, the class of every pixel, boxes, masks of things.").tag(sync=True)
    pictures = traitlets.List().tag(sync=True)
    shades = traitlets.List(list(INSTANCE_SHADES)).tag(sync=True)
    picture = traitlets.Int(0).tag(sync=True)
    task = traitlets.Enum(TASKS, TASKS[3]).tag(sync=True)
    row = traitlets.Int().tag(sync=True)
    column = traitlets.Int().tag(sync=True)
    opacity = traitlets.Int(60, min=0, max=100).tag(sync=True)  # percent

    def __init__(self, pictures: Sequence[TaskPicture], **state):
        if not pictures:
            raise ValueError("the widget shows at least one picture: got none; give a list of TaskPicture")
        described = [picture.state() for picture in pictures]
        row, column = described[state.get("picture", 0)]["start"]
        super().__init__(**{"pictures": described, "row": row, "column": column} | state)
        self.shown = pictures[self.picture].thinned()

    def still(self) -> Figure:
        """Draw the picture of the first frame with the answers of the four tasks side by side.

        Returns:
            A figure of four panels.
        """
        _, image, class_ids, instance_ids, names, things = self.shown
        semantic, masks = (overlay(image, class_ids, names, self.opacity / 100, ids) for ids in (None, instance_ids))
        titles = (f"{TASKS[0]}: {self.shown.word()}", *TASKS[1:])
        panels = (image, semantic, image, np.where(instance_ids[..., None] > 0, masks, image))
        figure = Figure(figsize=(9, 2.5), layout="constrained")
        for ax, title, panel in zip(figure.subplots(1, 4), titles, panels):
            ax.imshow(panel)
            ax.set_title(title, fontsize=10, color="0.5")
            ax.set_axis_off()
        for segment in self.shown.segments()[1]:
            (x, y, width, height), name = segment["bbox"], names[segment["category_id"]]
            if name in things:
                box = Rectangle((x - 0.5, y - 0.5), width, height, fill=False, linewidth=2, edgecolor=COLORS[name])
                figure.axes[2].add_patch(box)
        return figure
