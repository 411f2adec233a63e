"""The four tasks: the sentence is true at every pixel, the boxes are the truth's boxes, colours are the palette's."""

import numpy as np
import pytest
from playwright.sync_api import expect

from lessons_lib.data import meadow
from lessons_lib.labels import segments
from lessons_lib.palette import INSTANCE_SHADES, colorize
from lessons_lib.widgets.task_picture import MAP_WIDTH, TaskPicture
from lessons_lib.widgets.tasks import TASKS, Tasks

CLASSIFICATION, SEMANTIC, DETECTION, INSTANCE = TASKS
THINGS = [meadow.CLASSES.index(name) for name in meadow.THINGS]


def drawn():
    """A scene of two cows, with a void band at the bottom."""
    image, class_ids, instance_ids = meadow.scene(seed=149, size=96)
    class_ids, instance_ids = class_ids.copy(), instance_ids.copy()
    class_ids[-6:], instance_ids[-6:] = 255, 0
    return TaskPicture("Cows", image, class_ids, instance_ids, meadow.CLASSES, meadow.THINGS)


def blocks(rows=8, columns=12):
    """Grass with two cows side by side and a cat in a corner."""
    class_ids, instance_ids = np.ones((rows, columns), np.uint8), np.zeros((rows, columns), np.uint16)
    for number, (class_id, box) in enumerate([(6, np.s_[2:5, 1:5]), (6, np.s_[2:6, 5:9]), (4, np.s_[0:1, 11:12])], 1):
        class_ids[box], instance_ids[box] = class_id, number
    image = np.full((rows, columns, 3), 0.5)
    return TaskPicture("Blocks", image, class_ids, instance_ids, meadow.CLASSES, meadow.THINGS)


def numbered(picture):
    """Instance id -> (class name, number among its like, how many there are), by a plain loop."""
    ids = [i for i in np.unique(picture.instance_ids).tolist() if i]
    names = {i: picture.class_names[int(picture.class_ids[picture.instance_ids == i][0])] for i in ids}
    return {
        i: (name, [j for j in ids if names[j] == name].index(i) + 1, [*names.values()].count(name))
        for i, name in names.items()
    }


def choose(page, task):
    page.locator(f".lesson-task-list input[value='{task}']").check()


def hover(page, picture, row, column):
    rows, columns = picture.class_ids.shape
    box = page.locator(".lesson-pixels").bounding_box()
    page.mouse.move(box["x"] + (column + 0.5) / columns * box["width"], box["y"] + (row + 0.5) / rows * box["height"])
    expect(page.locator(".lesson-sentence")).to_contain_text(f"Row {row}, column {column}:")
    return page.locator(".lesson-sentence").inner_text()


def answers(page):
    return dict(zip(TASKS, page.locator(".lesson-task-answer").all_inner_texts()))


def test_each_task_tells_the_truth_about_every_pixel(widget_page):
    picture = drawn()
    page = widget_page(lambda: Tasks([picture]))
    things, rng = numbered(picture), np.random.default_rng(0)
    cover = [np.count_nonzero(picture.class_ids == class_id) for class_id in THINGS]
    most = meadow.THINGS[int(np.argmax(cover))]
    boxes = {i: np.argwhere(picture.instance_ids == i) for i in things}
    for row, column in [*rng.integers(0, 96, (25, 2)).tolist(), [93, 50]]:
        sentence = hover(page, picture, row, column)
        class_id, instance_id = int(picture.class_ids[row, column]), int(picture.instance_ids[row, column])
        name = "void" if class_id == 255 else picture.class_names[class_id]
        inside = [
            f"{things[i][0]} {things[i][1]}"
            for i, place in boxes.items()
            if (place.min(0) <= (row, column)).all() and (place.max(0) >= (row, column)).all()
        ]
        said = answers(page)
        assert said[CLASSIFICATION] == most
        assert said[SEMANTIC] == name
        assert said[DETECTION] == (", ".join(inside) or "in no box")
        if instance_id:
            thing, number, count = things[instance_id]
            assert said[INSTANCE] == f"{thing} {number} of {count}"
            assert f": {thing} {number} of {count}." in sentence
        else:
            assert said[INSTANCE] == "nothing"
            assert ("nobody knows" if name == "void" else f"nothing: {name} is stuff, not a thing") in sentence


def test_the_sentence_says_what_the_chosen_task_answers(widget_page):
    picture = blocks()
    page = widget_page(lambda: Tasks([picture]))
    choose(page, SEMANTIC)
    assert "which cow of the 2 it is, it cannot say" in hover(page, picture, 3, 3)
    choose(page, DETECTION)
    assert "inside the box of cow 2." in hover(page, picture, 5, 6)
    choose(page, CLASSIFICATION)
    assert "one word for the whole picture, “cow”" in hover(page, picture, 7, 0)


def test_a_box_holds_pixels_that_are_not_its_thing(widget_page):
    picture = blocks()
    picture.class_ids[2, 1], picture.instance_ids[2, 1] = 1, 0
    page = widget_page(lambda: Tasks([picture], task=DETECTION))
    assert "Yet the pixel itself is grass" in hover(page, picture, 2, 1)


def test_boxes_are_those_of_the_truth(widget_page):
    picture = drawn()
    page = widget_page(lambda: Tasks([picture], task=DETECTION))
    _, info = segments(picture.class_ids, picture.instance_ids, THINGS)
    sides = (
        "(boxes) => boxes.map(({ style: { left, top, width, height } }) => [left, top, width, height].map(parseFloat))"
    )
    percent = page.locator(".lesson-task-frame").evaluate_all(sides)
    np.testing.assert_allclose(
        np.multiply(percent, 0.96), [segment["bbox"] for segment in info if segment["isthing"]], atol=1e-3
    )


@pytest.mark.parametrize("task", [SEMANTIC, INSTANCE])
def test_colours_are_those_of_the_palette(widget_page, task):
    picture = blocks()
    page = widget_page(lambda: Tasks([picture], task=task))
    painted = page.locator(".lesson-pixels canvas").first.evaluate(
        """(canvas) => {
          const { width, height } = canvas, scale = width / 12;
          const all = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const middle = (place) => Math.floor((place + 0.5) * scale);
          return Array.from({ length: 96 }, (_, i) => {
            const at = 4 * (middle(Math.floor(i / 12)) * width + middle(i % 12));
            return Array.from(all.slice(at, at + 4));
          });
        }"""
    )
    expected = np.concatenate([colorize(picture.class_ids, picture.class_names), np.full((8, 12, 1), 255)], axis=2)
    if task == INSTANCE:
        expected[picture.instance_ids == 0] = 0
        second = picture.instance_ids == 2  # the second cow: lighter by the palette's second shade
        expected[second, :3] = np.round(expected[second, :3] + INSTANCE_SHADES[1] * (255 - expected[second, :3]))
    np.testing.assert_allclose(np.reshape(painted, (8, 12, 4)), expected, atol=1)


def test_the_first_frame_points_at_one_of_several(widget_page):
    picture = blocks()
    picture.class_ids[6:, :], picture.instance_ids[6:, :] = 5, 4  # a dog, larger than any cow but alone
    page = widget_page(lambda: Tasks([picture]))
    assert answers(page)[INSTANCE] == "cow 2 of 2"
    assert page.locator(".lesson-task-frame.is-current").inner_text() == "cow 2"


def test_arrow_keys_move_the_pixel_even_when_they_come_fast(widget_page):
    page = widget_page(lambda: Tasks([blocks()], row=4, column=4))
    page.locator(".lesson-pixels").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".lesson-sentence")).to_contain_text("Row 3, column 1: cow 1 of 2.")


def test_a_wide_photo_keeps_its_pixels_and_thins_its_maps(widget_page):
    small = blocks(16, 24)
    times = np.ones((21, 21))
    wide = TaskPicture("Wide", np.kron(small.image, times[..., None]), np.kron(small.class_ids, times).astype(np.uint8),
                       np.kron(small.instance_ids, times).astype(np.uint16), *small[4:])  # fmt: skip
    page = widget_page(lambda: Tasks([wide]))
    assert page.locator(".lesson-pixels img").evaluate("(image) => image.naturalWidth") == 504
    rows, columns = Tasks([wide]).pictures[0]["shape"]
    assert (rows, columns) == (168, 252) and columns <= MAP_WIDTH
    page.locator(".lesson-pixels").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".lesson-sentence")).to_contain_text("cow 2 of 2")


def test_choosing_a_picture_goes_to_its_own_first_pixel(widget_page):
    page = widget_page(lambda: Tasks([drawn(), blocks()]))
    page.locator(".lesson-option", has_text="Blocks").click()
    expect(page.locator(".lesson-sentence")).to_contain_text("cow 2 of 2.")
    page.get_by_role("button", name="Reset").click()
    row, column = Tasks([drawn()]).pictures[0]["start"]
    expect(page.locator(".lesson-sentence")).to_contain_text(f"Row {row}, column {column}:")


def test_opacity_fades_the_colours(widget_page):
    page = widget_page(lambda: Tasks([blocks()], task=SEMANTIC))
    page.get_by_role("slider").fill("20")
    expect(page.locator(".lesson-pixels canvas").first).to_have_css("opacity", "0.2")


def test_the_address_holds_the_setting_and_out_of_range_is_mended(widget_page):
    make = lambda: Tasks([blocks(), drawn()])  # noqa: E731
    page = widget_page(make, hash="#tasks?task=%22object%20detection%22&row=500&column=1&picture=0&opacity=30")
    expect(page.locator(".lesson-sentence")).to_contain_text("Row 7, column 1: inside no box.")
    page.get_by_role("button", name="Link to this setting").click()
    assert "task=%22object%20detection%22" in page.url and "column=1" in page.url


def test_two_on_one_page_do_not_disturb_each_other(widget_page):
    page = widget_page(lambda: Tasks([blocks()]), lambda: Tasks([blocks()], task=CLASSIFICATION))
    page.locator("#tasks .lesson-task-list input").nth(1).check()
    expect(page.locator("#tasks .lesson-sentence")).to_contain_text("Semantic segmentation")
    expect(page.locator("#tasks-2 .lesson-sentence")).to_contain_text("Classification")


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_scrolls_sideways_on_a_phone(widget_page, width):
    page = widget_page(lambda: Tasks([drawn(), blocks()]), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_python_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="at least one picture"):
        Tasks([])
    with pytest.raises(ValueError, match="instances lie exactly where things are"):
        Tasks([blocks()._replace(instance_ids=np.zeros((8, 12), int))])
    with pytest.raises(ValueError, match="every class needs a colour"):
        Tasks([blocks()._replace(class_names=("sky", "meadow", "tree", "water", "cat", "dog", "cow"))])


def test_the_still_shows_four_answers():
    titles = [ax.get_title() for ax in Tasks([blocks()]).still().axes]
    assert titles == ["classification: cow", *TASKS[1:]]
