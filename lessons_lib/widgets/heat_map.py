"""A photo with the class maps of a dense classifier: where the network sees a class, and what it says elsewhere."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lessons_lib.models.dense_classifier import LEVELS, layers
from lessons_lib.shapes import receptive_field
from lessons_lib.widgets.base import LessonWidget, picture_uri
from lessons_lib.widgets.dense_maps import TOP, encode_cells, softmax

ALT = "A photo three times, darkened wherever a classifier doubts a class: the cells get smaller with the stride."


class HeatMap(LessonWidget):
    """Class maps over a photo, bright where a group of classes is probable; a cell tells its likeliest classes.

    Args:
        image: (H, W, 3) in [0, 1]; H and W are 32 m + 1 px, so that cell (i, j) looks at px (i, j) times the stride.
        logits: {stride: (K, h, w)} of `dense_logits`, stride 32 and, if they are wanted, 16 and 8.
        class_names: K names.
        groups: {name: class ids}; the probability of a group is the sum of theirs.
        **state: of the first frame: `group`, counted from 0; `stride`; `row` and `column`, px, at first where the
            group is most probable; `title`; `alt`.

    Raises:
        ValueError: a side is not 32 m + 1 px, a map does not fit, or there is no map of stride 32.

    Example:
        >>> logits = np.log([[[0.2, 0.9]], [[0.7, 0.05]], [[0.1, 0.05]]])  # (K, h, w) = (3, 1, 2)
        >>> widget = HeatMap(np.zeros((1, 33, 3)), {32: logits}, ["cat", "cup", "sofa"], {"any cat": [0]})
        >>> widget.column, widget.whole[0]
        (32, ['cat', 62])
    """

    name = "heat_map"
    image = traitlets.Unicode().tag(sync=True)
    size = traitlets.List().tag(sync=True)  # [H, W], px
    maps = traitlets.List().tag(sync=True)  # of encode_cells
    words = traitlets.List().tag(sync=True)
    whole = traitlets.List().tag(sync=True)  # [name, percent] of the likeliest classes of the whole photo
    groups = traitlets.List().tag(sync=True)
    sees = traitlets.Int(receptive_field(layers())).tag(sync=True)  # px
    group = traitlets.Int(0, min=0).tag(sync=True)
    stride = traitlets.Enum(tuple(LEVELS), 32).tag(sync=True)  # px
    row = traitlets.Int(min=0).tag(sync=True)
    column = traitlets.Int(min=0).tag(sync=True)

    def __init__(
        self,
        image: np.ndarray,
        logits: Mapping[int, np.ndarray],
        class_names: Sequence[str],
        groups: Mapping[str, Sequence[int]],
        **state,
    ):
        height, width = image.shape[:2]
        if height % 32 != 1 or width % 32 != 1:
            raise ValueError(f"each side is 32 m + 1 px: got {height} x {width} px; resize before dense_logits")
        if 32 not in logits:
            raise ValueError(f"the whole photo's answer needs stride 32: got strides {list(logits)}; add its map")
        for stride, values in logits.items():
            shape = len(class_names), (height - 1) // stride + 1, (width - 1) // stride + 1
            if tuple(values.shape) != shape:
                raise ValueError(f"a map of stride {stride} is {shape} here: got {tuple(values.shape)}; ask again")
        whole = softmax(np.asarray(logits[32]).mean(axis=(1, 2)))
        maps = {stride: softmax(np.asarray(values)) for stride, values in logits.items()}
        ids = list(list(groups.values())[state.get("group", 0)])
        self.photo, self.shares = image, {stride: values[ids].sum(axis=0) for stride, values in maps.items()}
        row, column = np.unravel_index(self.shares[32].argmax(), self.shares[32].shape)
        described, words = encode_cells(maps, class_names, groups)
        likeliest = np.argsort(-whole)[:TOP].tolist()
        first = {"title": "A classifier asked everywhere", "alt": ALT, "row": 32 * int(row), "column": 32 * int(column)}
        super().__init__(
            image=picture_uri(image, lossless=False),
            size=[height, width],
            maps=described,
            words=words,
            whole=[[class_names[index], round(100 * float(whole[index]))] for index in likeliest],
            groups=list(groups),
            **first | state,
        )

    def still(self) -> Figure:
        """Draw the photo under the map of each stride.

        Returns:
            A figure with one panel a stride.
        """
        height, width = self.size
        figure = Figure(figsize=(9, 9 / len(self.shares) * height / width + 0.4), layout="constrained")
        for ax, (stride, share) in zip(figure.subplots(1, len(self.shares), squeeze=False)[0], self.shares.items()):
            cells = (np.round(np.arange(side) / stride).astype(int) for side in (height, width))
            ax.imshow(self.photo * (0.12 + 0.88 * share[np.ix_(*cells)])[..., None])
            ax.set_title(f"{self.groups[self.group]}, stride {stride}", color="0.5").axes.set_axis_off()
        return figure
