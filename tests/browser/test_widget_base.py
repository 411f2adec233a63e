"""The widget base, proven on a small widget of its own: alive without a kernel, and a module for live Jupyter."""

import gzip
import importlib
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import traitlets
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure

from lessons_lib.widgets import base
from tests.browser.conftest import HTML, serve

GOOD = """\
import { card, integer, oneOf } from "./shared/card.js";
import { slider } from "./shared/dom.js";

function render({ model, el }) {
  return card({
    model, el, rules: { level: integer(0, 10), mood: oneOf(["calm", "wild"]) },
    build({ controls, set }) {
      const level = slider({ label: "level", min: 0, max: 10, onchange: (value) => set({ level: value }) });
      controls.append(level);
      return (state) => {
        level.update(state.level);
        return "Level " + state.level + ", " + state.mood + ".";
      };
    },
  });
}

export default { render };
"""
THROWS = """\
function render({ el }) {
  el.append("half a widget");
  throw new Error("the pixels ran out");
}

export default { render };
"""
WAITS = """\
function render() {
  return new Promise((ready) => { window.release = ready; });
}

export default { render };
"""


@pytest.fixture
def make_widget(tmp_path, monkeypatch):
    """Makes a widget class out of JavaScript; its script stands in a copy of lessons_lib/widgets."""
    folder = tmp_path / "widgets"
    shutil.copytree(base.HERE, folder)
    monkeypatch.setattr(base, "HERE", folder)

    def make(code=GOOD, stem="probe"):
        (folder / f"{stem}.js").write_text(code, encoding="utf-8")

        class Probe(base.LessonWidget):
            name = stem
            title = traitlets.Unicode("A probe").tag(sync=True)
            alt = traitlets.Unicode("A line that rises.").tag(sync=True)
            level = traitlets.Int(3).tag(sync=True)
            mood = traitlets.Unicode("calm").tag(sync=True)

            def still(self):
                figure = Figure(figsize=(2, 1))
                figure.add_subplot().plot([0, 1])
                return figure

        return Probe

    return make


def sentence(page, widget="probe"):
    return page.locator(f"#{widget} .lesson-sentence").inner_text()


def wait_for_sentence(page, text, widget="probe"):
    page.wait_for_function(f"document.querySelector('#{widget} .lesson-sentence').textContent === '{text}'")


# ---------------------------------------------------------------- states


def test_loading_shows_the_still_and_ready_the_widget(make_widget, widget_page):
    page = widget_page(make_widget(WAITS), wait=False)
    figure = page.locator("figure.lesson-widget")
    page.wait_for_function("() => Boolean(window.release)")
    assert figure.get_attribute("data-state") == "loading"
    assert figure.get_by_alt_text("A line that rises.").is_visible()
    page.evaluate("window.release()")
    page.wait_for_selector("figure[data-state=ready]", state="attached")
    assert not figure.get_by_alt_text("A line that rises.").is_visible()


def test_a_script_that_fails_leaves_the_still_and_a_sentence(make_widget, widget_page):
    page = widget_page(make_widget(THROWS), make_widget(stem="other"), wait=False)
    page.wait_for_selector("figure[data-state=error]")
    alert = page.get_by_role("alert")
    assert "could not start" in alert.inner_text()
    assert "the pixels ran out" in alert.inner_text()
    assert page.locator("#probe").get_by_alt_text("A line that rises.").is_visible()
    assert "half a widget" not in page.locator("#probe").inner_text()
    page.wait_for_selector("#other[data-state=ready]")
    assert Axe().run(page).violations_count == 0


def test_a_script_that_is_not_there_is_an_error_too(make_widget, widget_page, new_page, tmp_path):
    page = widget_page(make_widget())
    next((tmp_path / "_static" / "lessons").glob("probe.*.js")).unlink()
    page.reload()
    page.wait_for_selector("figure[data-state=error]")
    assert re.search(r"cannot load probe\.\w+\.js", page.get_by_role("alert").inner_text())
    assert all("ERR_FILE_NOT_FOUND" in complaint for complaint in new_page.complaints)
    new_page.complaints.clear()


def test_without_scripts_the_still_and_a_sentence_stand_there(make_widget, widget_page):
    page = widget_page(make_widget(), wait=False, java_script_enabled=False)
    assert page.get_by_alt_text("A line that rises.").is_visible()
    sentence = page.locator("noscript p")
    assert sentence.is_visible()
    assert sentence.text_content() == "A probe: this figure moves where JavaScript runs."


def test_print_shows_the_still(make_widget, widget_page):
    page = widget_page(make_widget())
    assert not page.get_by_alt_text("A line that rises.").is_visible()
    page.emulate_media(media="print")
    assert page.get_by_alt_text("A line that rises.").is_visible()
    assert not page.get_by_role("slider").is_visible()


# ---------------------------------------------------------------- one page, many widgets


def test_it_lives_over_http_as_from_disk(make_widget, widget_page, new_page, tmp_path):
    assert sentence(widget_page(make_widget())) == "Level 3, calm."
    server = serve(tmp_path)
    page = new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/book/page.html")
    page.wait_for_selector("figure[data-state=ready]")
    assert sentence(page) == "Level 3, calm."
    server.shutdown()
    server.server_close()


def test_the_same_twice_and_another_do_not_meddle(make_widget, widget_page):
    probe, other = make_widget(), make_widget(GOOD.replace('"Level "', '"Height "'), stem="other")
    page = widget_page(probe, other, lambda: probe(level=8))
    page.locator("#probe").get_by_role("slider").press("ArrowRight")
    wait_for_sentence(page, "Level 4, calm.")
    assert [sentence(page, widget) for widget in ("probe-2", "other")] == ["Level 8, calm.", "Height 3, calm."]
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("script[src*=lessons]").count() == 2  # one a kind, not one a widget


# ---------------------------------------------------------------- reset and address


def test_reset_brings_back_the_start_even_after_an_address(make_widget, widget_page):
    page = widget_page(make_widget(), hash="#probe?level=9&mood=%22wild%22")
    assert sentence(page) == "Level 9, wild."
    page.get_by_role("button", name="Reset").press("Enter")
    wait_for_sentence(page, "Level 3, calm.")
    assert page.get_by_role("slider").input_value() == "3"


def test_the_link_holds_the_setting(make_widget, widget_page):
    probe = make_widget()
    page = widget_page(probe, probe)
    page.locator("#probe-2").get_by_role("slider").press("End")
    wait_for_sentence(page, "Level 10, calm.", "probe-2")
    page.locator("#probe-2").get_by_role("button", name="Link to this setting").click()
    page.reload()
    page.wait_for_selector("#probe-2[data-state=ready]")
    assert [sentence(page, widget) for widget in ("probe", "probe-2")] == ["Level 3, calm.", "Level 10, calm."]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("level=99", "Level 10, calm."),
        ("level=-4.6", "Level 0, calm."),
        ("level=6.4&mood=%22wild%22", "Level 6, wild."),
        ("mood=%22wild", "Level 3, calm."),
        ("mood=%22sad%22&level=5", "Level 5, calm."),
        ("level=%22high%22", "Level 3, calm."),
        ("level=null", "Level 3, calm."),
        ("level", "Level 3, calm."),
        ("level=%E0%A4%A", "Level 3, calm."),
        ("title=%22mine%22&__proto__=1", "Level 3, calm."),
        ("", "Level 3, calm."),
    ],
)
def test_an_address_is_clamped_or_ignored(make_widget, widget_page, address, expected):
    page = widget_page(make_widget(), hash=f"#probe?{address}")
    assert sentence(page) == expected
    assert page.locator(".lesson-title").inner_text() == "A probe"


def test_a_new_address_moves_the_widget_that_it_names(make_widget, widget_page):
    page = widget_page(make_widget())
    page.evaluate("location.hash = '#nobody?level=1'")
    page.evaluate("location.hash = '#probe?level=7'")
    wait_for_sentence(page, "Level 7, calm.")


# ---------------------------------------------------------------- files


def test_script_names_change_with_the_code(make_widget, tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path / "lessons"))

    def script():
        return re.search(r'data-script="(probe\.[0-9a-f]{10}\.js)"', make_widget(code)().static_html())[1]

    code = GOOD
    first = script()
    assert script() == first
    code = GOOD.replace("Level", "Height")
    second = script()
    assert second != first
    with (base.HERE / "shared" / "dom.js").open("a", encoding="utf-8") as shared:
        shared.write("// a change in a shared file\n")
    assert script() not in (first, second)


def test_the_runtime_is_light():
    assert len(gzip.compress((base.HERE / "runtime.js").read_bytes())) <= 5 * 1024


# ---------------------------------------------------------------- the same scripts in live Jupyter

NAMES = sorted(path.stem for path in base.HERE.glob("*.js") if path.stem != "runtime")


def live_script(name):
    """The code that anywidget gets for the widget of this name."""
    module = importlib.import_module(f"lessons_lib.widgets.{name}")
    return str(next(item._esm for item in vars(module).values() if getattr(item, "name", None) == name))


IMPORT_MODULE = """async (code) => {
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  window.widget = (await import(address)).default;
  return typeof window.widget.render;
}"""
RENDER = """async (state) => {
  const listeners = {};
  const model = {
    get: (key) => structuredClone(state[key]),
    set: (key, value) => {
      state[key] = value;
      for (const event of ["change:" + key, "change"]) (listeners[event] || []).forEach((call) => call());
    },
    save_changes() {},
    on: (event, call) => { (listeners[event] = listeners[event] || []).push(call); },
    off: (event, call) => { listeners[event] = (listeners[event] || []).filter((other) => other !== call); },
  };
  const el = document.createElement("div");
  document.querySelector("main, body").append(el);
  const stop = await window.widget.render({ model, el });
  const words = el.textContent;
  if (stop) stop();
  el.remove();
  return { words, left: Object.values(listeners).flat().length };
}"""


class States(HTMLParser):
    """Collects (name, state) of every widget of a page."""

    def __init__(self):
        super().__init__()
        self.found, self.name, self.inside = [], None, False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.name = attributes.get("data-widget") or self.name
        self.inside = tag == "script" and attributes.get("type") == "application/json" and self.name is not None

    def handle_data(self, data):
        if self.inside:
            self.found.append((self.name, data))
            self.inside = False


def states_on_the_site():
    """Every (name, state) of the built book; pictures as their addresses from the site's root."""
    reader = States()
    for path in sorted((HTML / "book").glob("*.html")):
        reader.feed(path.read_text(encoding="utf-8"))
    return [(name, json.loads(text.replace('"asset:', '"/_static/lessons/'))) for name, text in reader.found]


@pytest.fixture
def blank_page(new_page, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>blank</title><link rel=icon href=data:,>")
    server = serve(tmp_path)
    page = new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
    yield page
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", NAMES)
def test_the_live_script_is_a_module(name, blank_page):
    assert blank_page.evaluate(IMPORT_MODULE, live_script(name)) == "function"


def test_every_widget_of_the_book_renders_in_live_jupyter(site, page):
    page.goto(f"{site}/book/glossary.html")
    states = states_on_the_site()
    assert states, "no widget in the built book"
    for name, state in states:
        page.evaluate(IMPORT_MODULE, live_script(name))
        result = page.evaluate(RENDER, state)
        assert result["words"], f"{name} says nothing"
        assert result["left"] == 0, f"{name} leaves listeners behind"
