"""What the book adds to Sphinx: pages know what they depend on, widgets find their files, nothing asks the network.

The finished HTML is mended where the theme's own output falls short: FontAwesome's JavaScript (1.5 MB on every page)
goes, since the style sheet draws the same icons, and that sheet and its fonts are cut down to the icons in use; four
accessibility defects are put right; and the theme no longer talks to the console.
"""

import ast
import hashlib
import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

from fontTools import subset

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lessons_lib"
RESULTS = ROOT / "experiments" / "results"
ASSETS = ROOT / "_build" / "lessons"
THEME = Path(importlib.util.find_spec("pydata_sphinx_theme").origin).parent / "theme" / "pydata_sphinx_theme"
ICONS = THEME / "static" / "vendor" / "fontawesome"
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"


def drop_launch_buttons(app, config):
    """Offer Colab and Binder only once the repository's address is set; the theme fails on none (config-inited)."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options["launch_buttons"] = {}


# ---------------------------------------------------------------- which page depends on which file


def imported_files(code: str) -> set[Path]:
    """Find the files of lessons_lib that a piece of Python imports.

    Args:
        code: Python source, without IPython magics.

    Returns:
        The modules' files, not the ones that those import in turn.
    """
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "lessons_lib":
            path = ROOT.joinpath(*parts)
            packages = [ROOT.joinpath(*parts[:depth]) / "__init__.py" for depth in range(1, len(parts) + 1)]
            files.update(file for file in (path.with_suffix(".py"), *packages) if file.exists())
    return files


def dependencies(notebook: Path) -> set[Path]:
    """Find every file of the project that a notebook's outputs depend on.

    Args:
        notebook: an .ipynb file.

    Returns:
        The modules of lessons_lib that it imports, directly or not; the JavaScript of every widget among them, with
        all shared scripts; every file NAME.* and NAME_*.* of a recorded experiment whose NAME stands in quotes in the
        notebook or in such a module.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines()]
    code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    found, waiting = set(), imported_files(code)
    texts = [code]
    while waiting:
        file = waiting.pop()
        found.add(file)
        texts.append(file.read_text(encoding="utf-8"))
        waiting |= imported_files(texts[-1]) - found
    widgets = LIBRARY / "widgets"
    if widgets / "base.py" in found:
        scripts = [file.with_suffix(".js") for file in found if file.parent == widgets]
        found.update(file for file in scripts if file.exists())
        found.update(file for file in (widgets / "shared").iterdir() if file.suffix == ".js")
    quoted = {word for text in texts for word in re.findall(r'"(\w+)"', text)}
    found.update(
        result
        for result in RESULTS.iterdir()
        if any(result.stem == word or result.stem.startswith(f"{word}_") for word in quoted)
    )
    return found


def digest(files: set[Path]) -> str:
    """Hash the names and contents of files.

    Args:
        files: any files.

    Returns:
        A SHA-256 in hex; it changes when a file is changed, added or removed.
    """
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def changed_pages(app, env, added, changed, removed):
    """Name the notebooks whose library has changed since the last build (event env-get-outdated)."""
    old = getattr(env, "lesson_digests", {})
    notebooks = {name: Path(env.doc2path(name)) for name in env.found_docs if env.doc2path(name).endswith(".ipynb")}
    env.lesson_digests = {name: digest(dependencies(path)) for name, path in notebooks.items()}
    return [name for name, value in env.lesson_digests.items() if old.get(name) != value]


def restyled_pages(app, env):
    """Ask for every page to be written anew when a style or the runtime has changed (event env-updated)."""
    files = {LIBRARY / "widgets" / "runtime.js", Path(__file__), LIBRARY / "palette.py"}
    files |= {LIBRARY / "widgets" / "shared" / "widget.css", *(ROOT / "book" / "_static").glob("*.css")}
    old, env.lesson_style = getattr(env, "lesson_style", None), digest(files)
    return env.found_docs if old != env.lesson_style else []


# ---------------------------------------------------------------- files that stand beside the pages


def write_widget_files(app):
    """Put the widgets' style and runtime where pages look for them (event builder-inited)."""
    from lessons_lib.widgets import base

    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "widget.css").write_text(base.widget_css(), encoding="utf-8")
    shutil.copy(base.HERE / "runtime.js", static / "runtime.js")


ICON = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\(\w+)"\}')
CODE_POINT = re.compile(r'"\\(f[0-9a-f]{3})"')


def copy_mathjax(static: Path):
    """Copy the part of MathJax that draws TeX as HTML, with its fonts."""
    for name in ("tex-chtml.js", "output/chtml/fonts/woff-v2"):
        source, target = MATHJAX / name, static / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def trim_icons(static: Path, pages: list[str]):
    """Write FontAwesome's style and fonts with only those icons that a page, the theme's script or its style names."""
    folder = next(static.glob("vendor/fontawesome/*"))
    scripts = [file.read_text(encoding="utf-8") for file in static.glob("scripts/*.js")]
    used = {name for text in pages + scripts for name in re.findall(r"\bfa-[\w-]+", text)}
    styles = "".join(file.read_text(encoding="utf-8") for file in static.glob("styles/*.css"))
    points = {*CODE_POINT.findall(styles), *(f"{ord(icon):x}" for icon in re.findall("[\ue000-\uf8ff]", styles))}

    def keep(rule: re.Match) -> str:
        if used.isdisjoint(re.findall(r"fa-[\w-]+", rule[1])):
            return ""
        points.add(rule[2])
        return rule[0]

    css = (ICONS / folder.name / "css" / "all.min.css").read_text(encoding="utf-8")
    (folder / "css" / "all.min.css").write_text(ICON.sub(keep, css), encoding="utf-8")
    for font in (ICONS / folder.name / "webfonts").glob("*.woff2"):
        options = subset.Options(flavor="woff2", layout_features=[])
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=[int(point, 16) for point in points])
        with subset.load_font(str(font), options) as loaded:
            cutter.subset(loaded)
            subset.save_font(loaded, str(folder / "webfonts" / font.name), options)
    for leftover in [*folder.glob("webfonts/*.ttf"), *folder.glob("js/*")]:
        leftover.unlink()


# ---------------------------------------------------------------- the finished HTML

ICON_SCRIPT = re.compile(r"\s*<script[^>]*fontawesome[^>]*></script>|\s*<link rel=\"preload\"[^>]*>")
CITATIONS = re.compile(r'<div (?=[^>]*class="citation(?:-list)?")[^>]*>')
SEARCH_BUTTON = re.compile(r"<button (?=[^>]*search-button-field)[^>]*>")
SIDEBAR = re.compile(r'<div (?=class="bd-sidebar-primary)')
WIDE_TABLE = re.compile(r'<div (?=class="pst-scrollable-table-container")')
THEME_CHATTER = re.compile(r"console\.log\(([`\"])\[(?:PST|SBT)\].*?\1\)")
IMAGE = re.compile(r"<img (?![^>]*loading=)")
BLOCKING_SCRIPT = re.compile(r"<script (?![^>]*(?:defer|async|documentation_options))(?=[^>]*src=)")
RUNTIME = re.compile(r'(<script defer)(?:="defer")?( src="([^"]*/)runtime\.js[^>]*></script>)')
MATHJAX_SCRIPT = re.compile(r'<script [^>]*src=("[^"]*/mathjax/[^"]*")></script>')
WIDGET_SCRIPT = re.compile(r'data-script="([^"]+)"')


def mend(page: str) -> str:
    """Put right in one page's HTML what the theme leaves wrong.

    Args:
        page: HTML as the theme wrote it.

    Returns:
        The same page: no icon script, scripts in the order of need (the widgets' at once, MathJax only where there is
        maths, and last), pictures that load when they come near, no chatter in the console, roles and labels as axe
        wants them.
    """
    page = ICON_SCRIPT.sub("", page)
    page = CITATIONS.sub(lambda match: re.sub(r' role="[a-z-]+"', "", match[0]), page)
    page = SEARCH_BUTTON.sub(lambda match: match[0].replace(' aria-label="Search"', ""), page)
    page = SIDEBAR.sub('<div role="region" aria-label="Contents" ', page)
    page = WIDE_TABLE.sub('<div tabindex="0" ', page)  # it scrolls, so the keyboard must reach it
    page = THEME_CHATTER.sub("void 0", page)
    page = IMAGE.sub('<img loading="lazy" ', page)
    page = BLOCKING_SCRIPT.sub("<script defer ", page)
    page = MATHJAX_SCRIPT.sub(r"<script data-later=\1></script>" if 'class="math ' in page else "", page)
    preloads = "".join(
        rf'<link rel="preload" as="script" href="\3lessons/{name}" />'
        for name in dict.fromkeys(WIDGET_SCRIPT.findall(page))
    )
    return RUNTIME.sub(rf"{preloads}\1\2", page)


def finish(app, exception):
    """Complete the built site (event build-finished)."""
    if exception or app.builder.format != "html":
        return
    if app._warncount:  # else the next build would skip the pages that were warned of, and pass
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)
    out = Path(app.outdir)
    pages = []
    for path in out.rglob("*.html"):
        old = path.read_text(encoding="utf-8")
        pages.append(mend(old))
        if pages[-1] != old:
            path.write_text(pages[-1], encoding="utf-8")
    for script in (out / "_static" / "scripts").glob("*.js"):
        script.write_text(THEME_CHATTER.sub("void 0", script.read_text(encoding="utf-8")), encoding="utf-8")
    copy_mathjax(out / "_static")
    trim_icons(out / "_static", pages)
    if ASSETS.exists():
        shutil.copytree(ASSETS, out / "_static" / "lessons", dirs_exist_ok=True)


def setup(app):
    """Register the extension."""
    os.environ["LESSONS_STATIC"] = str(ASSETS)  # the kernels that run the notebooks inherit it
    app.connect("config-inited", drop_launch_buttons)
    app.connect("builder-inited", write_widget_files)
    app.connect("env-get-outdated", changed_pages)
    app.connect("env-updated", restyled_pages)
    app.connect("build-finished", finish)
    app.add_css_file("widget.css")
    app.add_js_file("runtime.js", priority=200, loading_method="defer")  # ahead of MathJax
    return {"parallel_read_safe": True, "parallel_write_safe": True}
