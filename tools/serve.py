"""Serves the built book on this machine: `python -m tools.serve PORT`, or `--check PORT` to see whether it can."""

import argparse
import errno
import functools
import http.server
import sys
from pathlib import Path

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, tells browsers not to keep them, and prints nothing."""

    def end_headers(self):
        """Add the header that makes a browser ask again after a rebuild."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *args):
        """Print nothing for a request."""


def open_server(port: int) -> http.server.ThreadingHTTPServer:
    """Bind a port of this machine.

    Args:
        port: 0 to 65535; 0 takes any free one.

    Returns:
        The server, not yet running.

    Raises:
        SystemExit: with one line that says what to do, if the port can't be had.
    """
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(HTML)))
    except OverflowError:
        sys.exit(f"a port is a number from 1 to 65535, but PORT is {port}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(f"port {port} is in use: stop what uses it, or choose another with make serve PORT={port + 1}")
        sys.exit(f"port {port} can't be opened ({error.strerror}): choose another with make serve PORT=8001")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only see whether the port is free")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    with open_server(arguments.port) as server:
        if not arguments.check:
            print(
                f"\nThe book is served until you press Ctrl+C. Read it at\nhttp://127.0.0.1:{server.server_port}",
                flush=True,
            )
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
