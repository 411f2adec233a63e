"""The built site as a reader meets it: whole, quiet, legible, light, and nobody else is asked for anything."""

import re
from html.parser import HTMLParser

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import HTML, ROOT
from tools.bench_site import pages, weigh
from tools.notebooks import repository_address

PAGES = pages()
NOTEBOOKS = [name for name in PAGES if (ROOT / f"{name}.ipynb").exists()]
MODES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "390 px": {"width": 390, "height": 844},
}
SETTLED = """() => {
  const waiting = document.querySelectorAll("figure.lesson-widget:not([data-state=ready])").length;
  const maths = window.MathJax && document.querySelector(".math") && !document.querySelector("mjx-container");
  return !waiting && !maths;
}"""
BROKEN = """async () => {
  const broken = [];
  for (const image of document.images) {
    image.loading = "eager";
    await image.decode().catch(() => broken.push(image.src));
  }
  return broken;
}"""


def visit(page, address):
    """Open a page and wait until its widgets and its maths are there."""
    page.goto(address)
    page.wait_for_function(SETTLED)


# ---------------------------------------------------------------- every page


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*PAGES, "search"])
def test_axe_finds_nothing(site, new_page, name, mode):
    page = new_page(**MODES[mode])
    visit(page, f"{site}/{name}.html")
    assert page.locator("html").get_attribute("data-theme") == ("dark" if mode == "dark" else "light")
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})  # else axe fetches styles
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways_on_a_small_phone(site, new_page, name):
    page = new_page(width=320, height=640)
    visit(page, f"{site}/{name}.html")
    too_wide = "element => element.getBoundingClientRect().right > 321 && !element.closest('pre, .math, table')"
    names = page.evaluate(
        f"[...document.querySelectorAll('main *')].filter({too_wide}).map((element) => element.outerHTML)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, names[:3]


@pytest.mark.parametrize("name", PAGES)
def test_it_is_whole_from_disk_down_to_its_end(new_page, name):
    page = new_page()
    visit(page, (HTML / f"{name}.html").as_uri())
    assert page.evaluate(BROKEN) == []


@pytest.mark.parametrize("name", PAGES)
def test_it_is_within_its_weight(site, new_page, name):
    page, responses = new_page(), []
    page.on("response", lambda response: responses.append(response))
    visit(page, f"{site}/{name}.html")
    page.wait_for_load_state("networkidle")
    weight = weigh(responses)
    assert weight.gzipped <= 1000 * weight.most_kb, weight


@pytest.mark.parametrize("name", PAGES)
def test_pictures_speak_and_come_when_needed(site, page, name):
    visit(page, f"{site}/{name}.html")
    pictures = page.evaluate("""() => [...document.querySelectorAll("article img")]
      .filter((image) => !image.closest(".lesson-card")).map((image) => ({
      alt: image.alt, lazy: image.loading === "lazy", below: image.getBoundingClientRect().top > innerHeight,
      captioned: Boolean(image.closest("figure.lesson-widget, figure:has(figcaption)")) }))""")
    for picture in pictures:
        assert re.search(r"\w+ \w+", picture["alt"]), f"words for the picture, not {picture['alt']!r}"
        assert picture["lazy"] or not picture["below"], picture["alt"]
        assert picture["captioned"], picture["alt"]
    captions = page.locator("article figure:not(.lesson-widget) figcaption").all_inner_texts()
    assert all(caption.strip() for caption in captions)


@pytest.mark.parametrize("name", PAGES)
def test_every_formula_is_understood(site, page, name):
    visit(page, f"{site}/{name}.html")
    formulas = page.locator("div.math, span.math").count()
    assert page.locator("mjx-container").count() == formulas
    assert page.locator("mjx-merror, [data-mjx-error]").all_inner_texts() == []
    assert not any("\\" in text for text in page.locator("mjx-assistive-mml").all_inner_texts())


@pytest.mark.parametrize("name", PAGES)
def test_ids_stand_for_one_element_each(site, page, name):
    visit(page, f"{site}/{name}.html")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert sorted({name for name in ids if ids.count(name) > 1}) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_maps_lie_exactly_on_their_pictures(site, new_page, name, mode):
    page = new_page(**MODES[mode])
    visit(page, f"{site}/{name}.html")
    content = """element => {
      const box = element.getBoundingClientRect(), style = getComputedStyle(element);
      return [box.x + parseFloat(style.paddingLeft), box.y + parseFloat(style.paddingTop),
        box.width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
        box.height - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom)].map(Math.round).join(" "); }"""
    for stack in page.locator(".lesson-pixels:visible").all():  # a layer with a style of its own lies elsewhere
        layers = stack.locator("> img:visible, > canvas:not([style]):visible").evaluate_all(
            f"layers => layers.map({content})"
        )
        assert len(set(layers)) <= 1, layers


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_solution_is_folded_under_its_own_words(site, page, name):
    page.goto(f"{site}/{name}.html")
    for fold in page.locator("div.cell.tag_exercise-solution summary").all():
        assert fold.locator(".collapsed").inner_text() == "Show the solution"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_can_be_downloaded(site, page, name):
    page.goto(f"{site}/{name}.html")
    link = page.locator(".dropdown-download-buttons a[href$='.ipynb']")
    assert link.get_attribute("href").endswith(f"_sources/{name}.ipynb")
    assert page.request.get(link.evaluate("(link) => link.href")).json()["nbformat"] == 4


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_launch_buttons_are_there_exactly_if_the_repository_has_an_address(site, page, name):
    page.goto(f"{site}/{name}.html")
    links = page.locator(".dropdown-launch-buttons a").evaluate_all("links => links.map((link) => link.href)")
    assert len(links) == (2 if repository_address() else 0)
    assert all(link.endswith(f"{name}.ipynb") for link in links)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_print_shows_stills_and_no_controls(site, page, name):
    visit(page, f"{site}/{name}.html")
    page.emulate_media(media="print")
    assert not page.locator(".bd-sidebar-primary").is_visible()
    for figure in page.locator("figure.lesson-widget:has(> .lesson-still)").all():
        assert figure.locator("> .lesson-still").is_visible()
        assert not figure.locator(".lesson-card:not(.lesson-still)").is_visible()


# ---------------------------------------------------------------- the site


def test_search_finds_a_page(site, page):
    page.goto(f"{site}/{NOTEBOOKS[0]}.html")
    page.get_by_role("button", name="Search").first.click()
    page.locator("#search-input:visible").fill("segmentation")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    page.locator("#search-results li a").first.click()
    assert "segmentation" in page.locator("article").inner_text().lower()


def test_previous_and_next_lead_through_the_whole_book(site, page):
    page.goto(f"{site}/{PAGES[0]}.html")
    for name in PAGES[1:]:
        page.locator("a.right-next").click()
        page.wait_for_url(f"{site}/{name}.html")


class Loads(HTMLParser):
    """Collects the addresses that a page loads by itself; a link that a reader may follow is not one."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.found += [attributes[key] for key in ("src", "srcset", "poster", "data") if attributes.get(key)]
        if tag == "link" and attributes.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(attributes.get("href", ""))


def test_no_page_and_no_style_names_an_outside_address():
    for path in HTML.rglob("*.html"):
        reader = Loads()
        reader.feed(path.read_text(encoding="utf-8"))
        assert [address for address in reader.found if re.match(r"(https?:)?//", address)] == [], path.name
    for path in HTML.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*", path.read_text(encoding="utf-8")) == []
