"""Questions in the page: judged without a kernel, and remembered by the browser."""

import html
import re
from itertools import combinations
from typing import NamedTuple

from traitlets import Bool, CFloat, List, Tuple, Unicode

from lessons_lib.widgets.base import LessonWidget


class Option(NamedTuple):
    """An answer to choose; `why` is said when it is chosen."""

    text: str
    correct: bool = False
    why: str = ""


class Mistake(NamedTuple):
    """A wrong number, or grid of numbers, that readers arrive at; `why` names what led there."""

    value: float | list
    why: str


class Question(LessonWidget):
    """What `Choice`, `Number` and `Cells` share. Words in `backticks` are set as code.

    Args:
        key: name in the browser's memory, "PAGE/NAME", never used twice.
        prompt: the question.
        traits: those of the kind; `after` is said after the right answer; predict=True takes any answer for right.
    """

    name = "question"
    key, prompt, after = (Unicode().tag(sync=True) for _ in range(3))
    predict = Bool().tag(sync=True)

    def __init__(self, key: str, prompt: str, **traits):
        super().__init__(key=key, prompt=prompt, **traits)
        self.title = "Predict" if self.predict else "Exercise"
        self._require(self.after or not self.predict, "a prediction is resolved: say in `after` what comes out")
        self._check()

    def __repr__(self) -> str:
        return f"{self.title}: {self.prompt}"

    def fallback_html(self) -> str:
        """Set the question as text, for print and for where no script runs.

        Returns:
            HTML.
        """
        answers = (f"○ {text}" for text, _, _ in getattr(self, "options", ()))
        lines = (self.prompt, *answers, "Your answer is judged where JavaScript runs.")
        body = re.sub("`([^`]+)`", r"<code>\1</code>", "".join(f"<p>{html.escape(line)}</p>" for line in lines))
        card = f'<div class="lesson-still lesson-card lesson-question" data-kind="{self.title}">'
        return f'{card}<p class="lesson-title">{self.title}</p>{body}</div>'

    def _require(self, holds, rule: str) -> None:
        if not holds:
            raise ValueError(f"{rule} (question {self.key!r})")


class Choice(Question):
    """One answer to choose; each option has a `why` of its own, unless it is a prediction.

    Example:
        >>> Choice("00_example/sky", "Blue?", options=[Option("Sky", True, "It is."), Option("Cow", why="Spotted.")])
        Exercise: Blue?
    """

    options = List(Tuple(Unicode(), Bool(), Unicode())).tag(sync=True)

    def _check(self) -> None:
        texts, correct, whys = zip(*self.options) if self.options else [()] * 3
        self._require(self.predict or len(set(correct)) == 2, "a choice needs options of both sorts, right and wrong")
        for said in (texts, () if self.predict else whys):
            self._require(all(said) and len(set(said)) == len(said), f"options say different things: got {said}")


class Number(Question):
    """A number to type, within `tolerance` of `answer`; each wrong one that is no known mistake brings the next hint.

    Example:
        >>> Number("00_example/reads", "How often is the corner read?", answer=4, mistakes=[Mistake(9, "Only inside.")])
        Exercise: How often is the corner read?
    """

    answer, tolerance = CFloat("nan").tag(sync=True), CFloat(0).tag(sync=True)
    mistakes, hints = List(Tuple(CFloat(), Unicode())).tag(sync=True), List(Unicode()).tag(sync=True)
    unit = Unicode().tag(sync=True)  # stands behind the input

    def _check(self) -> None:
        fits = abs(self.answer) < 1e15 and (self.tolerance > 0 or self.tolerance == 0 == self.answer % 1)
        self._require(fits, f"an answer that is not whole needs a tolerance: got {self.answer} within {self.tolerance}")
        for one, two in combinations([self.answer, *(value for value, _ in self.mistakes)], 2):
            self._require(abs(one - two) > self.tolerance, f"answer and mistakes lie apart: got {one} and {two}")
