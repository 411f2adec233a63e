"""The progress file survives restarts; a broken one is set aside; nothing is written while the book is built."""

import json
import os
import re

import pytest

from lessons_lib.checks import progress
from lessons_lib.checks.base import Exercise, agreement

KEY = "99_test/triple"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "KEYS", set(progress.KEYS))
    file = tmp_path / "folder" / "progress.json"
    monkeypatch.setenv("LESSONS_PROGRESS", str(file))
    return file


def triple():
    return Exercise(KEY, "Three times a number", ["Add."], agreement(lambda x: x + x + x, lambda: [(1,), (2,)]))


def test_tries_count_up_to_the_first_pass_and_survive_a_restart(file):
    triple().check(lambda x: None)
    assert not file.exists(), "a stub is no try"
    triple().check(lambda x: x)
    triple().check(lambda x: 1 / 0)
    assert json.loads(file.read_text()) == {KEY: {"tries": 2, "passed": None}}
    triple().check(lambda x: 3 * x)
    triple().check(lambda x: x)
    entry = json.loads(file.read_text())[KEY]
    assert entry["tries"] == 3 and re.fullmatch(r"\d{4}-\d\d-\d\d", entry["passed"])
    assert list(file.parent.iterdir()) == [file]


def test_progress_shows_every_exercise_of_the_book(file):
    triple().check(lambda x: 3 * x)
    shown = progress.progress()
    assert {"01_segmentation/mean_iou", "02_sliding_window/dense_twin", KEY} <= set(shown.tries)
    assert re.fullmatch(r"1 of \d+ exercises passed", repr(shown).splitlines()[0])
    assert re.search(r"99_test/triple +passed \d{4}-\d\d-\d\d, tries: 1$", repr(shown))
    assert re.search(r"01_segmentation/mean_iou +not begun\n", repr(shown))


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 3}', '{"a": {"passed": null}}', "\xff\xfe", "null"])
def test_a_broken_file_is_set_aside_and_said(file, content):
    file.parent.mkdir()
    file.write_text(content, encoding="latin-1")
    with pytest.warns(UserWarning, match=r"begins anew"):
        triple().check(lambda x: 3 * x)
    assert (file.parent / "progress.json.broken").read_text(encoding="latin-1") == content
    assert list(json.loads(file.read_text())) == [KEY]


def test_a_killed_write_leaves_the_old_file(file, monkeypatch):
    triple().check(lambda x: x)
    before = file.read_text()

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        triple().check(lambda x: x)
    assert file.read_text() == before


def test_an_exercise_goes_on_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("a file, not a folder")
    monkeypatch.setenv("LESSONS_PROGRESS", str(tmp_path / "occupied" / "progress.json"))
    with pytest.warns(UserWarning, match="LESSONS_PROGRESS"):
        assert triple().check(lambda x: 3 * x).passed


def test_nothing_is_written_while_the_book_is_built(file, monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path / "static"))
    assert triple().check(lambda x: 3 * x).passed
    assert not file.exists()


def test_the_file_lies_in_the_home_folder_unless_the_variable_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("LESSONS_PROGRESS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert progress.progress_file() == tmp_path / ".lessons_lib" / "progress.json"
