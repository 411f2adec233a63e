"""palette: what it paints, and that colour-blind readers can tell the classes apart."""

import re

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from lessons_lib.data.meadow import CLASSES
from lessons_lib.palette import COLORS, HATCHES, INSTANCE_SHADES, colorize, css_variables, overlay

# How colours look to eyes without one kind of cone, for linear RGB, at severity 1.0.
# Source: Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# IEEE Transactions on Visualization and Computer Graphics 15(6), 2009, table 1.
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
LEAST_DIFFERENCE = 10  # CIEDE2000 units; 1 is just noticeable side by side


def lab_seen_by(eyes, color):
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(EYES[eyes] @ linear, 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


VOC_CLASSES = ("background", "person", "chair", "diningtable", "bottle")
PAIRS = [(a, b) for group in (CLASSES, VOC_CLASSES) for i, a in enumerate(group) for b in group[i + 1 :]]


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_neighbouring_classes_can_be_told_apart(eyes, one, other):
    difference = deltaE_ciede2000(lab_seen_by(eyes, COLORS[one]), lab_seen_by(eyes, COLORS[other]))
    assert difference > LEAST_DIFFERENCE, f"{one} and {other} differ by {difference:.1f} to {eyes}"


def test_every_class_of_meadow_is_painted_in_its_colour_or_its_hatch():
    for class_id, name in enumerate(CLASSES):
        painted = {
            "#{:02X}{:02X}{:02X}".format(*color)
            for color in colorize(np.full((20, 20), class_id), CLASSES).reshape(-1, 3).tolist()
        }
        assert painted == {COLORS[name]} | ({HATCHES[name].color} if name in HATCHES else set())


def test_void_is_never_flat_and_its_lines_rise_while_those_of_trees_fall():
    void, tree = colorize(np.full((12, 12), 255), ()), colorize(np.full((12, 12), 2), CLASSES)
    assert len(np.unique(void.reshape(-1, 3), axis=0)) == len(np.unique(tree.reshape(-1, 3), axis=0)) == 2
    np.testing.assert_array_equal(void[1:, :-1], void[:-1, 1:])
    np.testing.assert_array_equal(tree[1:, 1:], tree[:-1, :-1])
    assert (void[1:, 1:] != void[:-1, :-1]).any() and (tree[1:, :-1] != tree[:-1, 1:]).any()


@pytest.mark.parametrize("name", ["tree", "void"])
def test_hatches_stand_out_from_their_ground(name):
    ground, line = lab_seen_by("all cones", COLORS[name]), lab_seen_by("all cones", HATCHES[name].color)
    assert abs(ground[0] - line[0]) > 20  # lightness, of 100


@pytest.mark.parametrize(
    ("class_ids", "names", "message"),
    [
        ([[7]], CLASSES, "every class id needs a name: got id 7 and 7 names; extend"),
        ([[-1]], CLASSES, "got id -1"),
        ([[0]], ["zebra"], "every class needs a colour: got 'zebra'; add"),
    ],
)
def test_a_class_without_name_or_colour_is_refused(class_ids, names, message):
    with pytest.raises(ValueError, match=message):
        colorize(np.array(class_ids), names)


def test_overlay_mixes_by_opacity():
    image, class_ids = np.full((1, 1, 3), 0.5), np.array([[1]])
    paint = colorize(class_ids, CLASSES) / 255
    np.testing.assert_array_equal(overlay(image, class_ids, CLASSES, opacity=0), image)
    np.testing.assert_array_equal(overlay(image, class_ids, CLASSES, opacity=1), paint)
    np.testing.assert_allclose(overlay(image, class_ids, CLASSES, opacity=0.25), 0.75 * image + 0.25 * paint)
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]: got 1.5"):
        overlay(image, class_ids, CLASSES, opacity=1.5)


def test_instances_differ_in_lightness_and_carry_an_outline():
    class_ids = np.full((5, 25), 4)
    instance_ids = np.repeat(np.arange(1, 6), 5)[None].repeat(5, 0)
    shown = overlay(np.ones((5, 25, 3)), class_ids, CLASSES, 1.0, instance_ids)
    lightness = rgb2lab(shown[2, 2::5])[:, 0]
    assert np.diff(np.sort(lightness)).min() > 5 and len(lightness) == len(INSTANCE_SHADES)
    dark = (shown < 0.1).all(axis=2)
    assert dark[:, 4:21].reshape(5, 17).sum() == 5 * 8 and not dark[:, [0, 24]].any()


def test_a_first_instance_keeps_its_class_colour_and_stuff_is_left_alone():
    class_ids, instance_ids = np.array([[0] * 4 + [4] * 5]), np.array([[0] * 4 + [1] * 5])
    shown = overlay(np.zeros((1, 9, 3)), class_ids, CLASSES, 1.0, instance_ids)
    np.testing.assert_array_equal(shown[0, :4], colorize(class_ids, CLASSES)[0, :4] / 255)
    np.testing.assert_array_equal(shown[0, 5:], colorize(class_ids, CLASSES)[0, 5:] / 255)


def test_css_has_every_colour_and_hatch():
    found = dict(re.findall(r"^--class-([\w-]+): (#[0-9A-F]{6});$", css_variables(), re.MULTILINE))
    assert found == COLORS | {f"{name}-hatch": hatch.color for name, hatch in HATCHES.items()}
