"""The small tools: what they say when something is wrong, and what they count."""

import gzip
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import bench_site, browser, check, serve

ROOT = Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- serve


@pytest.fixture
def taken():
    """A port of this machine that something uses already."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_gets_one_line(taken):
    command = [sys.executable, "-m", "tools.serve", "--check", str(taken)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"port {taken} is in use: stop what uses it, or choose another with make serve PORT={taken + 1}\n"
    )
    assert done.stdout == ""


def test_a_port_that_cannot_be_is_named():
    with pytest.raises(SystemExit, match="a port is a number from 1 to 65535, but PORT is 70000"):
        serve.open_server(70000)


def test_it_serves_the_book_and_asks_browsers_to_look_again(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("the book")
    monkeypatch.setattr(serve, "HTML", tmp_path)
    with serve.open_server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
            assert answer.read() == b"the book"
            assert answer.headers["Cache-Control"] == "no-cache"
        server.shutdown()


# ---------------------------------------------------------------- browser


def test_the_variable_chrome_comes_first(tmp_path, monkeypatch):
    program = tmp_path / "my-chrome"
    program.touch()
    monkeypatch.setenv("CHROME", str(program))
    assert browser.find_browser() == str(program)


def test_then_a_browser_of_the_system_and_nothing_that_is_not_there(tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.touch()
    monkeypatch.setenv("CHROME", str(tmp_path / "gone"))
    monkeypatch.setattr(browser.shutil, "which", lambda name: str(program) if name == "chromium" else None)
    assert browser.find_browser() == str(program)


# ---------------------------------------------------------------- check

TESTS = """\
import pytest

def test_right():
    pass

def test_wrong():
    assert {right}

@pytest.mark.skip
def test_later():
    pass
"""


@pytest.fixture
def run_stages(tmp_path, monkeypatch, capfd):
    """Runs `check` on stages of our own; gives its status and its last lines."""

    def run(*stages):
        monkeypatch.setattr(check, "ROOT", tmp_path)
        monkeypatch.setattr(check, "STAGES", stages)
        status = check.main()
        return status, capfd.readouterr().out.splitlines()

    return run


def python(code):
    return [sys.executable, "-c", code]


def test_the_counts_add_up(run_stages, tmp_path):
    (tmp_path / "test_sample.py").write_text(TESTS.format(right=True))
    status, lines = run_stages(("style", python("")), ("tests", [*check.PYTEST, *check.BARE, "test_sample.py"]))
    assert status == 0
    assert lines[-1] == "3 passed, 0 failed, 1 skipped"
    assert [line.split()[0] for line in lines[-3:-1]] == ["style", "tests"]
    assert lines[-2].endswith("passed (2 passed, 0 failed, 1 skipped)")


def test_it_stops_at_the_first_stage_that_fails(run_stages, tmp_path):
    (tmp_path / "test_sample.py").write_text(TESTS.format(right=False))
    tests = [*check.PYTEST, *check.BARE, "test_sample.py"]
    status, lines = run_stages(("style", python("")), ("tests", tests), ("site", python("")))
    assert status == 1
    assert lines[-1] == "2 passed, 1 failed, 1 skipped"
    assert not any("site" in line for line in lines[-3:])


def test_a_stage_that_is_no_test_counts_as_one(run_stages):
    status, lines = run_stages(("style", python("raise SystemExit(3)")), ("site", python("")))
    assert status == 3
    assert lines[-1] == "0 passed, 1 failed, 0 skipped"


# ---------------------------------------------------------------- bench_site


def test_pages_are_read_in_order_from_any_depth(tmp_path, monkeypatch):
    toc = "root: book/index\nparts:\n- chapters:\n  - file: book/a\n    sections: [{file: book/b}]\n  - file: book/c\n"
    (tmp_path / "_toc.yml").write_text(toc)
    monkeypatch.setattr(bench_site, "ROOT", tmp_path)
    assert bench_site.pages() == ["book/index", "book/a", "book/b", "book/c"]


def test_a_page_weighs_what_goes_over_the_wire():
    text, picture = b"words " * 1000, bytes(range(256)) * 10
    answers = {
        "http://x/a.html": text,
        "http://x/b.css?v=1": text,
        "http://x/c.webp": picture,
        "http://x/c.webp#1": picture,
    }
    weight = bench_site.weigh(SimpleNamespace(url=url, body=lambda body=body: body) for url, body in answers.items())
    packed = len(gzip.compress(text, 6, mtime=0))
    assert weight == (3, 2 * len(text) + len(picture), 2 * packed + len(picture), False)
    assert weight.most_kb == 450
    assert weight._replace(maths=True).most_kb == 750
