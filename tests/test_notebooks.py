"""The notebooks keep house, and what keeps them so works: their committed form, and checked cells that are checked."""

import json
import os
import re
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from tools import notebooks
from tools.notebooks import CHECKED, normalise

ROOT = Path(__file__).resolve().parents[1]
BOOK = sorted((ROOT / "book").glob("*.ipynb"))
STRING = re.compile(r'"""(?:[^"]|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"')
UNSTEADY = {
    "a duration": r"\d ?(?:ns|µs|us|ms|s|sec|seconds?|min|minutes)\b",
    "a device": r"\b(?:cuda|mps|cpu)\b",
    "a long float": r"\d\.\d{4,}|\d\.?\d*e-\d+",
    "an address in memory": r"0x[0-9a-f]{6,}",
}
ABSOLUTE = re.compile(r"""(?:^|[\s"'(=])(?:/(?:home|Users|root|tmp|work|mnt|var|content)/|[A-Z]:\\)""")


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def shown(output):
    """What an output says as text."""
    return "".join(output.get("text", output.get("data", {}).get("text/plain", [])))


@pytest.fixture(params=BOOK, ids=lambda path: path.stem)
def chapter(request):
    """(markdown cells, code cells) of one notebook of the book, without the cell that Colab needs."""
    cells = json.loads(request.param.read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if "colab" not in tags(cell)]
    return tuple([cell for cell in cells if cell["cell_type"] == kind] for kind in ("markdown", "code"))


# ---------------------------------------------------------------- the book's notebooks


@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)
def test_it_is_in_the_committed_form(path):
    text = path.read_text(encoding="utf-8")
    assert normalise(text) == text, f"run: python -m tools.notebooks {path.relative_to(ROOT)}"


def test_every_checked_cell_is_checked(chapter):
    for cell in chapter[1]:
        if CHECKED in tags(cell):
            assert cell["outputs"], f"nbval would pass this cell unchecked, it has no output:\n{source(cell)}"
            assert cell["execution_count"], f"nbval would pass this cell unchecked, it has no count:\n{source(cell)}"


def test_checked_outputs_are_the_same_on_every_machine(chapter):
    for cell in chapter[1]:
        for output in cell["outputs"]:
            for what, pattern in UNSTEADY.items():
                assert not re.search(pattern, shown(output)), f"{what} in the checked output {shown(output)!r}"


def test_cells_are_few_and_short(chapter):
    lengths = [sum(bool(line.strip()) for line in source(cell).splitlines()) for cell in chapter[1]]
    assert len(lengths) <= 40
    assert max(lengths) <= 25
    assert len(lengths) < 10 or statistics.median(lengths) <= 6


def test_there_is_at_least_as_much_prose_as_code(chapter):
    """Captions and sentences that code shows to the reader are prose: strings of three words or more."""
    code = "\n".join(source(cell) for cell in chapter[1])
    said = [string for string in STRING.findall(code) if len(string.split()) >= 3]
    prose = " ".join([*map(source, chapter[0]), *said])
    rest = STRING.sub(lambda string: "" if string[0] in said else string[0], code)
    assert len(prose.split()) >= len(rest.split())


def test_the_first_heading_is_the_only_title(chapter):
    text = re.sub(r"^(```+|:::+).*?^\1$", "", "\n\n".join(map(source, chapter[0])), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels)), f"a level is left out: {levels}"


def test_every_exercise_goes_from_not_yet_to_passed(chapter):
    code = chapter[1]
    for number, cell in enumerate(code):
        if "exercise-stub" not in tags(cell):
            continue
        first, solution, second = code[number + 1 : number + 4]
        assert CHECKED in tags(first), source(first)
        assert {"exercise-solution", "hide-input"} <= set(tags(solution)), source(solution)
        assert CHECKED in tags(second), source(second)
        assert source(first) == source(second)
        assert "".join(map(shown, first["outputs"])).startswith("not yet: ")
        assert "".join(map(shown, second["outputs"])).startswith("passed: ")


def test_no_path_of_one_machine(chapter):
    for cell in [*chapter[0], *chapter[1]]:
        said = [source(cell), *map(shown, cell.get("outputs", []))]
        assert not any(ABSOLUTE.search(text) for text in said), source(cell)


# ---------------------------------------------------------------- tools/notebooks.py


def notebook(*cells):
    """A notebook's text, as an editor leaves it: every cell executed, with metadata of its own."""
    made = []
    for count, (code, words, output) in enumerate(cells, 7):
        outputs = (
            [nbformat.v4.new_output("execute_result", {"text/plain": output}, execution_count=count)] if output else []
        )
        metadata = {"tags": words, "collapsed": False}
        made.append(nbformat.v4.new_code_cell(code, metadata=metadata, execution_count=count, outputs=outputs))
    made.append(nbformat.v4.new_markdown_cell("Words.", metadata={"editable": True}))
    return nbformat.writes(
        nbformat.v4.new_notebook(cells=made, metadata={"language_info": {"name": "python", "version": "3.99"}})
    )


def test_only_checked_cells_keep_output_and_count():
    text = normalise(
        notebook(("1", [], "1"), ("2", ["b", CHECKED, "a"], "2"), ("x = 3", [CHECKED], ""), ("4", [CHECKED], "4")), ""
    )
    cells = json.loads(text)["cells"]
    assert [cell.get("execution_count") for cell in cells] == [None, 1, None, 2, None]
    assert [output["execution_count"] for cell in cells[:4] for output in cell["outputs"]] == [1, 2]
    assert cells[1]["metadata"] == {"tags": ["a", "b", CHECKED]}
    assert cells[4]["metadata"] == {}
    assert [cell["id"] for cell in cells] == [f"cell-{index:03d}" for index in range(5)]
    assert "3.99" not in text
    assert normalise(text, "") == text


def test_the_colab_cell_follows_the_address():
    plain = normalise(notebook(("1", [], "")), "")
    with_cell = normalise(plain, "https://github.com/example/book")
    cell = json.loads(with_cell)["cells"][0]
    assert tags(cell) == ["colab", "remove-cell"]
    assert "git clone -q --depth 1 https://github.com/example/book " in source(cell)
    assert normalise(with_cell, "https://github.com/example/book") == with_cell
    assert normalise(with_cell, "") == plain


def test_check_names_the_files_and_changes_nothing(tmp_path, monkeypatch, capsys):
    fine, stale = tmp_path / "fine.ipynb", tmp_path / "stale.ipynb"
    fine.write_text(normalise(notebook(("1", [], "1"))))
    stale.write_text(notebook(("1", [], "1")))
    before = stale.read_text()
    monkeypatch.setattr(sys, "argv", ["notebooks", "--check", str(fine), str(stale)])
    assert notebooks.main() == 1
    said = capsys.readouterr().out
    assert "stale.ipynb" in said
    assert "fine.ipynb" not in said
    assert stale.read_text() == before
    monkeypatch.setattr(sys, "argv", ["notebooks", str(fine), str(stale)])
    assert notebooks.main() == 0
    assert stale.read_text() == normalise(before)


def test_nbval_checks_what_run_has_stored(tmp_path):
    """A checked cell passes with the output that --run has stored, and fails once that output is another."""
    (tmp_path / "neighbour.txt").write_text("here")
    (tmp_path / "true.ipynb").write_text(notebook(("open('neighbour.txt').read()", [CHECKED], ""), ("1 / 3", [], "")))
    text = normalise(notebooks.run(tmp_path / "true.ipynb"), "")
    assert "'here'" in text
    assert "0.333" not in text
    (tmp_path / "true.ipynb").write_text(text)
    (tmp_path / "false.ipynb").write_text(text.replace("'here'", "'gone'"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "-rA", "-c", os.devnull, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert len(re.findall(r"^PASSED \w+\.ipynb::Cell \d", done.stdout, re.MULTILINE)) == 3, done.stdout
    assert re.findall(r"^FAILED (\S+ \d)", done.stdout, re.MULTILINE) == ["false.ipynb::Cell 0"]
