"""The recorded kind of widget: a function answers every move in Jupyter; the built page plays what it answered."""

import base64
import inspect
import itertools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import traitlets
from IPython.display import Image, display
from ipywidgets import SelectionSlider, interactive
from matplotlib.figure import Figure

from lessons_lib.widgets.base import LessonWidget, figure_webp, static_folder

MOST_FRAMES = 60
PICTURE_WIDTH = 960  # px that a small picture array is enlarged to, by a whole factor


class Explore(LessonWidget):
    """The same controls over recorded frames."""

    name = "explore"
    controls = traitlets.List().tag(sync=True)  # {label, options}: the options are words
    pictures = traitlets.List().tag(sync=True)  # one a setting, the last control runs fastest
    sentences = traitlets.List().tag(sync=True)  # what each picture shows
    position = traitlets.List().tag(sync=True)  # number of the chosen option, one a control
    size = traitlets.List().tag(sync=True)  # width and height of a picture, CSS px
    first = traitlets.Instance(Figure)

    def still(self) -> Figure:
        """Give the figure of the first state.

        Returns:
            What the function drew.
        """
        return self.first


def _answer(function: Callable, chosen: dict) -> tuple[Figure, str]:
    """Ask the function, and turn a picture array into a figure that shows it pixel for pixel."""
    match function(**chosen):
        case (Figure() as figure, str() as sentence):
            plt.close(figure)  # else the notebook shows it once more
        case (np.ndarray() as picture, str() as sentence):
            factor = max(1, PICTURE_WIDTH // picture.shape[1])
            figure = Figure(figsize=[factor * side / 144 for side in picture.shape[1::-1]])
            figure.add_axes((0, 0, 1, 1), frameon=False).imshow(picture, interpolation="nearest")
        case other:
            raise TypeError(f"a function to explore returns (Figure or picture array, sentence): got {other!r}")
    return figure, sentence


def explore(function: Callable, *, start: dict | None = None, **controls) -> Explore | interactive:
    """Let the reader choose a function's arguments and see what it answers.

    Args:
        function: takes one keyword argument a control; returns (matplotlib Figure or picture array (H, W, 3), a
            sentence that says what is seen). The first line of its docstring is the title on the page.
        start: {control: value} where the first value of a list is not the one to begin with.
        controls: values of each argument, at most 60 combinations; or {"label": words, "values": values}.

    Returns:
        An interaction of ipywidgets; while the book is built, a widget over one recorded frame a combination.

    Raises:
        ValueError: there are no combinations or too many, or start names a value that no control has.
        TypeError: the function returns something else.
    """
    values = {key: list(item["values"] if isinstance(item, dict) else item) for key, item in controls.items()}
    settings = [dict(zip(values, setting)) for setting in itertools.product(*values.values())]
    if not 0 < len(settings) <= MOST_FRAMES:
        raise ValueError(f"there are 1 to {MOST_FRAMES} combinations: got {len(settings)}; change the values")
    first = settings[0] | (start or {})
    if first not in settings:
        raise ValueError(f"start names values of the controls: got {start}; add them to the values, or mend it")
    labels = {key: item["label"] if isinstance(item, dict) else key for key, item in controls.items()}
    if static_folder() is None:

        def show(**chosen):
            figure, sentence = _answer(function, chosen)
            display(Image(figure_webp(figure), width=72 * figure.get_figwidth(), alt=sentence))
            print(sentence)

        knobs = {key: SelectionSlider(options=values[key], value=first[key], description=labels[key]) for key in first}
        return interactive(show, **knobs)
    answers = [_answer(function, setting) for setting in settings]
    figure, alt = answers[settings.index(first)]
    return Explore(
        title=(inspect.getdoc(function) or function.__name__).splitlines()[0],
        alt=alt,
        controls=[{"label": labels[key], "options": list(map(str, column))} for key, column in values.items()],
        pictures=["data:image/webp;base64," + base64.b64encode(figure_webp(drawn)).decode() for drawn, _ in answers],
        sentences=[sentence for _, sentence in answers],
        position=[column.index(first[key]) for key, column in values.items()],
        size=[round(72 * side) for side in figure.get_size_inches()],
        first=figure,
    )
