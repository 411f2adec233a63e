"""What a notebook's first cell needs: one seed and one style, recorded results, sentences made by code."""

import json
from pathlib import Path

from IPython.display import Markdown, display

from lessons_lib import figures, training

RESULTS = Path(__file__).resolve().parents[1] / "experiments" / "results"


def setup(seed: int = 0) -> None:
    """Make a notebook repeatable and give its figures the book's style.

    Args:
        seed: of Python's, NumPy's and torch's random numbers.
    """
    training.seed_everything(seed)
    figures.use_style()


def results(name: str) -> dict:
    """Read what a recorded experiment measured.

    Args:
        name: the experiment's, for example "context".

    Returns:
        The content of `experiments/results/NAME.json`.

    Raises:
        FileNotFoundError: if it was never recorded here.

    Example:
        >>> results("nothing")
        Traceback (most recent call last):
        FileNotFoundError: there is no result file of 'nothing': run `make experiment NAME=nothing` in the book's folder
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"there is no result file of {name!r}: run `make experiment NAME={name}` in the book's folder"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def tell(text: str) -> None:
    """Show a sentence whose numbers come from code.

    Args:
        text: Markdown.
    """
    display(Markdown(text))
