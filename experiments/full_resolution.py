"""Claim C4: convolutions at full resolution are very expensive. Expensive beside what?

Networks that never shrink the image, plain and dilated, stand beside candidates that do. All train for the same steps
on the same scenes, each with the learning rate that does best on validation scenes, chosen with a seed that is not
scored. The rival of a full-resolution network is the candidate with the fewest multiplications that is at least as
accurate there; if none is, it has no rival and the claim fails for it. The test scenes are scored once, at the end.
The claim holds where a network has a rival that on average is at least as accurate on the test scenes and cheaper in
all three costs: multiplications, memory that a training step keeps, CPU seconds of a training step.

The costs are measured against image size, and against depth: there with a third network too, the same layers with the
same widths as those that downsample, at full resolution.
"""

import time
from functools import partial
from itertools import pairwise
from statistics import median

import torch
from torch import nn

from experiments.record import class_shares, parameters, save, score, spread_scores, train
from lessons_lib.data.meadow import batch
from lessons_lib.models.blocks import double_conv
from lessons_lib.models.costs import activation_bytes, multiplications_of
from lessons_lib.models.fcn import FCN
from lessons_lib.models.full_resolution import FullResolution
from lessons_lib.models.unet import UNet
from lessons_lib.shapes import Layer, receptive_field
from lessons_lib.training import fit

CONFIGURATION = {
    "threads": 1,
    "depth": 7,
    "width": 16,
    "dilations": [1, 1, 2, 4, 8, 16, 1],
    "seeds": [0, 1, 2],
    "steps": 500,
    "batch_size": 4,
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "size": 96,
    "train_scenes": 2000,
    "validation_scenes": 200,
    "test_scenes": 200,
    "cost_sizes": [32, 64, 96, 192, 384],
    "cost_widths": [16, 32, 64, 96, 128],  # two convolutions of each
    "cost_repeats": 5,
}
plain = partial(FullResolution, CONFIGURATION["depth"], CONFIGURATION["width"])
FULL = {"full resolution": plain, "full resolution, dilated": partial(plain, CONFIGURATION["dilations"])}
CANDIDATES = {
    "FCN-8s": partial(FCN, 8),
    "FCN-8s, half as wide": partial(FCN, 8, (8, 16, 32, 48, 64)),
    "U-Net, half as wide": partial(UNet, (8, 16, 32)),
}
COSTS = ("multiplications", "activation_bytes", "cpu_seconds")


def stack(levels: int, downsample: bool) -> nn.Sequential:
    """Build two convolutions of each of the first widths; pooling after each pair and resizing at the end, or none."""
    layers = nn.Sequential()
    widths = CONFIGURATION["cost_widths"][:levels]
    for in_channels, width in zip([3, *widths], widths):
        layers.append(double_conv(in_channels, width))
        if downsample:
            layers.append(nn.MaxPool2d(2))
    layers.append(nn.Conv2d(widths[-1], 7, kernel_size=1))
    if downsample:
        layers.append(nn.Upsample(scale_factor=2**levels, mode="bilinear"))
    return layers


def seen(levels: int, downsample: bool) -> int:
    """Side in px of what a place of the last map of `stack` sees; two plain layers of any width see as much."""
    pair = [Layer(3, padding=1)] * 2
    return receptive_field((pair + [Layer(2, stride=2)] * downsample) * levels)


def costs(model: nn.Module, size: int) -> dict:
    """Measure a network: multiplications and bytes of one image, CPU seconds of a training step."""
    images = torch.rand(CONFIGURATION["batch_size"], 3, size, size)
    class_ids = torch.randint(7, (CONFIGURATION["batch_size"], size, size))
    clock = []
    fit(
        model,
        images,
        class_ids,
        steps=CONFIGURATION["cost_repeats"] + 1,
        batch_size=CONFIGURATION["batch_size"],
        device="cpu",
        callback=lambda *step: clock.append(time.process_time()),
    )
    seconds = [round(after - before, 4) for before, after in pairwise(clock)]
    return {
        "multiplications": multiplications_of(model, size),
        "activation_bytes": activation_bytes(model, images[:1]),
        "cpu_seconds": round(median(seconds), 4),
        "all_cpu_seconds": seconds,
    }


def verdict(name: str, arms: dict) -> dict:
    """Judge the claim for a full-resolution network by its rival's costs and accuracy."""

    def on_validation(arm: str) -> float:
        return max(arms[arm]["validation_mean_iou"].values())

    as_accurate = [other for other in CANDIDATES if on_validation(other) >= on_validation(name)]
    if not as_accurate:
        return {"rival": None, "holds": False}
    rival = min(as_accurate, key=lambda other: arms[other]["multiplications"])
    ratios = {cost: round(arms[name][cost] / arms[rival][cost], 2) for cost in COSTS}
    gains = [b - a for a, b in zip(arms[name]["mean_iou"]["values"], arms[rival]["mean_iou"]["values"])]
    gain = round(sum(gains) / len(gains), 4)
    return {
        "rival": rival,
        "ratios": ratios,  # how many times the rival's cost
        "gain_of_the_rival": gain,  # mIoU on the test scenes
        "gains": [round(one, 4) for one in gains],
        "holds": gain >= 0 and min(ratios.values()) > 1,
    }


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    validation = batch("validation", CONFIGURATION["validation_scenes"], CONFIGURATION["size"])
    test = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])

    arms = {}
    for name, make in (FULL | CANDIDATES).items():
        on_validation = {}
        for learning_rate in CONFIGURATION["learning_rates"]:
            model, _ = train(make, scenes, CONFIGURATION, learning_rate, CONFIGURATION["validation_seed"])
            on_validation[learning_rate] = round(score(model, *validation)["mean_iou"], 4)
            print(f"{name}, rate {learning_rate}: {on_validation[learning_rate]} on validation", flush=True)
        best = max(on_validation, key=on_validation.get)
        scores, seconds = [], []
        for seed in CONFIGURATION["seeds"]:
            model, taken = train(make, scenes, CONFIGURATION, best, seed)
            scores.append(score(model, *test))
            seconds.append(taken)
            print(f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {taken} CPU s", flush=True)
        by_size = {size: costs(make(), size) for size in CONFIGURATION["cost_sizes"]}
        arms[name] = {
            "parameters": parameters(model),
            "validation_mean_iou": on_validation,
            "learning_rate": best,
            **spread_scores(scores),
            "training_cpu_seconds": seconds,
            **{cost: by_size[CONFIGURATION["size"]][cost] for cost in COSTS},
            "by_size": by_size,
        }

    by_depth = {}
    for levels in range(1, len(CONFIGURATION["cost_widths"]) + 1):
        networks = {
            "full resolution": (FullResolution(2 * levels, CONFIGURATION["width"]), seen(levels, downsample=False)),
            "downsampling": (stack(levels, downsample=True), seen(levels, downsample=True)),
            "the same without downsampling": (stack(levels, downsample=False), seen(levels, downsample=False)),
        }
        by_depth[2 * levels] = {
            name: {"receptive_field": field, **costs(model, CONFIGURATION["size"])}
            for name, (model, field) in networks.items()
        }
    figures = {
        "arms": arms,
        "verdicts": {name: verdict(name, arms) for name in FULL},
        "by_depth": by_depth,
        "class_shares": class_shares(test[1]),
    }
    print(figures["verdicts"])
    save("full_resolution", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
