"""Claim C2: window by window is very inefficient. The same weights, run both ways, by count and by the clock.

The two ways take turns within one process, and the median of the repeats counts. Seconds are CPU seconds of one
thread, which other programs on the machine change little. Window by window takes a row of windows at a time, which
is kind to it: one window at a time is slower still.
"""

import time
from collections.abc import Callable
from statistics import median

import torch

from experiments.record import save
from lessons_lib.data.meadow import batch
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.training import seed_everything

CONFIGURATION = {
    "window": 33,
    "width": 32,
    "sizes": [24, 32, 48, 64, 80, 96],
    "repeats": 5,
    "threads": 1,
}


def reads(size: int, window: int) -> torch.Tensor:
    """How many windows hold each pixel of an image: int64 (size, size)."""
    centres = torch.arange(size)
    along = ((centres[:, None] - centres).abs() <= window // 2).sum(dim=1)  # windows that reach each row
    return along[:, None] * along


def timed(function: Callable, images: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Call a function on images: what it returns, and the CPU seconds it took."""
    start = time.process_time()
    output = function(images)
    return output, round(time.process_time() - start, 5)


@torch.no_grad()
def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    seed_everything(0)
    model = PatchClassifier(CONFIGURATION["window"], width=CONFIGURATION["width"]).eval()
    figures = {}
    for size in CONFIGURATION["sizes"]:
        images, _ = batch("test", count=1, size=96)
        images = images[:, :, -size:, -size:]  # the costs depend on the size alone
        slid, one_pass, difference = [], [], 0.0
        model(images)  # warm up
        for _ in range(CONFIGURATION["repeats"]):
            by_window, seconds = timed(model.slide, images)
            slid.append(seconds)
            dense, seconds = timed(model, images)
            one_pass.append(seconds)
            difference = max(difference, (by_window - dense).abs().max().item())
        many, few = model.multiplications(size, window_by_window=True), model.multiplications(size)
        held = reads(size, CONFIGURATION["window"])
        figures[str(size)] = {
            "window_by_window": {"seconds": median(slid), "all_seconds": slid, "multiplications": many},
            "one_pass": {"seconds": median(one_pass), "all_seconds": one_pass, "multiplications": few},
            "ratio_by_clock": round(median(slid) / median(one_pass), 1),
            "ratio_by_count": round(many / few, 1),
            "windows_that_hold_a_pixel": {
                "mean": round(held.double().mean().item(), 1),
                "highest": held.max().item(),
            },
            "largest_difference_of_logits": difference,
        }
        print(size, figures[str(size)]["ratio_by_clock"], figures[str(size)]["ratio_by_count"], flush=True)
    save("sliding_window", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
