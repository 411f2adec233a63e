"""`explore` on the built page: the recorded frames follow the controls, and only those near are loaded."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lessons_lib.widgets.explore import explore


def answer(window, scene):
    """What does a window see?"""
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, f"{window} {scene}")
    return figure, f"Window {window} of scene {scene}."


def recorded(**start):
    return explore(answer, window=[1, 3, 5, 9], scene=["sunny", "cloudy"], start=start)


@pytest.fixture
def explore_page(widget_page):
    """Opens two explorations; gives the page and the first of them."""

    def open_page(**options):
        page = widget_page(recorded, lambda: recorded(window=5), **options)
        return page, page.locator("figure.lesson-widget").first

    return open_page


def shown(figure):
    """The picture's own alternative and the sentence, which must agree once the picture is there."""
    image, sentence = figure.locator("img.lesson-frame"), figure.locator(".lesson-sentence").inner_text()
    assert image.get_attribute("alt") == sentence
    image.evaluate("(image) => image.decode()")
    return sentence


def test_the_controls_choose_the_frame(explore_page):
    page, figure = explore_page()
    assert shown(figure) == "Window 1 of scene sunny."
    first = figure.locator("img.lesson-frame").get_attribute("src")
    figure.get_by_role("slider", name="window").press("ArrowRight")
    figure.get_by_role("slider", name="window").press("ArrowRight")
    figure.get_by_role("radio", name="cloudy").check()
    page.wait_for_function("document.querySelector('.lesson-sentence').textContent === 'Window 5 of scene cloudy.'")
    assert shown(figure) == "Window 5 of scene cloudy."
    assert figure.locator("img.lesson-frame").get_attribute("src") != first
    assert figure.locator("output").inner_text() == "5"
    assert shown(page.locator("#explore-2")) == "Window 5 of scene sunny."


def test_it_says_that_it_is_recorded(explore_page):
    _, figure = explore_page()
    assert figure.locator(".lesson-recorded").inner_text().startswith("Recorded while this page was built;")


def test_only_the_first_frame_is_loaded_until_a_hand_reaches_for_a_control(explore_page):
    page, figure = explore_page()
    asked = set()
    page.on("request", lambda request: asked.add(request.url) if request.url.endswith(".webp") else None)
    page.reload()
    page.wait_for_load_state("networkidle")
    assert len(asked) == 2  # one for each of the two explorations
    figure.get_by_role("slider").focus()
    for _ in range(50):  # the page has long been idle, so wait for the requests themselves
        if len(asked) >= 4:
            break
        page.wait_for_timeout(100)
    page.wait_for_load_state("networkidle")
    assert len(asked) == 4  # window 3, and the other scene
    figure.get_by_role("slider").press("ArrowRight")
    page.wait_for_timeout(200)
    assert len(asked) == 5  # window 3 of the other scene; window 5 is what the other exploration shows


def test_reset_and_address(explore_page):
    page, _ = explore_page(hash="#explore-2?position=[3,1]")
    figure = page.locator("#explore-2")
    assert shown(figure) == "Window 9 of scene cloudy."
    figure.get_by_role("button", name="Link to this setting").click()
    assert page.url.endswith("#explore-2?position=%5B3%2C1%5D")
    figure.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelector('#explore-2 .lesson-sentence').textContent.includes('5')")
    assert shown(figure) == "Window 5 of scene sunny."


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("[9,-4]", "Window 9 of scene sunny."),
        ("[1]", "Window 1 of scene sunny."),
        ('["x",0]', "Window 1 of scene sunny."),
        ("3", "Window 1 of scene sunny."),
        ("[1,", "Window 1 of scene sunny."),
    ],
)
def test_an_address_is_clamped_or_ignored(explore_page, address, sentence):
    _, figure = explore_page(hash=f"#explore?position={address}")
    assert shown(figure) == sentence


def test_a_picture_array_keeps_its_pixels_and_its_place(widget_page):
    picture = np.zeros((4, 6, 3))
    page = widget_page(lambda: explore(lambda level: (picture + level, f"Grey {level}."), level=[0.2, 0.8]), width=390)
    box = page.locator("img.lesson-frame").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(1.5, rel=0.01)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
