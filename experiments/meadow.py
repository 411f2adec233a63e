"""Is Meadow as hard as it should be? Colour alone has to fail on it, a U-Net trained for a minute has to pass.

Both networks train for the same time: the steps that fit into it are measured first. It is counted in CPU seconds of
one thread, which other programs on the machine change little; 100 of them are about a minute of two threads.
"""

import time

import torch
from torch import nn

from experiments.record import class_shares, parameters, save, score, spread_scores
from lessons_lib.data.meadow import batch
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.models.unet import UNet
from lessons_lib.training import fit, seed_everything

CONFIGURATION = {
    "cpu_seconds": 100,
    "threads": 1,
    "seeds": [0, 1, 2],
    "batch_size": 8,
    "learning_rate": {"colour alone": 0.01, "U-Net": 0.01},
    "measured_steps": 20,
    "size": 96,
    "train_scenes": 3000,
    "test_scenes": 200,
}


def make(name: str) -> nn.Module:
    """Build the network of an arm."""
    return PatchClassifier(window=1) if name == "colour alone" else UNet()


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    images, class_ids = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    test_images, test_class_ids = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])

    def train(name: str, seed: int, steps: int) -> tuple[nn.Module, float]:
        """Train a network: it, and the CPU seconds of a step."""
        seed_everything(seed)
        model = make(name)
        clock = []
        fit(
            model,
            images,
            class_ids,
            steps=steps,
            batch_size=CONFIGURATION["batch_size"],
            learning_rate=CONFIGURATION["learning_rate"][name],
            seed=seed,
            device="cpu",
            callback=lambda *step: clock.append(time.process_time()),
        )
        return model, (clock[-1] - clock[0]) / (steps - 1)

    figures = {}
    for name in CONFIGURATION["learning_rate"]:
        scores, all_steps, all_seconds = [], [], []
        for seed in CONFIGURATION["seeds"]:
            _, seconds = train(name, seed, CONFIGURATION["measured_steps"])
            steps = int(CONFIGURATION["cpu_seconds"] / seconds)
            model, seconds = train(name, seed, steps)
            scores.append(score(model, test_images, test_class_ids))
            all_steps.append(steps)
            all_seconds.append(round(steps * seconds, 1))
            print(
                f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {steps} steps, {all_seconds[-1]} CPU s",
                flush=True,
            )
        figures[name] = {
            "parameters": parameters(model),
            **spread_scores(scores),
            "steps": all_steps,
            "cpu_seconds": all_seconds,
        }
    save("meadow", CONFIGURATION, {"arms": figures, "class_shares": class_shares(test_class_ids)}, started)


if __name__ == "__main__":
    main()
