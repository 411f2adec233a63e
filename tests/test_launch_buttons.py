"""Colab and Binder buttons appear once the repository's address is set in its one place, and lead to the notebook.

That they are absent as long as the address is empty is seen on the built book, in tests/browser/test_site.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com/github/example/book/blob/main/book/tiny.ipynb"
BINDER = "https://mybinder.org/v2/gh/example/book/main?urlpath=lab/tree/book/tiny.ipynb"


def build(folder, address):
    """Build a book of one tiny notebook with the book's own configuration; gives its links outside."""
    for name in ("book/_ext", "book/_static", "lessons_lib"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "experiments" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = address
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/tiny\n", encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell("# Tiny\n\nOne cell."), nbformat.v4.new_code_cell("print(1 + 1)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "book" / "tiny.ipynb")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "jupyter-book"), "build", ".", "-W", "-n", "--keep-going"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = (folder / "_build" / "html" / "book" / "tiny.html").read_text(encoding="utf-8")
    assert "tiny.ipynb" in page, "no download"
    return re.findall(r'href="(https?://[^"]*(?:tiny|github\.com)[^"]*)"', page)


def test_buttons_lead_to_the_notebook(tmp_path):
    assert set(build(tmp_path, "https://github.com/example/book")) == {COLAB, BINDER}
