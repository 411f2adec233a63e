"""The Sphinx extension: a change rebuilds exactly the pages that depend on it, and `mend` mends only what is wrong."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("book_ext", ROOT / "book" / "_ext" / "book_ext.py")
book_ext = importlib.util.module_from_spec(spec)
spec.loader.exec_module(book_ext)

LIBRARY = {
    "lessons_lib/__init__.py": "",
    "lessons_lib/ground.py": "import numpy",
    "lessons_lib/storey.py": "def build():\n    from lessons_lib import ground\n",
    "lessons_lib/rooms/__init__.py": "",
    "lessons_lib/rooms/kitchen.py": "from lessons_lib.storey import build",
    "lessons_lib/recorded.py": 'NAME = "speed"',
    "lessons_lib/unused.py": "",
    "lessons_lib/widgets/__init__.py": "",
    "lessons_lib/widgets/base.py": "",
    "lessons_lib/widgets/knob.py": "from lessons_lib.widgets.base import LessonWidget",
    "lessons_lib/widgets/knob.js": "",
    "lessons_lib/widgets/lever.py": "from lessons_lib.widgets.base import LessonWidget",
    "lessons_lib/widgets/lever.js": "",
    "lessons_lib/widgets/shared/dom.js": "",
    "lessons_lib/widgets/shared/widget.css": "",
    "lessons_lib/widgets/runtime.js": "",
    "lessons_lib/palette.py": "",
    "book/_static/book.css": "",
    "experiments/results/speed.json": "{}",
    "experiments/results/context.json": "{}",
    "experiments/results/context_weights.npz": "",
    "experiments/results/contextual.json": "{}",
}
NOTEBOOKS = {
    "alone": "%matplotlib inline\nimport numpy as np\n!ls",
    "directly": "from lessons_lib import ground",
    "through_two": "import lessons_lib.rooms.kitchen as kitchen",
    "knob": "%%time\nfrom lessons_lib.widgets.knob import Knob",
    "lever": "from lessons_lib.widgets import lever",
    "reads": 'weights = load("context")',
    "reads_through": "from lessons_lib.recorded import NAME",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project; gives its folder and a function that names the notebooks to run again."""
    for name, text in LIBRARY.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, code in NOTEBOOKS.items():
        cells = [
            {"cell_type": "markdown", "source": "import lessons_lib.unused"},
            {"cell_type": "code", "source": [code]},
        ]
        (tmp_path / "book" / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(book_ext, "ROOT", tmp_path)
    monkeypatch.setattr(book_ext, "LIBRARY", tmp_path / "lessons_lib")
    monkeypatch.setattr(book_ext, "RESULTS", tmp_path / "experiments" / "results")
    files = {f"book/{name}": tmp_path / "book" / f"{name}.ipynb" for name in NOTEBOOKS}
    files["book/words"] = tmp_path / "book" / "words.md"
    env = SimpleNamespace(found_docs=set(files), doc2path=lambda name: str(files[name]))

    def to_run():
        names = book_ext.changed_pages(None, env, set(), set(), set())
        return {name.removeprefix("book/") for name in names}

    return tmp_path, env, to_run


def test_the_first_build_runs_every_notebook_and_the_next_none(project):
    _, _, to_run = project
    assert to_run() == set(NOTEBOOKS)
    assert to_run() == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("lessons_lib/ground.py", {"directly", "through_two"}),
        ("lessons_lib/storey.py", {"through_two"}),
        ("lessons_lib/rooms/__init__.py", {"through_two"}),
        ("lessons_lib/__init__.py", {"directly", "through_two", "knob", "lever", "reads_through"}),
        ("lessons_lib/unused.py", set()),
        ("lessons_lib/widgets/knob.js", {"knob"}),
        ("lessons_lib/widgets/lever.py", {"lever"}),
        ("lessons_lib/widgets/shared/dom.js", {"knob", "lever"}),
        ("lessons_lib/widgets/shared/widget.css", set()),
        ("lessons_lib/widgets/runtime.js", set()),
        ("experiments/results/context.json", {"reads"}),
        ("experiments/results/context_weights.npz", {"reads"}),
        ("experiments/results/contextual.json", set()),
        ("experiments/results/speed.json", {"reads_through"}),
    ],
)
def test_a_change_runs_exactly_the_notebooks_that_depend_on_it(project, changed, expected):
    folder, _, to_run = project
    to_run()
    (folder / changed).write_text((folder / changed).read_text() + "\n# changed\n")
    assert to_run() == expected


def test_a_result_that_appears_or_goes_runs_its_notebook(project):
    folder, _, to_run = project
    to_run()
    (folder / "experiments" / "results" / "context_photo.png").write_text("")
    assert to_run() == {"reads"}
    (folder / "experiments" / "results" / "context.json").unlink()
    assert to_run() == {"reads"}


def test_a_new_style_writes_every_page_and_runs_none(project):
    folder, env, to_run = project
    to_run()
    assert book_ext.restyled_pages(None, env) == env.found_docs
    assert book_ext.restyled_pages(None, env) == []
    for name in ("book/_static/book.css", "lessons_lib/widgets/runtime.js", "lessons_lib/widgets/shared/widget.css"):
        (folder / name).write_text("/* changed */")
        assert book_ext.restyled_pages(None, env) == env.found_docs
    assert to_run() == set()


def test_a_real_chapter_depends_on_what_it_imports():
    found = book_ext.dependencies(ROOT / "book" / "01_segmentation.ipynb")
    names = {str(path.relative_to(ROOT)) for path in found}
    assert {"lessons_lib/notebook.py", "lessons_lib/palette.py", "lessons_lib/widgets/shared/card.js"} <= names


@pytest.mark.parametrize(("address", "buttons"), [("", {}), ("https://github.com/example/book", {"colab_url": "x"})])
def test_launch_buttons_wait_for_an_address(address, buttons):
    options = {"repository_url": address, "launch_buttons": {"colab_url": "x"}}
    book_ext.drop_launch_buttons(None, SimpleNamespace(html_theme_options=options))
    assert options["launch_buttons"] == buttons


# ---------------------------------------------------------------- mend


@pytest.mark.parametrize(
    ("theme", "mended"),
    [
        ('a\n<script src="x/fontawesome/6/all.min.js"></script>b', "ab"),
        ('a <link rel="preload" as="script" href="x.js" />b', "ab"),
        ('<div class="citation" id="x" role="doc-biblioentry">', '<div class="citation" id="x">'),
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
        (
            '<button class="btn search-button-field" title="Search" aria-label="Search">',
            '<button class="btn search-button-field" title="Search">',
        ),
        (
            '<div class="bd-sidebar-primary bd-sidebar">',
            '<div role="region" aria-label="Contents" class="bd-sidebar-primary bd-sidebar">',
        ),
        (
            '<div class="pst-scrollable-table-container">',
            '<div tabindex="0" class="pst-scrollable-table-container">',
        ),
        ('<img alt="a cat" src="cat.png">', '<img loading="lazy" alt="a cat" src="cat.png">'),
        ('console.log("[PST]: focus");', "void 0;"),
        ('<script src="doctools.js"></script>', '<script defer src="doctools.js"></script>'),
        ('<script defer="defer" src="../_static/mathjax/x.js?v=1"></script>', ""),
        (
            '<script defer="defer" src="../_static/mathjax/x.js?v=1"></script><p class="math notranslate">',
            '<script data-later="../_static/mathjax/x.js?v=1"></script><p class="math notranslate">',
        ),
        (
            '<script defer="defer" src="../_static/runtime.js?v=1"></script>'
            '<b data-script="a.1.js"><b data-script="a.1.js">',
            '<link rel="preload" as="script" href="../_static/lessons/a.1.js" />'
            '<script defer src="../_static/runtime.js?v=1"></script><b data-script="a.1.js"><b data-script="a.1.js">',
        ),
    ],
)
def test_mend_puts_right_what_the_theme_leaves_wrong(theme, mended):
    assert book_ext.mend(theme) == mended
    assert book_ext.mend(mended) == mended


@pytest.mark.parametrize(
    "right",
    [
        '<link rel="stylesheet" href="vendor/fontawesome/6/all.min.css">',
        '<img src="cat.png" loading="eager" alt="">',
        '<div class="figure" role="img">',
        '<button class="btn" aria-label="Search">',
        'console.log("a reader\'s own code");',
        '<script src="../_static/documentation_options.js"></script><script>let inline;</script>',
    ],
)
def test_mend_leaves_alone_what_is_right(right):
    assert book_ext.mend(right) == right


def test_only_icons_in_use_stay_in_style_and_fonts(tmp_path):
    source = next(book_ext.ICONS.iterdir())
    folder = tmp_path / "vendor" / "fontawesome" / source.name
    shutil.copytree(source, folder)
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles" / "theme.css").write_text('a::after{content:"\\f107"} :root{--pst-icon-download:"\uf019"}')
    for page in ('<i class="fa-solid fa-magnifying-glass">', '<i class="fa-solid fa-xmark">'):  # a second build, too
        book_ext.trim_icons(tmp_path, [page])
        icon = page.split("fa-")[-1][:-2]
        style = (folder / "css" / "all.min.css").read_text(encoding="utf-8")
        assert len(style) < 20_000
        assert f".fa-{icon}:before" in style
        assert ".fa-cow:before" not in style
        with TTFont(folder / "webfonts" / "fa-solid-900.woff2") as font:
            assert set(font.getBestCmap()) == {0xF107, 0xF019, {"magnifying-glass": 0xF002, "xmark": 0xF00D}[icon]}
    assert not [*folder.glob("js/*"), *folder.glob("webfonts/*.ttf")]
