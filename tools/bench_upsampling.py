"""Times the operators of `lessons_lib.upsampling` against torch's own: `make bench-upsampling`.

Ours are written to be read; the book's networks use torch's. Both run in turn on one thread, so that whatever else the
machine does hits both alike; the ratio of the medians is what counts. Bed of nails has no operator in torch.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lessons_lib import upsampling

MAPS = (4, 32, 48, 48)  # B, C, H, W
ROUNDS = 30


def operators() -> dict[str, tuple[Callable, Callable, tuple[Tensor, ...]]]:
    """Pair ours with torch's.

    Returns:
        For each name: our function, torch's function, the tensors that both take.
    """
    maps = torch.randn(MAPS, requires_grad=True)
    batch, channels, height, width = MAPS
    larger = torch.randn(batch, channels, 2 * height, 2 * width, requires_grad=True)
    _, positions = F.max_pool2d(larger, 2, return_indices=True)
    three, four = (torch.randn(channels, channels, size, size, requires_grad=True) for size in (3, 4))
    return {
        "nearest": (
            upsampling.nearest,
            lambda x: F.interpolate(x, scale_factor=2),
            (maps,),
        ),
        "bilinear": (
            upsampling.bilinear,
            lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
            (maps,),
        ),
        "max pooling, positions": (
            lambda x: upsampling.max_pool_with_positions(x)[0],
            lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
            (larger,),
        ),
        "max unpooling": (
            lambda x: upsampling.max_unpool(x, positions, (2 * height, 2 * width)),
            lambda x: F.max_unpool2d(x, positions, 2),
            (maps,),
        ),
        "transposed, kernel 3": (
            lambda x, k: upsampling.transposed_convolution(x, k, stride=2, padding=1, output_padding=1),
            lambda x, k: F.conv_transpose2d(x, k, stride=2, padding=1, output_padding=1),
            (maps, three),
        ),
        "transposed, kernel 4": (
            lambda x, k: upsampling.transposed_convolution(x, k, stride=2, padding=1),
            lambda x, k: F.conv_transpose2d(x, k, stride=2, padding=1),
            (maps, four),
        ),
        "sub-pixel": (
            upsampling.subpixel,
            lambda x: F.pixel_shuffle(x, 2),
            (maps,),
        ),
    }


def seconds(function: Callable, inputs: tuple[Tensor, ...]) -> tuple[float, float]:
    """Time one call and its backward pass.

    Args:
        function: of the inputs, gives one tensor.
        inputs: that gradients flow to.

    Returns:
        Seconds forward, seconds backward.
    """
    start = time.perf_counter()
    output = function(*inputs)
    middle = time.perf_counter()
    torch.autograd.grad(output, inputs, torch.ones_like(output))
    return middle - start, time.perf_counter() - middle


def main() -> None:
    """Measure every operator and print the table."""
    torch.set_num_threads(1)
    print(f"maps {MAPS}, float32, 1 thread, torch {torch.__version__}; medians of {ROUNDS} runs, in ms")
    print(f"{'':24}{'forward':^24}{'backward':^24}")
    print(f"{'operator':24}" + f"{'ours':>8}{'torch':>8}{'ratio':>8}" * 2)
    for name, (ours, theirs, inputs) in operators().items():
        torch.testing.assert_close(ours(*inputs), theirs(*inputs), rtol=1e-3, atol=1e-3)  # and both are warm
        rounds = [(*seconds(ours, inputs), *seconds(theirs, inputs)) for _ in range(ROUNDS)]
        forward, backward, their_forward, their_backward = (1000 * statistics.median(runs) for runs in zip(*rounds))
        print(
            f"{name:24}{forward:8.2f}{their_forward:8.2f}{forward / their_forward:8.1f}"
            f"{backward:8.2f}{their_backward:8.2f}{backward / their_backward:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
