"""The widget base: an anywidget in live Jupyter, a figure that needs no kernel on the built page.

A widget is one Python file (state and its validation) and one JavaScript file of the same name (pixels).
The JavaScript may import helpers from `./shared/`; `bundle` folds them into one script, because neither
a notebook (Blob address) nor a page opened from disk (`file://`) can follow an import.

When the book is built, the variable LESSONS_STATIC names a folder. A widget then opens no comm: it writes its
script and its pictures there, named by their content's hash, and shows a `<figure>` that carries its state.
"""

import base64
import hashlib
import html
import io
import json
import os
import re
from pathlib import Path
from typing import ClassVar

import anywidget
import numpy as np
import traitlets
from PIL import Image

from lessons_lib.palette import css_variables

HERE = Path(__file__).parent
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(?:shared/)?([\w-]+)\.js";\n', re.MULTILINE)


def static_folder() -> Path | None:
    """Say where the book's build collects scripts and pictures.

    Returns:
        The folder that LESSONS_STATIC names, or None in live Jupyter.
    """
    folder = os.environ.get("LESSONS_STATIC")
    return Path(folder) if folder else None


def keep(content: bytes, stem: str, suffix: str) -> str:
    """Write content into the static folder under a name that changes with it.

    Args:
        content: the file's bytes.
        stem: first part of the name.
        suffix: last part of the name, with its dot.

    Returns:
        The file's name, `stem.HASH.suffix`; the hash is the first 10 hex digits of SHA-256.
    """
    folder = static_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{stem}.{hashlib.sha256(content).hexdigest()[:10]}{suffix}"
    (folder / name).write_bytes(content)
    return name


def bundle(name: str) -> str:
    """Fold a widget's JavaScript and the shared files that it imports into one piece of code.

    Args:
        name: the stem of `lessons_lib/widgets/NAME.js`.

    Returns:
        Code that defines `render`, with no import and no export left.
    """
    order: list[str] = []

    def visit(path: Path) -> str:
        code = path.read_text(encoding="utf-8")
        for shared in IMPORT.findall(code):
            if shared not in order:
                body = visit(HERE / "shared" / f"{shared}.js")
                order.append(shared)
                parts.append(body)
        return re.sub(r"^export (?!default)", "", IMPORT.sub("", code), flags=re.MULTILINE)

    parts: list[str] = []
    parts.append(visit(HERE / f"{name}.js"))
    return re.sub(r"^export default .*\n", "", "\n".join(parts), flags=re.MULTILINE)


def picture_uri(picture: np.ndarray, lossless: bool = True) -> str:
    """Encode a picture as a WebP data address.

    Args:
        picture: (H, W, 3) or (H, W, 4), float in [0, 1] or uint8.
        lossless: keep every pixel; False is several times smaller and right for photographs.

    Returns:
        An address that starts with `data:image/webp;base64,`.

    Raises:
        ValueError: if the array is not a picture.

    Example:
        >>> picture_uri(np.zeros((2, 2, 3)))[:23]
        'data:image/webp;base64,'
    """
    if picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise ValueError(
            f"a picture has the shape (H, W, 3) or (H, W, 4), but this one has {picture.shape}: "
            "colour it first, for example with palette.colorize"
        )
    if picture.dtype != np.uint8:
        picture = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", lossless=lossless, quality=78, method=6)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def encode_map(ids: np.ndarray) -> str:
    """Write a map of small numbers as text that `decodeMap` in shared/picture.js reads.

    Args:
        ids: integers of any shape, 0 to 28, or 255 for void.

    Returns:
        One character a pixel, row after row: "a" is 0, "b" is 1 and so on; "~" is 255.

    Raises:
        ValueError: if a number has no character.

    Example:
        >>> encode_map(np.array([[0, 1], [255, 2]]))
        'ab~c'
    """
    ids = np.asarray(ids)
    wrong = np.unique(ids[(ids < 0) | (ids > 28) & (ids != 255)])
    if wrong.size:
        raise ValueError(f"a map as text holds 0 to 28, or 255: got {wrong.tolist()}; relabel the map")
    return "".join("~" if number == 255 else chr(ord("a") + number) for number in ids.ravel().tolist())


def figure_webp(figure) -> bytes:
    """Render a matplotlib figure on a transparent ground.

    Args:
        figure: a `matplotlib.figure.Figure`.

    Returns:
        The bytes of a WebP file at 144 dots per inch.
    """
    stream = io.BytesIO()
    settings = {"quality": 70, "method": 4}
    figure.savefig(stream, format="webp", dpi=144, transparent=True, pil_kwargs=settings)
    return stream.getvalue()


def _externalise(value):
    """Replace every data address inside a value by `asset:NAME`; write it to a file, one for all who show the same."""
    if isinstance(value, str) and value.startswith("data:image/"):
        kind, content = value.removeprefix("data:image/").split(";base64,")
        return "asset:" + keep(base64.b64decode(content), "picture", f".{kind}")
    if isinstance(value, list | tuple):
        return [_externalise(item) for item in value]
    if isinstance(value, dict):
        return {key: _externalise(item) for key, item in value.items()}
    return value


class LessonWidget(anywidget.AnyWidget):
    """What every widget of the book shares: a title, a text alternative, a still, and two ways to appear.

    A subclass gives `name` (the stem of its JavaScript file), its traits tagged `sync=True`, and `still()`,
    the matplotlib figure of its first state, which stands where no script runs and in print.
    """

    name: ClassVar[str]
    title = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init_subclass__(cls, **kwargs):
        if "name" in cls.__dict__:
            cls._esm = bundle(cls.name) + "\nexport default { render };\n"
            cls._css = widget_css()
        super().__init_subclass__(**kwargs)

    def open(self):
        """Open the channel to the notebook, unless the book is being built: then there is none."""
        if static_folder() is None:
            super().open()

    def still(self):
        """Draw the first state.

        Returns:
            A `matplotlib.figure.Figure`, or None for a widget whose words alone say it all.
        """
        return None

    def state(self) -> dict:
        """Collect what the JavaScript gets.

        Returns:
            The synchronised traits of the subclass, by name.
        """
        stock = set(anywidget.AnyWidget.class_trait_names()) | {"_esm", "_css", "_anywidget_id"}
        return {key: getattr(self, key) for key in sorted(self.trait_names(sync=True)) if key not in stock}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r})"

    def _repr_mimebundle_(self, **kwargs):
        if static_folder() is None:
            return super()._repr_mimebundle_(**kwargs)
        return {"text/html": self.static_html(), "text/plain": repr(self)}

    def static_html(self) -> str:
        """Write the script and the pictures into the static folder and describe the widget as HTML.

        Returns:
            The `<figure>` that `runtime.js` brings to life.
        """
        register = f'LessonWidgets.register("{self.name}", {{ render }});'
        code = f'"use strict";(function(){{\n{bundle(self.name)}\n{register}\n}})();\n'
        script = keep(code.encode(), self.name, ".js")
        state = json.dumps(_externalise(self.state()), sort_keys=True, separators=(",", ":"))
        return (
            f'<figure class="lesson-widget" data-widget="{self.name}" data-script="{script}" data-state="loading" '
            f'aria-label="{html.escape(self.title, quote=True)}">{self.fallback_html()}'
            f'<script type="application/json">{state.replace("</", "<" + chr(92) + "/")}</script></figure>'
        )

    def fallback_html(self) -> str:
        """Describe the widget for print and for where no script runs: here its still, and a sentence that it moves.

        Returns:
            HTML; the element with the class `lesson-still` goes away once the widget is ready.
        """
        still = self.still()
        picture = ""
        if still is not None:
            width, height = (round(72 * side) for side in still.get_size_inches())
            source = "../_static/lessons/" + keep(figure_webp(still), "picture", ".webp")
            alt = html.escape(self.alt, quote=True)
            size = f'width="{width}" height="{height}"'
            picture = f'<img class="lesson-still" src="{source}" alt="{alt}" {size} loading="lazy">'
        words = f"{html.escape(self.title)}: this figure moves where JavaScript runs."
        return f"{picture}<noscript><p>{words}</p></noscript>"


def widget_css() -> str:
    """Read the style of all widgets, with the class colours of `palette` in it.

    Returns:
        CSS text.
    """
    style = (HERE / "shared" / "widget.css").read_text(encoding="utf-8")
    return f":root {{\n{css_variables()}\n}}\n{style}"
