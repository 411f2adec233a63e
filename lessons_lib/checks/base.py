"""What every checker is made of: an exercise, its verdict, and the comparison of an answer with a slow oracle."""

import contextlib
import copy
import inspect
import io
import sysconfig
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lessons_lib.checks import progress

SHOWN_VALUES = 24  # a larger array is shown by its shape and its first wrong value
LIBRARIES = (str(Path(__file__).parents[1]), *(sysconfig.get_path(k) for k in ("stdlib", "purelib", "platlib")))


@dataclass(frozen=True)
class Verdict:
    """What a checker says about an answer.

    Args:
        passed: True for a right answer.
        message: one sentence; of a wrong answer it names the cause.
        case: the smallest input that shows the mistake.
        expected: what the oracle gives there.
        received: what the answer gives there.
        begun: False if the answer is still the stub.

    Example:
        >>> Verdict(False, "off by one", case="row = 0", expected="4", received="3")
        not yet: off by one
          case      row = 0
          expected  4
          received  3
    """

    passed: bool
    message: str
    case: str = ""
    expected: str = ""
    received: str = ""
    begun: bool = True

    def __repr__(self) -> str:
        lines = [f"{'passed' if self.passed else 'not yet'}: {self.message}"]
        details = {"case": self.case, "expected": self.expected, "received": self.received}
        return "\n".join(lines + [f"  {name:8}  {text}" for name, text in details.items() if text])


@dataclass
class Exercise:
    """An exercise in code: `check(answer)` judges, `hint()` helps step by step.

    Args:
        key: "PAGE/NAME", the notebook's stem and the name of what is to be written; progress is kept under it.
        title: the task in a few words.
        hints: from a nudge to nearly everything.
        judge: gives the verdict on an answer; `agreement` makes one.

    Example:
        >>> double = Exercise("00_example/double", "Twice a number", ["Add it to itself."],
        ...                   agreement(oracle=lambda x: x + x, cases=lambda: [(3,)]))
        >>> double.check(lambda x: None)
        not yet: still to write: the function returns nothing so far
        >>> double.hint()
        Hint 1 of 1: Add it to itself.
    """

    key: str
    title: str
    hints: Sequence[str]
    judge: Callable[[object], Verdict]
    shown_hints: int = field(default=0, init=False)

    def __post_init__(self):
        progress.KEYS.add(self.key)

    def check(self, answer: object) -> Verdict:
        """Judge an answer and note the try; a stub is no try.

        Args:
            answer: what the reader wrote, usually a function.

        Returns:
            The verdict. A wrong answer, or one that raises, never raises here.
        """
        verdict = self.judge(answer)
        if verdict.begun:
            progress.record(self.key, verdict.passed)
        return verdict

    def hint(self) -> None:
        """Print the next hint; the last one stays."""
        self.shown_hints = min(self.shown_hints + 1, len(self.hints))
        print(f"Hint {self.shown_hints} of {len(self.hints)}: {self.hints[self.shown_hints - 1]}")

    def __repr__(self) -> str:
        return f"Exercise({self.key!r}: {self.title})"


class Variant(NamedTuple):
    """A mistake that readers make: a sentence that names it, and a function that makes it."""

    cause: str
    function: Callable


class Refusal(Exception):
    """Raised by a `call` of `agreement` when an answer breaks a rule that results do not show; the text says which."""


def agreement(
    oracle: Callable,
    cases: Callable[[], Iterable[tuple]],
    variants: Sequence[Variant] = (),
    call: Callable = lambda answer, *arguments: answer(*arguments),
    tolerance: float = 1e-6,
    difference: Callable[[object, np.ndarray], str] = lambda received, expected: "",
) -> Callable[[object], Verdict]:
    """Make a judge that compares an answer with an oracle on many small cases and looks for the cause of a difference.

    Args:
        oracle: the specification, as a slow loop: arguments to a number or an array of numbers.
        cases: gives the arguments of each case, the smallest first.
        variants: known mistakes, the more likely first; one is named if it gives the same results in every case, or
            the same ones up to the case in which the answer raises, and there the same exception.
        call: gets the result out of an answer: (answer, *arguments) to result; may raise a Refusal.
        tolerance: largest difference between equal values.
        difference: says what is wrong with a result that no known mistake explains: (received, expected) to words, or
            to none.

    Returns:
        A function from an answer to its verdict.

    Example:
        >>> judge = agreement(lambda x: x * x, lambda: [(2,), (3,)], [Variant("doubled, not squared", lambda x: x + x)])
        >>> judge(lambda x: x**2)
        passed: all 2 cases agree
        >>> judge(lambda x: 2 * x)
        not yet: doubled, not squared
          case      x = 3
          expected  9
          received  6
    """

    def judge(answer: object) -> Verdict:
        if not callable(answer):
            return Verdict(False, f"give the function itself, do not call it: got {_kind(answer)}")
        arguments, received = list(cases()), []
        names = list(inspect.signature(oracle).parameters)
        changed = set()
        for case in arguments:
            own = copy.deepcopy(case)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = call(answer, *own)
                if isinstance(result, set | frozenset):
                    raise Refusal("give a list: a set has no order")
                received.append(result)
            except NotImplementedError:
                return Verdict(False, "still to write: the function raises NotImplementedError", begun=False)
            except Refusal as refusal:
                return Verdict(False, str(refusal), case=_words(names, case))
            except Exception as error:
                known = _known(variants, arguments, [*received, error], tolerance)
                words = _complaint(error)
                return Verdict(False, known or words, _words(names, case), received=words if known else "")
            changed |= {n for n, old, new in zip(names, case, own) if not _unchanged(old, new)}
        if all(value is None or value is Ellipsis for value in received):
            if _prints(call, answer, arguments[-1]):
                return Verdict(False, "nothing comes back: print shows a value, return hands it over")
            return Verdict(False, "still to write: the function returns nothing so far", begun=False)

        expected = [np.asarray(oracle(*case)) for case in arguments]
        wrong = [i for i, pair in enumerate(zip(received, expected)) if not _same(*pair, tolerance)]
        if not wrong and changed:
            return Verdict(False, f"the results are right, but the function changes its {min(changed)}: copy it first")
        if not wrong:
            return Verdict(True, f"all {len(expected)} cases agree")
        first = wrong[0]
        pair = received[first], expected[first]
        cause = _known(variants, arguments, received, tolerance) or difference(*pair) or _difference(*pair)
        shown = _shown_pair(expected[first], received[first], tolerance)
        return Verdict(False, cause, _words(names, arguments[first]), *shown)

    return judge


def _known(variants: Sequence[Variant], arguments: list[tuple], received: list, tolerance: float) -> str:
    """Return the cause of the first variant that does in every case what the answer did; what it raised comes last."""
    for variant in variants:
        outcomes = (_outcome(variant.function, case) for case in arguments)
        if all(_alike(*pair, tolerance) for pair in zip(received, outcomes)):
            return variant.cause
    return ""


def _outcome(function: Callable, case: tuple) -> object:
    try:
        return function(*copy.deepcopy(case))
    except Exception as error:
        return error


def _prints(call: Callable, answer: Callable, case: tuple) -> bool:
    """Run an answer that returns nothing once more, and look whether it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        call(answer, *copy.deepcopy(case))
    return bool(printed.getvalue())


def _alike(one: object, two: object, tolerance: float) -> bool:
    if isinstance(one, Exception) or isinstance(two, Exception):
        return type(one) is type(two) and str(one) == str(two)
    return _same(one, two, tolerance)


def _array(value: object) -> np.ndarray | None:
    """Return numbers as an array, anything else as None."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in "iuf" else None


def _same(received: object, expected: object, tolerance: float) -> bool:
    received, expected = _array(received), _array(expected)
    if received is None or received.shape != expected.shape:
        return False
    return np.allclose(received, expected, rtol=0, atol=tolerance, equal_nan=True)


def _unchanged(old: object, new: object) -> bool:
    return _array(old) is None or _same(new, old, tolerance=0)


def _difference(received: object, expected: np.ndarray) -> str:
    """Say how a result differs from the expected one when no known mistake explains it."""
    array = _array(received)
    if received is None:
        return "the function returns None here: does every path end in a return?"
    if array is None:
        return f"the result has to be {_form(expected)}: got {_kind(received)}"
    if array.shape != expected.shape:
        return f"the shape is wrong: the result has to be {_form(expected)}, and it is {_form(array)}"
    if array.ndim and array.dtype.kind in "iu" and expected.dtype.kind == "f":
        return f"the result holds whole numbers ({array.dtype}), which cut fractions off: make it a float array"
    if np.isnan(array).any():
        return "the result holds nan: something is divided by zero"
    return "the values differ"


def _form(array: np.ndarray) -> str:
    return f"an array of shape {array.shape}" if array.ndim else "one number"


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _complaint(error: Exception) -> str:
    """Name an exception and the line of the reader's code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.line and not frame.filename.startswith(LIBRARIES)]
    words = textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
    place = f", in line {theirs[-1].lineno}: {theirs[-1].line.strip()}" if theirs else ""
    return f"your code raises {words}{place}"


def _words(names: Sequence[str], arguments: tuple) -> str:
    return ", ".join(f"{name} = {_shown(value)}" for name, value in zip(names, arguments))


def _shown(value: object) -> str:
    array = None if isinstance(value, list | tuple) else _array(value)
    if array is None:
        return textwrap.shorten(repr(value), 200, placeholder=" ...")
    if array.size > SHOWN_VALUES:
        return _form(array)
    digits = array if array.dtype.kind in "iu" else array.astype(float).round(4)
    return str(digits.tolist())


def _shown_pair(expected: np.ndarray, received: object, tolerance: float) -> tuple[str, str]:
    """Show two results: small ones whole, maps of different shape by their shape, others by their first difference."""
    array = _array(received)
    if array is None:
        return _shown(expected), _shown(received)
    if array.shape != expected.shape and expected.ndim > 1:
        return _form(expected), _form(array)
    if array.shape != expected.shape or array.size <= SHOWN_VALUES:
        return _shown(expected), _shown(array)
    index = tuple(np.argwhere(~np.isclose(array, expected, rtol=0, atol=tolerance, equal_nan=True))[0].tolist())
    return tuple(f"{_shown(values[index])} at {list(index)}" for values in (expected, array))
