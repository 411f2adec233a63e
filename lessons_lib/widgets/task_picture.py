"""A picture with its truth, prepared for the widget of the four tasks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from lessons_lib.labels import segments
from lessons_lib.palette import colorize
from lessons_lib.widgets.base import encode_map, picture_uri

MAP_WIDTH = 256  # px; the maps of a wider picture are thinned until they fit, its photograph is not


class TaskPicture(NamedTuple):
    """A picture with its truth.

    Args:
        name: what the reader chooses it by.
        image: (H, W, 3) in [0, 1].
        class_ids: (H, W) indices into class_names, 255 = void.
        instance_ids: (H, W), 0 = none, positive exactly where a thing is.
        class_names: names that have a colour in `palette.COLORS`.
        things: those class names that can be counted; the others are stuff.
    """

    name: str
    image: np.ndarray
    class_ids: np.ndarray
    instance_ids: np.ndarray
    class_names: Sequence[str]
    things: Sequence[str]

    def thinned(self) -> "TaskPicture":
        """Keep every second, third ... pixel of a wide picture.

        Returns:
            The picture, at most MAP_WIDTH wide.
        """
        step = -(-self.class_ids.shape[1] // MAP_WIDTH)
        return TaskPicture(self.name, *(array[step // 2 :: step, step // 2 :: step] for array in self[1:4]), *self[4:])

    def segments(self) -> tuple[np.ndarray, list[dict]]:
        """Join class ids and instance ids.

        Returns:
            segment_ids (H, W), 0 = void, and segments_info, as `labels.segments` gives them.
        """
        return segments(self.class_ids, self.instance_ids, [self.class_names.index(thing) for thing in self.things])

    def word(self) -> str:
        """Choose one word for the whole picture.

        Returns:
            The class that covers most, things before stuff.
        """
        cover = {name: np.count_nonzero(self.class_ids == i) for i, name in enumerate(self.class_names)}
        return max(cover, key=lambda name: (name in self.things and cover[name] > 0, cover[name]))

    def start(self) -> list[int]:
        """Find a pixel deep inside a thing that is large and has others of its class.

        Returns:
            [row, column], in the thing of greatest area times number of its like.
        """
        numbers, firsts, areas = np.unique(self.instance_ids, return_index=True, return_counts=True)
        classes = self.class_ids.ravel()[firsts].tolist()
        weights = areas * [classes.count(class_id) for class_id in classes] * (numbers > 0)
        depth = distance_transform_edt(np.pad(self.instance_ids == numbers[weights.argmax()], 1))[1:-1, 1:-1]
        return [int(place) for place in np.unravel_index(depth.argmax(), depth.shape)]

    def state(self) -> dict:
        """Describe the picture as JSON.

        Returns:
            Its photograph in full, its truth thinned: `map` is text, one segment a character, numbered from 0, and
            `segments` names the class of each and says whether it is a thing.

        Raises:
            ValueError: a class has no colour, or class ids and instance ids disagree.
        """
        small = self.thinned()
        colorize(small.class_ids, small.class_names)  # raises where a class has no colour
        segment_ids, info = small.segments()
        return {
            "name": self.name,
            "image": picture_uri(self.image, lossless=False),
            "shape": list(segment_ids.shape),
            "map": encode_map(np.where(segment_ids == 0, 255, segment_ids - 1)),
            "segments": [[self.class_names[segment["category_id"]], segment["isthing"]] for segment in info],
            "word": small.word(),
            "start": small.start(),
        }
