"""The upsampling laboratory's examples, and torch's answer to them for the still."""

import numpy as np
import torch
from torch.nn import functional

COUNT, ONES, CROSS = [[1, 2], [3, 4]], [[1, 1, 1]] * 3, [[1, 0, 1], [0, 2, 0], [1, 0, 1]]
MAP = [[1, 2, 0, 1], [0, 1, 3, 2], [2, 0, 1, 1], [1, 3, 2, 0]]
RANGES = {"stride": (1, 4), "padding": (0, 4), "dilation": (1, 3), "output_padding": (0, 3)}  # px
PLAIN = {"kernel": ONES, "positions": [[0, 0], [0, 0]], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1]}
PLAIN |= {"output_padding": [0, 0], "done": 2}


def _preset(group: str, label: str, mode: str, values: list, **settings) -> dict:
    """Describe an example: where it stands in the list of examples, and the state that it begins with."""
    return {"group": group, "label": label, "mode": mode, "state": PLAIN | {"input": values} | settings}


_LEARNED, _FIXED = "Transposed convolution", "Unpooling"
_DOUBLE = {"kernel": CROSS, "padding": [1, 1], "output_padding": [1, 1]}
PRESETS = {
    "worked": _preset(
        _LEARNED, "The worked example, stride 1", "transposed", [[0, 1], [2, 3]], kernel=[[4, 1], [2, 3]], stride=[1, 1]
    ),
    "line": _preset(
        _LEARNED, "In one dimension, stride 2", "transposed", [[2, 3]], kernel=[[1, 5, 4]], stride=[1, 2], done=1
    ),
    "double": _preset(_LEARNED, "Up: 3 × 3, stride 2, padding 1, output padding 1", "transposed", COUNT, **_DOUBLE),
    "uneven": _preset(_LEARNED, "3 × 3, stride 2: uneven overlap", "transposed", ONES, done=4),
    "nearest": _preset(_FIXED, "Nearest neighbour", "nearest", COUNT),
    "nails": _preset(_FIXED, "Bed of nails", "nails", COUNT),
    "unpool": _preset(_FIXED, "Max unpooling", "unpool", COUNT, positions=[[3, 0], [2, 3]]),
    "bilinear": _preset(_FIXED, "Bilinear", "bilinear", COUNT),
    "strided": _preset(
        "Convolution, the way down",
        "Down: 3 × 3, stride 2, padding 1",
        "strided",
        MAP,
        kernel=CROSS,
        padding=[1, 1],
        done=1,
    ),
}


def partial_output(mode: str, state: dict) -> np.ndarray:
    """Compute what the laboratory shows after `done` steps.

    Args:
        mode: "transposed", "strided", "nearest", "nails", "unpool" or "bilinear".
        state: the laboratory's state.

    Returns:
        (H, W); a step adds the stamp of one input cell, or computes one output cell of a strided convolution.

    Raises:
        RuntimeError: torch refuses the setting.

    Example:
        >>> partial_output("nails", PRESETS["nails"]["state"]).tolist()[0]
        [1.0, 0.0, 2.0, 0.0]
    """
    known, done = np.array(state["input"], float), state["done"]
    if mode != "strided":
        known.flat[done:] = 0
    maps, kernel = torch.tensor(known)[None, None], torch.tensor(state["kernel"], dtype=torch.float64)[None, None]
    s, p, d, extra = (tuple(state[key]) for key in RANGES)
    if mode == "transposed":
        return functional.conv_transpose2d(maps, kernel, None, s, p, extra, 1, d)[0, 0].numpy()
    if mode == "strided":
        output = functional.conv2d(maps, kernel, None, s, p, d)[0, 0].numpy()
        output.flat[done:] = 0
        return output
    if mode == "bilinear":
        return functional.interpolate(maps, scale_factor=s, mode=mode)[0, 0].numpy()
    output = np.kron(known, np.ones(s))
    if mode != "nearest":
        for (row, column), _ in np.ndenumerate(known):
            block = output[row * s[0] :, column * s[1] :][: s[0], : s[1]]
            position = state["positions"][row][column] if mode == "unpool" else 0
            block[np.arange(block.size).reshape(s) != position] = 0
    return output
