"""The feature explorer: what goes across a U-Net, what comes up from below, and what the decoder makes of both."""

import torch
import traitlets
from matplotlib.figure import Figure

from lessons_lib.models.unet import UNet
from lessons_lib.widgets.base import LessonWidget, picture_uri
from lessons_lib.widgets.class_maps import panel_row
from lessons_lib.widgets.feature_maps import PARTS, fine_share, level_maps, strip_uri, strongest

MOST_BYTES = 110_000  # of all pictures together; the still, about 40,000, comes on top
NAMES = {"skip": "the encoder's map", "below": "what comes from below"}
ALT = "A scene, the map that a skip connection carries, and the blurred one that comes from below."


class FeatureExplorer(LessonWidget):
    """The maps of every level of a trained U-Net: encoder beside decoder.

    At first the decoder's maps are covered and the reader predicts how sharp they are.

    Args:
        model: the U-Net, trained.
        images: (N, 3, H, W) in [0, 1], the scenes; H and W are multiples of the side of the bottom's cell.
        channels: number of maps kept of each part, those that vary most.
        **state: of the first frame: `scene` and `level`, counted from 0; the last level is the bottom, the one above it
            is shown first; `skip`, `below` and `decoded`, which of the kept channels is large, 0 is the strongest;
            `revealed`; `row` and `column` of the px that is pointed at, -1 for none; `title`; `alt`.

    Raises:
        ValueError: sizes or channels don't fit the network, or the pictures are too heavy for a page.

    Example:
        >>> explorer = FeatureExplorer(UNet((4, 8)).eval(), torch.rand(2, 3, 32, 32), channels=2)
        >>> explorer.sides, len(explorer.strips["decoded"]), explorer.cell
        ([[32, 32], [16, 16], [8, 8]], 2, 4)
    """

    name = "feature_explorer"
    title = traitlets.Unicode("Where detail comes back").tag(sync=True)
    alt = traitlets.Unicode(ALT).tag(sync=True)
    photos = traitlets.List().tag(sync=True)  # one a scene
    sides = traitlets.List().tag(sync=True)  # [h, w] of each level's maps
    cell = traitlets.Int().tag(sync=True)  # px, the side of the bottom's cells
    channels = traitlets.Int().tag(sync=True)
    strips = traitlets.Dict().tag(sync=True)  # {part: [level][scene]}, the channels one below the other
    shares = traitlets.Dict().tag(sync=True)  # {part: [level][scene]}, variance finer than the bottom's cells
    scene = traitlets.Int(0, min=0).tag(sync=True)
    level = traitlets.Int(0, min=0).tag(sync=True)
    skip = traitlets.Int(0, min=0).tag(sync=True)
    below = traitlets.Int(0, min=0).tag(sync=True)
    decoded = traitlets.Int(0, min=0).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)
    row = traitlets.Int(-1, min=-1).tag(sync=True)
    column = traitlets.Int(-1, min=-1).tag(sync=True)

    def __init__(self, model: UNet, images: torch.Tensor, channels: int = 4, **state):
        cell = 2 ** len(model.encoder)
        if images.ndim != 4 or any(length % cell for length in images.shape[-2:]):
            raise ValueError(
                f"images must be (N, 3, H, W) with H and W multiples of {cell} px, the bottom's cell: got "
                f"{tuple(images.shape)}; cut or resize them"
            )
        if not 1 <= channels <= model.head.in_channels:
            raise ValueError(
                f"channels must be 1 to {model.head.in_channels}: got {channels}; the first level has no more"
            )
        levels = level_maps(model, images)
        cells = tuple(levels[-1]["skip"].shape[-2:])
        maps = {part: [strongest(level[part], channels) for level in levels if part in level] for part in PARTS}
        photos = [image.permute(1, 2, 0).numpy() for image in images]
        super().__init__(
            photos=[picture_uri(photo, lossless=False) for photo in photos],
            sides=[list(level["skip"].shape[-2:]) for level in levels],
            cell=cell,
            channels=channels,
            strips={part: [[strip_uri(scene) for scene in level] for level in maps[part]] for part in PARTS},
            shares={
                part: [
                    [round(fine_share(scene, cells), 4) for scene in level[part]] for level in levels if part in level
                ]
                for part in PARTS
            },
            **{"level": len(levels) - 2} | state,
        )
        weight = sum(len(uri) * 3 // 4 for level in sum(self.strips.values(), [self.photos]) for uri in level)
        if weight > MOST_BYTES:
            raise ValueError(
                f"pictures must weigh at most {MOST_BYTES} bytes: got {weight}; give fewer scenes or channels"
            )
        shown = {part: maps[part][self.level][self.scene, 0] for part in PARTS[:2] if self.level < len(maps[part])}
        self.panels = {"scene": photos[self.scene]} | {NAMES[part]: picture for part, picture in shown.items()}

    def still(self) -> Figure:
        """Draw the scene, the strongest map that goes across and the strongest that comes from below.

        Returns:
            A figure of one row.
        """
        return panel_row(self.panels)
