"""What a notebook's first cell needs: one seed and one style, recorded results, sentences made by code."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from IPython.display import Markdown, display
from torch import nn

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


def tell_table(columns: Sequence[str], rows: Sequence[Sequence], after: str = "") -> None:
    """Show a table whose entries come from code.

    Args:
        columns: the heads.
        rows: one entry a column; what is not text is shown by `str`.
        after: Markdown below the table.
    """
    lines = [columns, ["---"] * len(columns), *rows]
    tell("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + f"\n\n{after}")


def low_high(spread: dict, digits: int = 2) -> str:
    """Word a recorded spread.

    Args:
        spread: with the keys mean, lowest and highest.
        digits: after the point.

    Returns:
        The mean, and in brackets the lowest and the highest seed.

    Example:
        >>> low_high({"mean": 0.5, "lowest": 0.42, "highest": 0.61})
        '0.50 (0.42 to 0.61)'
    """
    mean, lowest, highest = (f"{spread[key]:.{digits}f}" for key in ("mean", "lowest", "highest"))
    return f"{mean} ({lowest} to {highest})"


def claim(name: str, verdict: str, text: str) -> None:
    """Show what became of one of the lecture's claims.

    Args:
        name: "C1" to "C8".
        verdict: "holds", "does not hold" or "holds in part", decided by code.
        text: Markdown; the measured figures.
    """
    display(Markdown(f":::{{admonition}} Measured claim {name}: {verdict}\n:class: claim\n{text}\n:::"))


def load_weights(model: nn.Module, experiment: str, key: str) -> nn.Module:
    """Fill a model with the weights that a recorded experiment kept.

    Args:
        model: of the architecture that was recorded.
        experiment: its name, for example "context".
        key: which of its networks, for example "33".

    Returns:
        The same model, in evaluation mode.
    """
    with np.load(RESULTS / f"{experiment}_weights.npz") as arrays:
        state = {name: torch.from_numpy(arrays[f"{key}.{name}"]) for name in model.state_dict()}
    model.load_state_dict(state)
    return model.eval()
