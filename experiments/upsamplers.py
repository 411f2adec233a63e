"""Eight ways up in one network: how well does each segment, what does it cost, which leave a checkerboard?

All train for the same steps on the same scenes, at one learning rate: the one at which two of them, one without and
one with weights of its own, do best on validation scenes with a seed that is not scored. The test scenes are seen
once, at the end. A first run of 300 steps was too short to tell most of them from the spread of its seeds; this one is
longer, and was set before it began: with other seeds and other test scenes than the first. An
upsampler with weights of its own makes its network larger; "nearest, wide" is the control: no weights to upsample
with, but other layers so wide that the network multiplies as often as the costliest.

The checkerboard is measured on pictures that have none: test scenes blurred until only slow changes of colour are
left, and on the same scenes as they are. See `grid_share`. The network has strides of 2, 4 and 8, so a checkerboard
has these periods; a period of 7 px is nothing to it and says what the measure gives without one. An upsampler shows
the checkerboard if, with every seed, its share at 8 px is more than twice that at 7 px and more than 0.1 %.

An untrained network normalises by the batch's own statistics, as in its first training step. The running ones no image
has shaped yet: with them the image hardly reaches the logits, and all that varies there comes from the first biases.
"""

import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from experiments.record import RESULTS, class_shares, parameters, save, score, spread, spread_scores, train
from lessons_lib.data.meadow import CLASSES, batch
from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.upsampler import UPSAMPLERS, UpsamplingNet
from lessons_lib.training import predict, seed_everything

CONFIGURATION = {
    "widths": [16, 32, 64],
    "wide": [18, 36, 72],
    "seeds": [3, 4, 5],
    "steps": 700,
    "batch_size": 4,
    "learning_rates": [0.001, 0.003, 0.01],
    "chosen_on": ["nearest", "transposed 4"],
    "validation_seed": 100,
    "size": 96,
    "train_scenes": 2000,
    "validation_scenes": 100,
    "test_scenes": 200,
    "first_test_scene": 200,
    "grid_scenes": 50,
    "blur": 12,  # standard deviation in px
    "periods": [2, 4, 8, 7],  # px
    "side": 56,  # px of the square in the middle that the grid is measured in, a multiple of every period
    "shown_scenes": 3,
    "shown_class": "grass",
}
MAPS = RESULTS / "upsamplers_maps.npz"  # of the first seed, by upsampler; see `main`


def make(name: str) -> nn.Module:
    """Build the network of an upsampler, or the control."""
    upsampler, _, wide = name.partition(", ")
    return UpsamplingNet(upsampler, CONFIGURATION["wide" if wide else "widths"])


def middle(maps: Tensor, side: int) -> Tensor:
    """Cut a square of `side` px out of the middle of maps (B, C, H, W)."""
    top, left = ((length - side) // 2 for length in maps.shape[-2:])
    return maps[..., top : top + side, left : left + side]


def grid_share(logits: Tensor, period: int, side: int) -> float:
    """Share of the logits' variance that is one pattern, repeated every `period` px along both axes.

    The pattern is the mean of all its repetitions, image by image and class by class. What is common to all classes
    at a px is left out first: it decides nothing. So is the mean over period x period px round each px, before the
    pattern is taken: a slope leaves no pattern then, and a true pattern stays whole, for it has the same mean there
    everywhere.

    Args:
        logits: (B, K, H, W), with H and W at least side + period - 1.
        period: in px.
        side: of the square in the middle that is measured, a multiple of the period, in px.

    Returns:
        In [0, 1]; it counts the patterns of every divisor of the period too.
    """
    maps = logits - logits.mean(dim=1, keepdim=True)
    detail = middle(maps, side) - middle(F.avg_pool2d(maps, period, stride=1), side)  # (B, K, side, side)
    repetitions = detail.unflatten(3, (-1, period)).unflatten(2, (-1, period))  # (B, K, repeats, period, repeats, ...)
    pattern = repetitions.mean(dim=(2, 4))  # (B, K, period, period)
    return float(pattern.var((2, 3), correction=0).sum() / middle(maps, side).var((2, 3), correction=0).sum())


@torch.no_grad()
def logits_of(model: nn.Module, pictures: Tensor) -> Tensor:
    """Run a model on pictures (B, 3, H, W), ten at a time, in the mode it is in: (B, K, H, W)."""
    return torch.cat([model(part) for part in pictures.split(10)])


def grid_shares(model: nn.Module, pictures: Tensor) -> dict:
    """Measure the grid share at every period, by period."""
    logits = logits_of(model, pictures)
    return {period: grid_share(logits, period, CONFIGURATION["side"]) for period in CONFIGURATION["periods"]}


def shown(model: nn.Module, pictures: Tensor) -> np.ndarray:
    """Take the shown class's logits in the middle of the first picture: float16 (side, side)."""
    logits = logits_of(model, pictures[:10])[:1, CLASSES.index(CONFIGURATION["shown_class"])]
    return middle(logits, CONFIGURATION["side"])[0].numpy().astype(np.float16)


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(1)
    size = CONFIGURATION["size"]
    scenes = batch("train", CONFIGURATION["train_scenes"], size)
    validation = batch("validation", CONFIGURATION["validation_scenes"], size)
    test = batch("test", CONFIGURATION["test_scenes"], size, CONFIGURATION["first_test_scene"])
    sharp = test[0][: CONFIGURATION["grid_scenes"]]
    blur = CONFIGURATION["blur"]
    pictures = {"smooth": torch.from_numpy(gaussian_filter(sharp.numpy(), (0, 0, blur, blur))), "scenes": sharp}

    on_validation = {}
    for rate in CONFIGURATION["learning_rates"]:
        on_validation[rate] = {}
        for name in CONFIGURATION["chosen_on"]:
            model, _ = train(partial(make, name), scenes, CONFIGURATION, rate, CONFIGURATION["validation_seed"])
            on_validation[rate][name] = round(score(model, *validation)["mean_iou"], 4)
        print(f"rate {rate}: {on_validation[rate]} on validation", flush=True)
    best = max(on_validation, key=lambda rate: sum(on_validation[rate].values()))

    arms, maps = {}, {}
    for name in (*UPSAMPLERS, "nearest, wide"):
        scores, seconds, shares = [], [], []
        for seed in CONFIGURATION["seeds"]:
            seed_everything(seed)
            untrained = make(name)  # the weights that the training starts from, in training mode
            model, cpu_seconds = train(partial(make, name), scenes, CONFIGURATION, best, seed)
            seconds.append(cpu_seconds)
            scores.append(score(model, *test))
            shares.append(
                {
                    (state, kind): grid_shares(network, pictures[kind])
                    for state, network in (("untrained", untrained), ("trained", model.eval()))
                    for kind in pictures
                }
            )
            print(f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {cpu_seconds} CPU s", flush=True)
            if seed == CONFIGURATION["seeds"][0]:
                maps[f"{name}.untrained"] = shown(untrained, pictures["smooth"])
                maps[f"{name}.trained"] = shown(model, pictures["smooth"])
                predicted = predict(model, test[0][: CONFIGURATION["shown_scenes"]])
                maps[f"{name}.predicted"] = predicted.numpy().astype(np.uint8)
        arms[name] = {
            "parameters": parameters(model),
            "multiplications": multiplications_of(model, size),
            **spread_scores(scores),
            "cpu_seconds": seconds,
            "grid_percent": {  # 100 times the grid share
                state: {
                    kind: {
                        str(period): spread([100 * one[state, kind][period] for one in shares])
                        for period in CONFIGURATION["periods"]
                    }
                    for kind in pictures
                }
                for state in ("untrained", "trained")
            },
        }
    np.savez_compressed(MAPS, **maps)
    figures = {
        "validation_mean_iou": on_validation,
        "learning_rate": best,
        "arms": arms,
        "class_shares": class_shares(test[1]),
    }
    save("upsamplers", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
