"""The imports of lessons_lib only go down its floors; the files are read, not imported."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "lessons_lib").rglob("*.py"))

# From the ground up. A module or package may use what stands before it here, a package also its own files.
FLOORS = (
    ("shapes", "labels", "palette"),
    ("data", "metrics", "losses", "upsampling"),
    ("models",),
    ("training",),
    ("widgets", "figures"),
    ("checks", "notebook"),
)
ORDER = [unit for floor in FLOORS for unit in floor]
ABOVE = ("book", "experiments", "tests", "tools")


def imported_names(tree):
    """(line, dotted name) of all that a file imports, inside functions too; relative imports begin with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield node.lineno, "." * node.level + ".".join(filter(None, (node.module, name.name)))


def import_problems(path, source):
    """One message for each import of the file `path`, relative to the root, that breaks the order."""
    unit = Path(path).with_suffix("").parts[1]
    if unit != "__init__" and unit not in ORDER:
        return [f"{path}:1: {unit} stands on no floor; add it to FLOORS in tests/test_floors.py"]
    messages = []
    for line, name in imported_names(ast.parse(source)):
        top, *below = name.split(".")
        used = below[0] if below else None
        if name.startswith("."):
            problem = "is a relative import; write it from lessons_lib on"
        elif top in ABOVE:
            problem = f"is above the library; move what is needed from {top} into lessons_lib"
        elif top in ("torch", "torchvision") and unit in FLOORS[0]:
            problem = "does not belong on the ground floor; use whole numbers or NumPy, or move up"
        elif top != "lessons_lib" or used == unit:
            continue
        elif unit == "__init__":
            problem = "would load with every import of lessons_lib; import it where it is used"
        elif used not in ORDER:
            problem = "names no unit of FLOORS; import from a module, such as lessons_lib.shapes"
        elif ORDER.index(used) > ORDER.index(unit):
            problem = f"goes up from {unit}; move the code down, or pass it in as an argument"
        else:
            continue
        messages.append(f"{path}:{line}: the import of {name} {problem}")
    return messages


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_only_go_down(file):
    problems = import_problems(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    assert not problems, "\n".join(problems)


def test_files_are_found():
    names = {file.relative_to(ROOT / "lessons_lib").as_posix() for file in FILES}
    assert {"shapes.py", "metrics.py", "training.py", "models/blocks.py"} <= names


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("lessons_lib/metrics.py", "from lessons_lib import training", "metrics.py:1: .* lessons_lib.training goes up"),
        ("lessons_lib/metrics.py", "import os\nimport lessons_lib.figures", "metrics.py:2: .* goes up from metrics"),
        ("lessons_lib/models/unet.py", "from lessons_lib.training import fit", "goes up from models"),
        ("lessons_lib/labels.py", "from lessons_lib.palette import COLORS", "goes up from labels"),
        ("lessons_lib/training.py", "def f():\n    import lessons_lib.checks.base", "training.py:2: .* goes up"),
        ("lessons_lib/shapes.py", "from torch import nn", "torch.nn does not belong on the ground floor"),
        ("lessons_lib/checks/base.py", "import tests.test_shapes", "tests.test_shapes is above the library"),
        ("lessons_lib/data/meadow.py", "from experiments import skips", "experiments.skips is above the library"),
        ("lessons_lib/models/unet.py", "from .blocks import resize", r"\.blocks.resize is a relative import"),
        ("lessons_lib/training.py", "from lessons_lib.trainer import fit", "names no unit of FLOORS"),
        ("lessons_lib/training.py", "import lessons_lib", "names no unit of FLOORS"),
        ("lessons_lib/__init__.py", "from lessons_lib import shapes", "would load with every import"),
        ("lessons_lib/helpers.py", "", "helpers stands on no floor"),
    ],
)
def test_an_import_that_goes_up_is_named(path, source, message):
    (problem,) = import_problems(path, source)
    assert re.search(message, problem), problem


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "lessons_lib/training.py",
            "import torch\nfrom lessons_lib.metrics import iou\nfrom lessons_lib import models",
        ),
        ("lessons_lib/models/unet.py", "from lessons_lib.models.blocks import resize"),
        ("lessons_lib/palette.py", "import numpy as np\nfrom lessons_lib.labels import boundary"),
        ("lessons_lib/__init__.py", "import importlib"),
    ],
)
def test_an_import_that_goes_down_passes(path, source):
    assert import_problems(path, source) == []
