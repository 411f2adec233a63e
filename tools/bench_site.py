"""Weighs every page of the built book and times its widgets on a slow line: `make bench-site`.

The weights are always the same and must keep to their limits. The times depend on the machine and are only reported.
"""

import functools
import gzip
import http.server
import mimetypes
import statistics
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml
from playwright.sync_api import Browser, Response, sync_playwright

from tools.browser import FLAGS, find_browser

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PACKED = {".html", ".css", ".js", ".json", ".svg", ".txt", ".inv", ".ipynb"}  # a web server sends these gzipped
MOST_KB, MOST_KB_WITH_MATHS, MOST_MS = 450, 750, 1500
LINE = {"offline": False, "latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}  # ms, byte/s
SLOWER_CPU = 4
RUNS = 3
CLOCK = """
addEventListener("DOMContentLoaded", () => {
  const look = () => {
    const waiting = document.querySelectorAll("figure.lesson-widget:not([data-state=ready])").length;
    if (!waiting && !window.widgetsReady) window.widgetsReady = performance.now();
  };
  new MutationObserver(look).observe(document, { subtree: true, attributeFilter: ["data-state"] });
  look();
});
"""


class Weight(NamedTuple):
    """What a page asks for until nobody has touched it.

    Args:
        requests: number of files.
        raw: their bytes on disk.
        gzipped: their bytes on the wire.
        maths: MathJax is among them.
    """

    requests: int
    raw: int
    gzipped: int
    maths: bool

    @property
    def most_kb(self) -> int:
        """The limit for the gzipped kilobytes (1000 bytes)."""
        return MOST_KB_WITH_MATHS if self.maths else MOST_KB


def pages() -> list[str]:
    """Read the table of contents.

    Returns:
        The book's pages in order, without a suffix: "book/index", ...
    """

    def listed(entry) -> Iterable[str]:
        for key in ("root", "file"):
            if key in entry:
                yield entry[key]
        for key in ("parts", "chapters", "sections"):
            for child in entry.get(key, []):
                yield from listed(child)

    return list(listed(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


def packed(content: bytes, suffix: str) -> bytes:
    """Compress a file as a web server would.

    Args:
        content: the file's bytes.
        suffix: of its name, with the dot.

    Returns:
        The bytes on the wire: gzipped if the file is text, else as they are.

    Example:
        >>> len(packed(b"a" * 1000, ".css")) < 50, len(packed(b"a" * 1000, ".woff2"))
        (True, 1000)
    """
    return gzip.compress(content, 6, mtime=0) if suffix in PACKED else content


def weigh(responses: Iterable[Response]) -> Weight:
    """Add up what a page has asked for.

    Args:
        responses: playwright's, finished.

    Returns:
        The page's weight.
    """
    files = {response.url.split("?")[0].split("#")[0]: response.body() for response in responses}
    gzipped = sum(len(packed(body, Path(url).suffix)) for url, body in files.items())
    return Weight(len(files), sum(map(len, files.values())), gzipped, any("/mathjax/" in url for url in files))


class PackingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files gzipped over connections that stay open, and prints nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Send one file."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = packed(path.read_bytes(), path.suffix)
        self.send_response(200)
        self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        if path.suffix in PACKED:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Print nothing for a request."""


def measure(browser: Browser, address: str) -> tuple[Weight, float | None]:
    """Open a page once with an empty cache on a slow line.

    Args:
        browser: playwright's.
        address: of the page.

    Returns:
        Its weight, and the milliseconds until every widget was ready (None if it has no widget).
    """
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page, responses = context.new_page(), []
        page.on("response", lambda response: responses.append(response))
        page.add_init_script(CLOCK)
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", LINE)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_CPU})
        page.goto(address)
        page.wait_for_function("window.widgetsReady")
        page.wait_for_load_state("networkidle")
        has_widgets = page.locator("figure.lesson-widget").count() > 0
        return weigh(responses), page.evaluate("window.widgetsReady") if has_widgets else None


def main() -> int:
    """Measure every page and print the table.

    Returns:
        1 if a page is heavier than its limit, else 0.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(PackingHandler, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"10 Mbit/s, 40 ms, {SLOWER_CPU}x slower CPU, gzipped; the median of {RUNS} runs")
    print(f"{'page':32} requests   KB raw  KB gzipped  limit  widgets ready, ms")
    status = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        for name in pages():
            runs = [measure(browser, f"http://127.0.0.1:{server.server_port}/{name}.html") for _ in range(RUNS)]
            weight = runs[0][0]
            times = [time for _, time in runs if time is not None]
            ready = statistics.median(times) if times else None
            too_heavy, too_slow = weight.gzipped > 1000 * weight.most_kb, ready is not None and ready > MOST_MS
            status |= too_heavy
            print(
                f"{name:32} {weight.requests:8} {weight.raw / 1000:8.0f} {weight.gzipped / 1000:11.0f}"
                f" {weight.most_kb:6}  {'no widget' if ready is None else f'{ready:.0f}'}"
                f"{'  TOO HEAVY' if too_heavy else ''}{f'  more than {MOST_MS} ms' if too_slow else ''}",
                flush=True,
            )
        browser.close()
    server.shutdown()
    server.server_close()
    return status


if __name__ == "__main__":
    sys.exit(main())
