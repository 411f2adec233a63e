"""Down and up inside the network: FCN-32s, FCN-16s, FCN-8s (Long et al.) and DeconvNet (Noh et al.) on Meadow.

All networks train for the same steps on the same scenes. Each takes the learning rate that does best on validation
scenes, chosen with a seed that is not scored; the test scenes are scored once, at the end. While the first seed trains,
the accuracy on validation scenes is recorded, and what the FCNs say about three test scenes, for the widget that
replays it (`results/fcn_frames.npz`).
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from experiments.record import RESULTS, class_shares, parameters, save, score, spread, spread_scores, train
from lessons_lib.data.meadow import batch
from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.deconvnet import DeconvNet
from lessons_lib.models.fcn import FCN
from lessons_lib.training import predict

CONFIGURATION = {
    "threads": 1,
    "seeds": [0, 1, 2],
    "steps": 800,
    "batch_size": 4,
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "size": 96,
    "train_scenes": 3000,
    "scored_train_scenes": 200,  # the first ones: they show what the network has learned by heart
    "validation_scenes": 200,
    "test_scenes": 200,
    "moments": [10, 25, 50, 100, 200, 400, 600, 800],  # steps after which the first seed is looked at
    "frame_scenes": [6, 14, 40],  # of the test split, chosen by their pictures
}
ARMS = {
    **{f"FCN-{stride}s": partial(FCN, stride) for stride in (32, 16, 8)},
    "DeconvNet, unpooling": DeconvNet,
    "DeconvNet, bilinear": partial(DeconvNet, unpool=False),
}
FRAMES = RESULTS / "fcn_frames.npz"


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    train_again = tuple(part[: CONFIGURATION["scored_train_scenes"]] for part in scenes)
    validation = batch("validation", CONFIGURATION["validation_scenes"], CONFIGURATION["size"])
    test = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])
    frame_images = test[0][CONFIGURATION["frame_scenes"]]

    def train_and_look(
        make: Callable[[], nn.Module],
        learning_rate: float,
        seed: int,
        look: Callable[[nn.Module], None] | None = None,
    ) -> tuple[nn.Module, float]:
        """Train a network and `look` at it at the moments: the network, and the CPU seconds without the looks."""
        looking = 0.0

        def callback(step: int, loss: float, model: nn.Module) -> None:
            nonlocal looking
            if look is not None and step + 1 in CONFIGURATION["moments"]:
                before = time.process_time()
                look(model)
                looking += time.process_time() - before

        model, seconds = train(make, scenes, CONFIGURATION, learning_rate, seed, callback)
        return model, round(seconds - looking, 1)

    def short(scores: dict) -> dict:
        """Round scores, the classes left out."""
        return {name: round(value, 4) for name, value in scores.items() if name != "iou"}

    figures, frames = {}, {}
    for name, make in ARMS.items():
        on_validation = {}
        for learning_rate in CONFIGURATION["learning_rates"]:
            model, _ = train_and_look(make, learning_rate, CONFIGURATION["validation_seed"])
            on_validation[learning_rate] = round(score(model, *validation)["mean_iou"], 4)
            print(f"{name}, rate {learning_rate}: {on_validation[learning_rate]} on validation", flush=True)
        best = max(on_validation, key=on_validation.get)

        curve, pictures = [], []  # filled at the moments

        def look(model: nn.Module, curve: list = curve, pictures: list = pictures) -> None:
            curve.append(short(score(model, *validation)))
            pictures.append(predict(model, frame_images).byte().numpy())

        scores, train_scores, seconds = [], [], []
        for seed in CONFIGURATION["seeds"]:
            model, taken = train_and_look(make, best, seed, look if seed == CONFIGURATION["seeds"][0] else None)
            scores.append(score(model, *test))
            train_scores.append(score(model, *train_again)["mean_iou"])
            seconds.append(taken)
            print(f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {taken} CPU s", flush=True)
        if name.startswith("FCN"):
            frames[name] = np.stack(pictures)  # (moments, scenes, size, size)
        figures[name] = {
            "parameters": parameters(model),
            "multiplications": multiplications_of(model, CONFIGURATION["size"]),
            "validation_mean_iou": on_validation,
            "learning_rate": best,
            **spread_scores(scores),
            "train_mean_iou": spread(train_scores),
            "validation_curve": curve,
            "cpu_seconds": seconds,
        }

    RESULTS.mkdir(exist_ok=True)
    np.savez_compressed(FRAMES, **frames)
    save("fcn", CONFIGURATION, {"arms": figures, "class_shares": class_shares(test[1])}, started)


if __name__ == "__main__":
    main()
