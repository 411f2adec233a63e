"""What classifiers believe about pixels, prepared for the context probe."""

import numpy as np


def encode_beliefs(beliefs: np.ndarray) -> str:
    """Write probabilities as text, one hexadecimal digit each, to the nearest 1/15.

    Args:
        beliefs: probabilities in [0, 1], of any shape.

    Returns:
        One digit a probability, in the array's order; `int(digit, 16) / 15` is at most 1/30 away from it.

    Raises:
        ValueError: a value is no probability.

    Example:
        >>> encode_beliefs(np.array([0.0, 0.48, 1.0]))
        '07f'
    """
    levels = np.rint(15 * beliefs)
    if not (levels.min() >= 0 and levels.max() <= 15):
        low, high = beliefs.min(), beliefs.max()
        raise ValueError(f"beliefs lie in [0, 1]: got {low:.3g} to {high:.3g}; apply softmax to logits")
    return np.frombuffer(b"0123456789abcdef", np.uint8)[levels.astype(int)].tobytes().decode()


def telling_pixels(class_ids: np.ndarray, beliefs: np.ndarray, count: int = 6) -> list[list[int]]:
    """Find pixels that the smaller windows mistake and the larger ones recognise.

    Args:
        class_ids: (h, w), the truth of the pixels whose beliefs are known.
        beliefs: (W, h, w, K), W windows from small to large.
        count: of pixels; no two are neighbours within two steps.

    Returns:
        [row, column] of each in the grid (h, w), the most telling first: the least belief in the truth among the
        larger half of the windows exceeds the greatest among the smaller half by most. The picture's rim comes last.

    Example:
        >>> beliefs = np.array([[0.9, 0.1], [0.2, 0.8]]).reshape(2, 1, 1, 2)
        >>> telling_pixels(np.array([[1]]), beliefs)
        [[0, 0]]
    """
    true = np.take_along_axis(beliefs, np.minimum(class_ids, beliefs.shape[-1] - 1)[None, ..., None], axis=-1)[..., 0]
    half = len(beliefs) // 2
    gain = np.where(class_ids < beliefs.shape[-1], true[-half:].min(axis=0) - true[:half].max(axis=0), -np.inf)
    rows, columns = np.indices(gain.shape)
    inner = np.minimum(np.minimum(rows, rows[::-1]), np.minimum(columns, columns[:, ::-1])) >= 2
    gain = np.where(inner, gain, gain - 2)  # the rim gives its place away: it comes last
    found = []
    while len(found) < count and gain.max() > -np.inf:
        row, column = (int(place) for place in np.unravel_index(gain.argmax(), gain.shape))
        found.append([row, column])
        gain[np.maximum(abs(rows - row), abs(columns - column)) <= 2] = -np.inf
    return found
