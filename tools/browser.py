"""Finds a Chromium for the browser tests, and installs one if the machine has none: `python -m tools.browser`."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_browser() -> str | None:
    """Find an installed Chromium or Chrome.

    Returns:
        The program's path: the variable CHROME, else a browser of the system, else the one that playwright
        downloaded; None if there is none.
    """
    from playwright.sync_api import sync_playwright

    candidates = [os.environ.get("CHROME"), *(shutil.which(name) for name in NAMES), *MAC]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    with sync_playwright() as playwright:
        downloaded = playwright.chromium.executable_path
    return downloaded if Path(downloaded).exists() else None


def install() -> None:
    """Install a browser: playwright's download first, the system's package where that can't be had."""
    print("no Chromium or Chrome found: asking playwright for one", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if find_browser() is None and platform.system() == "Linux" and shutil.which("apt-get"):
        print("playwright's download can't be had here: installing the system's package", flush=True)
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
        subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "chromium"], check=False)


if __name__ == "__main__":
    if find_browser() is None:
        install()
    browser = find_browser()
    if browser is None:
        sys.exit("no browser for the tests: install Chromium or Chrome, or set CHROME=/path/to/it")
    print(f"browser for the tests: {browser}")
