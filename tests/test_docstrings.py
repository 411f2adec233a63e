"""Every public part of lessons_lib says what it does, takes, returns and raises; the files are read, not imported."""

import ast
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "lessons_lib").rglob("*.py"))

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
SECTION = re.compile(r"^(\w+):\s*$", re.MULTILINE)
ENTRY = re.compile(r"^ {4}\*{0,2}([\w.]+)(?: \([^)]*\))?:", re.MULTILINE)


def own_nodes(function):
    """The nodes of a function's body, without those of functions and classes inside it."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def parameters(function, in_class):
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    if in_class and "staticmethod" not in decorators(function):
        names = names[1:]
    names += [one.arg for one in given.kwonlyargs]
    return names + [one.arg for one in (given.vararg, given.kwarg) if one]


def decorators(function):
    return {ast.unparse(decorator) for decorator in function.decorator_list}


def raised(function):
    """Names of the exceptions that a function's own body raises; a bare `raise` hands on one that it met."""
    for node in own_nodes(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            exception = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield ast.unparse(exception).split(".")[-1]


def sections(docstring):
    """Section name -> its text."""
    parts = SECTION.split(docstring)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def argument_problems(expected, docstring):
    named = ENTRY.findall(sections(docstring).get("Args", ""))
    for name in expected:
        if name not in named:
            yield f"does not say what {name} is; add it to Args"
    for name in named:
        if name not in expected:
            yield f"describes {name}, which is no parameter; remove it from Args"


def function_problems(function, docstring, in_class):
    found = sections(docstring)
    yield from argument_problems(parameters(function, in_class), docstring)
    is_attribute = bool({"property", "cached_property"} & decorators(function))
    nodes = list(own_nodes(function))
    returns_value = any(
        isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None" for node in nodes
    )
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes):
        if not {"Yields", "Returns"} & found.keys():
            yield "does not say what it yields; add Yields"
    elif returns_value and not is_attribute and "Returns" not in found:
        yield "does not say what it returns; add Returns"
    named = ENTRY.findall(found.get("Raises", ""))
    for name in sorted(set(raised(function)) - set(named)):
        yield f"does not say when it raises {name}; add it to Raises"


def class_problems(definition, docstring):
    for node in definition.body:
        if isinstance(node, FUNCTIONS) and node.name == "__init__":
            yield from argument_problems(parameters(node, in_class=True), docstring)


def docstring_problems(path, source):
    """One message for each gap in the docstrings of the public parts of a file."""
    messages = []

    def visit(node, name, in_class):
        docstring = inspect.cleandoc(ast.get_docstring(node) or "")
        line = getattr(node, "lineno", 1)
        if not docstring:
            problems = ["has no docstring; say in one line what it is or does"]
        elif isinstance(node, FUNCTIONS):
            problems = function_problems(node, docstring, in_class)
        elif isinstance(node, ast.ClassDef):
            problems = class_problems(node, docstring)
        else:
            problems = []
        messages.extend(f"{path}:{line}: {name} {problem}" for problem in problems)
        if not isinstance(node, FUNCTIONS):
            for inner in node.body:
                if isinstance(inner, (*FUNCTIONS, ast.ClassDef)) and not inner.name.startswith("_"):
                    visit(inner, inner.name, isinstance(node, ast.ClassDef))

    visit(ast.parse(source), "the module", in_class=False)
    return messages


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_docstrings_are_complete(file):
    problems = docstring_problems(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    assert not problems, "\n".join(problems)


def test_files_are_found():
    names = {file.relative_to(ROOT / "lessons_lib").as_posix() for file in FILES}
    assert {"shapes.py", "metrics.py", "training.py", "models/blocks.py"} <= names


COMPLETE = '''"""Halves."""


def halve(size, *others, floor=False):
    """Halve sizes.

    Args:
        size: in px.
        *others: more sizes in px.
        floor (bool): round down.

    Returns:
        Half of the size in px.

    Raises:
        ValueError: if it is odd.
    """
    if size % 2:
        raise ValueError(size)

    def unseen(value):
        return value

    return size // 2


class Half:
    """A half.

    Args:
        whole: in px.
    """

    def __init__(self, whole):
        self.size = whole / 2

    @property
    def area(self):
        """Area in px^2."""
        return self.size**2

    @staticmethod
    def parts(count):
        """Count up.

        Args:
            count: how many.

        Yields:
            The next number.
        """
        yield from range(count)

    def _hidden(self, value):
        return value


def show(half):
    """Print a half.

    Args:
        half: to print.
    """
    if half is None:
        return
    print(half)
'''


def test_complete_docstrings_pass():
    assert docstring_problems("halves.py", COMPLETE) == []


@pytest.mark.parametrize(
    ("text", "replacement", "message"),
    [
        ('"""Halves."""', "", "halves.py:1: the module has no docstring; say"),
        ('"""Area in px^2."""', "", "area has no docstring; say"),
        ("        size: in px.\n        *others", "        *others", "halves.py:4: halve does not say what size is"),
        ("        *others: more sizes in px.\n", "", "halve does not say what others is; add"),
        ("        floor (bool): round down.\n", "", "halve does not say what floor is; add"),
        ("floor (bool):", "floor (bool): d.\n        ceil:", "halve describes ceil, which is no parameter; remove"),
        ("    Returns:\n        Half of the size in px.\n", "", "halve does not say what it returns; add"),
        ("        ValueError: if", "        TypeError: if", "halve does not say when it raises ValueError; add"),
        ("    Args:\n        whole: in px.\n    ", "    ", "Half does not say what whole is; add"),
        ("            count: how many.\n", "", "parts does not say what count is; add"),
        ("        Yields:\n            The next number.\n", "", "parts does not say what it yields; add"),
        ("        half: to print.\n", "", "show does not say what half is; add"),
    ],
)
def test_each_gap_is_named(text, replacement, message):
    assert COMPLETE.count(text) == 1, "the text to break must be there once"
    (problem,) = docstring_problems("halves.py", COMPLETE.replace(text, replacement))
    assert message in problem
