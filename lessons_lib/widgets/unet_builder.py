"""The U-Net builder: choose depth, width, skips and the image's size, and see the U with every shape and cost."""

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from lessons_lib.data.meadow import CLASSES, scene
from lessons_lib.models.costs import level_shapes
from lessons_lib.models.unet import SKIPS, UNet
from lessons_lib.palette import colorize
from lessons_lib.widgets.base import LessonWidget, picture_uri
from lessons_lib.widgets.unet_picture import draw_unet

REMEDIES = ("", "crop", "pad", "resize")
WIDTHS = (4, 8, 16, 32, 64)
SEED = 2_000_014  # a scene of the test set


class UNetBuilder(LessonWidget):
    """A U-Net that the reader builds: the U with all shapes, what each level costs, and what its pixels see.

    The first setting is the library's UNet() on a 96 px image.

    Args:
        **state: of the first frame: `size` of the square image, 8 to 256 px; `depth`, levels before the bottleneck, 1
            to 5; `width`, channels of the first level, one of WIDTHS; `convolutions` a level, 1 to 4; `skip`, "concat",
            "add" or "none"; `remedy` where two maps of unlike size meet, "crop", "pad", "resize", or "" for none;
            `stage`, the level that is looked at, by its name in `level_shapes`; `look`, the one that is pointed at;
            `row` and `column` of the place in the image whose receptive field is shown, in [0, 1]; `title`; `alt`.

    Raises:
        traitlets.TraitError: a value of the state is none of these.

    Example:
        >>> UNetBuilder(size=99).remedy  # 13 px doubled are 26 px, the skip has 25: the reader chooses what to do
        ''
    """

    name = "unet_builder"
    title = traitlets.Unicode("Build a U-Net").tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)
    truth = traitlets.Unicode().tag(sync=True)
    size = traitlets.Int(96, min=8, max=256).tag(sync=True)  # px
    depth = traitlets.Int(3, min=1, max=5).tag(sync=True)
    width = traitlets.Enum(WIDTHS, 16).tag(sync=True)
    widths = traitlets.List(WIDTHS).tag(sync=True)  # to choose from
    convolutions = traitlets.Int(2, min=1, max=4).tag(sync=True)
    skip = traitlets.Enum(SKIPS, "concat").tag(sync=True)
    remedy = traitlets.Enum(REMEDIES, "").tag(sync=True)
    stage = traitlets.Unicode("bottleneck").tag(sync=True)
    look = traitlets.Unicode().tag(sync=True)
    row = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    column = traitlets.Float(0.5, min=0, max=1).tag(sync=True)

    def __init__(self, **state):
        drawn = scene(SEED, size=256)
        pictures = {
            "image": picture_uri(drawn.image.reshape(128, 2, 128, 2, 3).mean((1, 3)), lossless=False),
            "truth": picture_uri(np.asarray(colorize(drawn.class_ids, CLASSES))[::4, ::4]),
        }
        super().__init__(**pictures | state)
        if not self.alt:
            levels = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in self.levels())
            self.alt = f"A U-Net drawn as a U, with the shapes of its levels: {levels}."

    def levels(self) -> list[tuple[str, tuple[int, int, int]]]:
        """Trace the shapes of the first state's network, its maps resized where they do not meet.

        Returns:
            (name, (C, h, w)) of every level in the order of the forward pass.
        """
        with torch.device("meta"):
            model = UNet([self.width * 2**level for level in range(self.depth)], skip=self.skip)
        return level_shapes(model, self.size)

    def still(self) -> Figure:
        """Draw the U of the first state.

        Returns:
            A figure with the shape of every level.
        """
        return draw_unet(self.levels())
