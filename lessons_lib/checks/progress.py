"""The reader's progress over the exercises in code: a small JSON file that survives restarts."""

import importlib
import json
import os
import pkgutil
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lessons_lib.widgets.base import static_folder

KEYS: set[str] = set()  # of every exercise that is loaded; an Exercise enters itself


@dataclass(frozen=True)
class Progress:
    """Which exercises were passed; its repr is the table.

    Args:
        tries: tries of each exercise up to the first that passed, by key.
        passed: date of the first pass (ISO 8601) by key, for the exercises that were passed.

    Example:
        >>> Progress({"01_segmentation/mean_iou": 2, "02_sliding_window/dense_twin": 0},
        ...          {"01_segmentation/mean_iou": "2026-01-28"})
        1 of 2 exercises passed
          01_segmentation/mean_iou      passed 2026-01-28, tries: 2
          02_sliding_window/dense_twin  not begun
    """

    tries: dict[str, int]
    passed: dict[str, str]

    def __repr__(self) -> str:
        width = max(map(len, self.tries))
        lines = [f"{len(self.passed)} of {len(self.tries)} exercises passed"]
        for key, tries in sorted(self.tries.items()):
            state = f"passed {self.passed[key]}" if key in self.passed else "not yet"
            lines.append(f"  {key:{width}}  " + (f"{state}, tries: {tries}" if tries else "not begun"))
        return "\n".join(lines)


def progress() -> Progress:
    """Read the reader's progress over all exercises of the book.

    Returns:
        The progress; in a notebook it shows as a table.
    """
    folder = Path(__file__).parent
    for module in pkgutil.iter_modules([str(folder)]):
        importlib.import_module(f"lessons_lib.checks.{module.name}")
    entries = _read(progress_file())
    return Progress(
        tries={key: entries.get(key, {"tries": 0})["tries"] for key in KEYS | set(entries)},
        passed={key: entry["passed"] for key, entry in entries.items() if entry["passed"]},
    )


def progress_file() -> Path:
    """Say where progress is kept.

    Returns:
        The file that LESSONS_PROGRESS names, else `.lessons_lib/progress.json` in the reader's home folder.
    """
    return Path(os.environ.get("LESSONS_PROGRESS") or Path.home() / ".lessons_lib" / "progress.json")


def record(key: str, passed: bool) -> None:
    """Note one try of an exercise; tries after the first pass, and tries while the book is built, are not noted.

    A file that cannot be read or written gives a warning, so that an exercise can go on without it.

    Args:
        key: of the exercise.
        passed: True if this try was right.
    """
    if static_folder() is not None:
        return
    file = progress_file()
    try:
        entries = _read(file)
        entry = entries.setdefault(key, {"tries": 0, "passed": None})
        if entry["passed"]:
            return
        entry["tries"] += 1
        entry["passed"] = date.today().isoformat() if passed else None
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(draft, file)  # at one stroke: a killed run leaves the old file or the new one
    except OSError as error:
        warnings.warn(
            f"progress needs a file that can be written: got {file} ({error.strerror}); "
            "name another in the variable LESSONS_PROGRESS",
            stacklevel=3,
        )


def _read(file: Path) -> dict[str, dict]:
    """Read the entries; a broken file is set aside with a warning."""
    if not file.exists():
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {key: {"tries": int(e["tries"]), "passed": e["passed"]} for key, e in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        aside = file.with_name(file.name + ".broken")
        os.replace(file, aside)
        warnings.warn(
            f"the progress file must hold JSON as it was written: {file} does not; "
            f"it now lies at {aside}, and progress begins anew",
            stacklevel=2,
        )
        return {}
