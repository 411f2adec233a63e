"""Is Meadow as hard as it should be? Colour alone has to fail on it, a U-Net trained for a minute has to pass.

Both networks train for the same time: the steps that fit into it are measured first. It is counted in CPU seconds of
one thread, which other programs on the machine change little; 100 of them are about a minute of two threads.

Each network takes the learning rate that does best on validation scenes, chosen with a seed that is not scored. The
test scenes are seen once, at the end.
"""

import time
from functools import partial

import torch
from torch import nn

from experiments.record import class_shares, parameters, save, score, spread_scores, train
from lessons_lib.data.meadow import batch
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.models.unet import UNet

CONFIGURATION = {
    "cpu_seconds": 100,
    "threads": 1,
    "seeds": [0, 1, 2],
    "batch_size": 8,
    "learning_rates": [0.003, 0.01, 0.03],
    "validation_seed": 100,
    "measured_steps": 20,
    "size": 96,
    "train_scenes": 3000,
    "validation_scenes": 200,
    "test_scenes": 200,
}
ARMS = {"colour alone": partial(PatchClassifier, window=1), "U-Net": UNet}


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    validation = batch("validation", CONFIGURATION["validation_scenes"], CONFIGURATION["size"])
    test = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])

    def train_steps(name: str, learning_rate: float, seed: int, steps: int) -> tuple[nn.Module, float]:
        """Train a network: it, and the CPU seconds of a step, the first one left out."""
        clock = []
        configuration = CONFIGURATION | {"steps": steps}
        model, _ = train(
            ARMS[name], scenes, configuration, learning_rate, seed, lambda *step: clock.append(time.process_time())
        )
        return model, (clock[-1] - clock[0]) / (steps - 1)

    def train_for_the_time(name: str, learning_rate: float, seed: int) -> tuple[nn.Module, int, float]:
        """Train as many steps as fit into the time: the network, its steps and its CPU seconds."""
        _, seconds = train_steps(name, learning_rate, seed, CONFIGURATION["measured_steps"])
        steps = int(CONFIGURATION["cpu_seconds"] / seconds)
        model, seconds = train_steps(name, learning_rate, seed, steps)
        return model, steps, round(steps * seconds, 1)

    figures = {}
    for name in ARMS:
        on_validation = {}
        for learning_rate in CONFIGURATION["learning_rates"]:
            model, steps, _ = train_for_the_time(name, learning_rate, CONFIGURATION["validation_seed"])
            on_validation[learning_rate] = round(score(model, *validation)["mean_iou"], 4)
            print(
                f"{name}, rate {learning_rate}: {on_validation[learning_rate]} on validation, {steps} steps", flush=True
            )
        best = max(on_validation, key=on_validation.get)
        scores, all_steps, all_seconds = [], [], []
        for seed in CONFIGURATION["seeds"]:
            model, steps, seconds = train_for_the_time(name, best, seed)
            scores.append(score(model, *test))
            all_steps.append(steps)
            all_seconds.append(seconds)
            print(f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {steps} steps, {seconds} CPU s", flush=True)
        figures[name] = {
            "parameters": parameters(model),
            "validation_mean_iou": on_validation,
            "learning_rate": best,
            **spread_scores(scores),
            "steps": all_steps,
            "cpu_seconds": all_seconds,
        }
    save("meadow", CONFIGURATION, {"arms": figures, "class_shares": class_shares(test[1])}, started)


if __name__ == "__main__":
    main()
