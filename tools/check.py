"""Checks the whole book, stage by stage, and ends with the counts: `python -m tools.check`.

It stops at the first stage that fails: what comes later would only repeat the failure.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
NOTEBOOKS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "book").glob("*.ipynb"))]
PYTEST = [sys.executable, "-m", "pytest", "-q"]
PARALLEL = ["-n", "2", "--dist", "loadfile"]
BARE = ["-o", "addopts=", "-o", "filterwarnings=default"]
STAGES = [
    ("format", [str(BIN / "ruff"), "format", "--check", "."]),
    ("lint", [str(BIN / "ruff"), "check", "."]),
    ("tests and doctests", [*PYTEST, *PARALLEL]),
    ("notebooks", [*PYTEST, *PARALLEL, *BARE, "--nbval-lax", "--nbval-cell-timeout=600", *NOTEBOOKS]),
    ("site", [str(BIN / "jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]),
    ("browser", [*PYTEST, *BARE, "tests/browser"]),
]


def counts(report: Path) -> dict[str, int]:
    """Read a JUnit report.

    Args:
        report: the XML file that pytest wrote.

    Returns:
        How many tests passed, failed and were skipped.
    """
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    return {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}


def main() -> int:
    """Run the stages.

    Returns:
        The exit status: 0 when every stage passed.
    """
    total = {"passed": 0, "failed": 0, "skipped": 0}
    lines, status = [], 0
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LESSONS_PROGRESS": str(Path(folder) / "progress.json")}
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        for name, command in STAGES:
            print(f"\n=== {name} ===", flush=True)
            report = Path(folder) / "report.xml"
            report.unlink(missing_ok=True)
            is_pytest = command[: len(PYTEST)] == PYTEST
            start = time.monotonic()
            threads = {"OMP_NUM_THREADS": "1"} if PARALLEL[0] in command else {}
            status = subprocess.run(
                [*command, *([f"--junitxml={report}"] if is_pytest else [])],
                cwd=ROOT,
                env=environment | threads,
            ).returncode
            verdict = "passed" if status == 0 else "FAILED"
            if report.exists():
                found = counts(report)
                total = {key: total[key] + found[key] for key in total}
                verdict += f" ({found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped)"
            elif status:
                total["failed"] += 1
            else:
                total["passed"] += 1
            lines.append(f"{name:20} {time.monotonic() - start:6.0f} s  {verdict}")
            if status:
                break
    print("\n" + "\n".join(lines))
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
