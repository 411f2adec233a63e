"""`explore`: live it asks the function each time, in the build it records every answer once."""

import hashlib
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets import interactive
from matplotlib.figure import Figure

from lessons_lib.widgets.explore import Explore, explore


def draw(window, scene="A"):
    """What does a window see?"""
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, f"{window} {scene}")
    return figure, f"Window {window} of scene {scene}."


@pytest.fixture
def building(monkeypatch, tmp_path):
    """The book is being built: widgets write into this folder."""
    monkeypatch.setenv("LESSONS_STATIC", str(tmp_path))
    return tmp_path


def test_records_every_combination_with_the_last_control_fastest(building):
    widget = explore(draw, window=range(1, 4), scene=("A", "B"))
    assert isinstance(widget, Explore)
    assert widget.sentences == [f"Window {window} of scene {scene}." for window in (1, 2, 3) for scene in "AB"]
    assert widget.controls == [
        {"label": "window", "options": ["1", "2", "3"]},
        {"label": "scene", "options": ["A", "B"]},
    ]
    assert (widget.title, widget.alt) == ("What does a window see?", "Window 1 of scene A.")
    assert (widget.position, widget.size) == ([0, 0], [144, 72])
    assert repr(widget) == "Explore('What does a window see?')"


def test_a_frame_is_a_file_and_the_still_is_one_of_them(building):
    page = explore(draw, window=[1, 2], start={"window": 2}).static_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    names = [address.removeprefix("asset:") for address in state["pictures"]]
    assert sorted(names) == sorted(path.name for path in building.glob("*.webp"))
    assert all(hashlib.sha256((building / name).read_bytes()).hexdigest()[:10] in name for name in names)
    assert f'src="../_static/lessons/{names[1]}" alt="Window 2 of scene A."' in page


def test_labels_and_a_start_can_be_given(building):
    widget = explore(draw, window={"label": "window, px", "values": [1, 5, 9]}, scene=["A", "B"], start={"window": 5})
    assert widget.controls[0]["label"] == "window, px"
    assert (widget.position, widget.alt) == ([1, 0], "Window 5 of scene A.")


def test_a_picture_array_is_shown_pixel_for_pixel(building):
    picture = np.zeros((2, 4, 3))
    picture[0, 1] = (1, 0, 0)
    widget = explore(lambda size: (picture, "red"), size=[1])
    widget.static_html()
    drawn = plt.imread(next(building.glob("*.webp")))
    assert drawn.shape[:2] == (480, 960)
    centres = drawn[120::240, 120::240, :3] / 255
    assert np.allclose(centres, picture, atol=0.03)
    assert widget.size == [480, 240]


def test_live_the_function_answers_each_move():
    asked = []

    def ask(window, scene):
        asked.append((window, scene))
        return draw(window, scene)

    controls = {"window": [1, 5], "scene": {"label": "picture", "values": ["A", "B"]}, "start": {"scene": "B"}}
    live = explore(ask, **controls)
    window, scene = live.kwargs_widgets
    assert isinstance(live, interactive)
    assert (window.description, scene.description) == ("window", "picture")
    assert repr(live) == repr(explore(draw, **controls))
    window.value = 5
    assert asked == [(1, "B"), (5, "B")]


def test_no_figure_stays_open(building):
    def with_pyplot(window):
        return plt.figure(figsize=(1, 1)), f"{window}"

    explore(with_pyplot, window=range(25))
    assert not plt.get_fignums()


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": range(31), "scene": ["A", "B"]}, "1 to 60 combinations: got 62"),
        ({"window": []}, "1 to 60 combinations: got 0"),
        ({"window": [1, 2], "start": {"window": 3}}, "got {'window': 3}"),
        ({"window": [1, 2], "start": {"size": 1}}, "got {'size': 1}"),
    ],
)
def test_a_broken_rule_is_named(live, settings, words, monkeypatch, tmp_path):
    if not live:
        monkeypatch.setenv("LESSONS_STATIC", str(tmp_path))
    with pytest.raises(ValueError, match=re.escape(words)):
        explore(draw, **settings)


@pytest.mark.parametrize("answer", [Figure(), ("words", "words"), (Figure(), 3)])
def test_an_answer_without_picture_or_sentence_is_refused(building, answer):
    with pytest.raises(TypeError, match=r"returns \(Figure or picture array, sentence\)"):
        explore(lambda window: answer, window=[1])
