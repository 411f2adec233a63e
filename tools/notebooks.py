"""Brings notebooks into their one committed form: `python -m tools.notebooks [--check | --run] FILE...`.

A cell tagged `nbval-check-output` keeps its output and an execution count, because nbval compares only such cells
and lets a checked cell without them pass unchecked. Every other cell keeps neither, so that a diff shows only
what somebody wrote. Once `repository.url` is set in _config.yml, a first cell fetches the book on Colab, where
only the notebook itself is there.
"""

import argparse
import sys
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient

CONFIG = Path(__file__).resolve().parents[1] / "_config.yml"
CHECKED = "nbval-check-output"
COLAB = """\
# On Colab only: fetch the book, its library and its data. Anywhere else this cell does nothing.
import sys

if "google.colab" in sys.modules:
    !git clone -q --depth 1 {address} /content/book-source
    %pip install -q -e /content/book-source
    %pip install -q --no-deps -r /content/book-source/requirements-files.txt
    sys.path.insert(0, "/content/book-source")"""


def repository_address() -> str:
    """Read the repository's address from the one place where it is set.

    Returns:
        `repository.url` of _config.yml, empty if it is not set.
    """
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repository"]["url"]


def normalise(text: str, address: str | None = None) -> str:
    """Bring one notebook's text into the committed form.

    Args:
        text: an .ipynb file's content.
        address: of the repository, for the Colab cell; None reads it from _config.yml.

    Returns:
        The same notebook with outputs only in checked cells, ids in order, no metadata of an editor, solutions folded
        under words of their own, and the Colab cell exactly if there is an address.
    """
    address = repository_address() if address is None else address
    notebook = nbformat.reads(text, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", [])]
    if address:
        first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        cell = nbformat.v4.new_code_cell(COLAB.format(address=address), metadata={"tags": ["colab", "remove-cell"]})
        notebook.cells.insert(first, cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    count = 0
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:03d}"
        tags = cell.metadata.get("tags", [])
        metadata = {"tags": sorted(tags)} if tags else {}
        if "exercise-solution" in tags:
            metadata["mystnb"] = {f"code_prompt_{word.lower()}": f"{word} the solution" for word in ("Show", "Hide")}
        cell.metadata = nbformat.from_dict(metadata)
        if cell.cell_type != "code":
            cell.pop("attachments", None)
            continue
        cell.execution_count = None
        if CHECKED in tags and cell.outputs:
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
        else:
            cell.outputs = []
    return nbformat.writes(notebook, indent=1) + "\n"


def run(path: Path) -> str:
    """Execute a notebook where it lies, so that its checked cells get the outputs of today.

    Args:
        path: an .ipynb file.

    Returns:
        The executed notebook as text, not yet normalised.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    return nbformat.writes(notebook)


def main() -> int:
    """Normalise the notebooks named on the command line.

    Returns:
        1 if --check found a file to mend, else 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, name the files that are not normal")
    parser.add_argument("--run", action="store_true", help="execute first: do this when a checked output is to change")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    stale = []
    for path in arguments.files:
        old = path.read_text(encoding="utf-8")
        new = normalise(run(path) if arguments.run else old)
        if new != old:
            stale.append(str(path))
            if not arguments.check:
                path.write_text(new, encoding="utf-8")
    if stale and arguments.check:
        print("not in their committed form (run python -m tools.notebooks on them): " + ", ".join(stale))
    return int(arguments.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
