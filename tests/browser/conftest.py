"""Fixtures of the browser tests: the built site, a browser without network, a page that fails on any complaint."""

import functools
import http.server
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from lessons_lib.widgets import base
from tools.browser import FLAGS, find_browser

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(folder):
    """Serve a folder on a free port of this machine; returns the server, already running."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="session")
def site():
    """Address of the built book. It must have been built: `make html`."""
    assert (HTML / "book" / "index.html").exists(), "the book is not built: run `make html` first"
    server = serve(HTML)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """Opens pages that may ask nothing of the outside; the test fails on a console message or a failed request."""
    contexts, complaints = [], []

    def guard(route):
        if route.request.url.startswith(("http://127.0.0.1", "file:", "data:", "blob:")):
            route.continue_()
        else:
            complaints.append(f"outside request: {route.request.url}")
            route.abort()

    def open_page(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on(
            "response",
            lambda response: response.status >= 400 and complaints.append(f"{response.status} {response.url}"),
        )
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture
def widget_page(new_page, tmp_path, monkeypatch):
    """Opens a page from disk that holds the given widgets and nothing else, and waits until they are ready."""

    def open_widgets(*make_widgets, wait=True, hash="", **options):
        static = tmp_path / "_static"
        monkeypatch.setenv("LESSONS_STATIC", str(static / "lessons"))
        figures = "\n".join(make().static_html() if callable(make) else make.static_html() for make in make_widgets)
        (static / "runtime.js").write_text((base.HERE / "runtime.js").read_text(encoding="utf-8"), encoding="utf-8")
        (tmp_path / "book").mkdir(exist_ok=True)
        path = tmp_path / "book" / "page.html"
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>widgets</title>'
            f'<meta name="viewport" content="width=device-width"><style>{base.widget_css()}</style>'
            '<script defer src="../_static/runtime.js"></script></head>'
            f"<body><main><h1>widgets</h1>{figures}</main></body></html>",
            encoding="utf-8",
        )
        page = new_page(**options)
        page.goto(path.as_uri() + hash)
        if wait:
            page.wait_for_function(
                "document.querySelectorAll('figure.lesson-widget').length"
                " === document.querySelectorAll('figure.lesson-widget[data-state=ready]').length"
            )
        return page

    return open_widgets
