"""What a dense classifier answers at every cell of a photo, prepared for the heat map."""

from collections.abc import Mapping, Sequence

import numpy as np

TOP = 3  # classes told about each cell


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities.

    Args:
        logits: (K, ...).

    Returns:
        (K, ...), each in [0, 1], with the sum 1 along the first axis.

    Example:
        >>> softmax(np.log([1.0, 3.0])).round(2).tolist()
        [0.25, 0.75]
    """
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def encode_cells(
    maps: Mapping[int, np.ndarray], class_names: Sequence[str], groups: Mapping[str, Sequence[int]]
) -> tuple[list[dict], list[str]]:
    """Write class maps as text that readMap in heat_map.js reads.

    Args:
        maps: {stride: probabilities (K, h, w)}.
        class_names: K names.
        groups: {name: class ids}.

    Returns:
        For each stride {"stride", "heat", "tops"}: heat has a text for each group, two digits a cell: percent, at
        most 99. In tops each cell has five digits for each of its TOP likeliest classes: three for the word, two for
        its percent. And the words, at most 1000.

    Example:
        >>> encode_cells({32: np.array([[[0.9]], [[0.02]], [[0.08]]])}, ["cat", "dog", "cup"], {"pet": [0, 1]})
        ([{'stride': 32, 'heat': ['92'], 'tops': '000900020800102'}], ['cat', 'dog', 'cup'])
    """
    flat = {stride: values.reshape(len(class_names), -1) for stride, values in maps.items()}
    tops = {stride: np.argsort(-values, axis=0)[:TOP] for stride, values in flat.items()}  # (TOP, h w)
    used = np.unique(np.concatenate([ids.ravel() for ids in tops.values()]))
    described = []
    for stride, values in flat.items():
        words = np.searchsorted(used, tops[stride])
        pairs = np.char.add(_digits(words, 3), _percent(np.take_along_axis(values, tops[stride], axis=0)))
        heat = ["".join(_percent(values[list(ids)].sum(axis=0))) for ids in groups.values()]
        described.append({"stride": stride, "heat": heat, "tops": "".join(pairs.T.ravel())})
    return described, [class_names[index] for index in used]


def _digits(numbers: np.ndarray, width: int) -> np.ndarray:
    """Write whole numbers with leading zeros."""
    return np.char.zfill(numbers.astype(str), width)


def _percent(probabilities: np.ndarray) -> np.ndarray:
    """Write probabilities as two digits."""
    return _digits(np.minimum(np.rint(100 * probabilities), 99).astype(int), 2)
