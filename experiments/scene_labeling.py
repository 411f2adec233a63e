"""Two ways to see further than a window: several scales (Farabet et al.), several looks (Pinheiro and Collobert).

All networks share the design of their convolutions and train for the same steps on the same scenes.
"""

import time

import torch
from torch import nn

from experiments.record import class_shares, parameters, save, score, spread_scores
from lessons_lib.data.meadow import batch
from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.multiscale import MultiScale
from lessons_lib.models.patch_classifier import PatchClassifier
from lessons_lib.models.recurrent import Recurrent, Unrolled, loss_of_all
from lessons_lib.training import fit, seed_everything

CONFIGURATION = {
    "width": 16,
    "plain_window": 33,
    "window": 17,  # of one scale and of one instance
    "scales": [1, 3],
    "instances": [1, 2, 3],
    "seeds": [0, 1, 2],
    "steps": 600,
    "batch_size": 4,
    "learning_rate": 0.01,
    "size": 96,
    "train_scenes": 2000,
    "test_scenes": 200,
}


def make(kind: str, setting: int) -> nn.Module:
    """Build a network of its kind; `setting` is its window, its scales or its instances."""
    width, window = CONFIGURATION["width"], CONFIGURATION["window"]
    if kind == "window":
        return PatchClassifier(setting, width=width)
    if kind == "scales":
        return MultiScale(setting, width=width, window=window)
    return Recurrent(setting, width=width, window=window)


def context(model: nn.Module, size: int = 193) -> int:
    """Side in px of the square that the middle pixel's logits depend on, by their gradient.

    The weights become positive, so that every ReLU is open and no two paths cancel.
    """
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
        parameter.data /= parameter[0].numel()
    images = torch.rand(1, 3, size, size, requires_grad=True)
    (model(images)[0, :, size // 2, size // 2] * torch.rand(7)).sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


def main() -> None:
    started = time.perf_counter()
    images, class_ids = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    test_images, test_class_ids = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])
    arms = [("window", CONFIGURATION["plain_window"])]
    arms += [("scales", scales) for scales in CONFIGURATION["scales"]]
    arms += [("instances", instances) for instances in CONFIGURATION["instances"]]

    figures = {}
    for kind, setting in arms:
        scores, seconds = [], []
        for seed in CONFIGURATION["seeds"]:
            seed_everything(seed)
            model = make(kind, setting)
            before = time.process_time()
            fit(
                Unrolled(model) if kind == "instances" else model,
                images,
                class_ids,
                steps=CONFIGURATION["steps"],
                batch_size=CONFIGURATION["batch_size"],
                learning_rate=CONFIGURATION["learning_rate"],
                seed=seed,
                loss=loss_of_all if kind == "instances" else None,
                device="cpu",
            )
            seconds.append(round(time.process_time() - before, 1))
            scores.append(score(model, test_images, test_class_ids))
            print(f"{kind} {setting}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {seconds[-1]} CPU s", flush=True)
        figures[f"{kind} {setting}"] = {
            "context": context(make(kind, setting)),
            "parameters": parameters(model),
            "multiplications": multiplications_of(model, CONFIGURATION["size"]),
            **spread_scores(scores),
            "cpu_seconds": seconds,
        }
    figures = {"arms": figures, "class_shares": class_shares(test_class_ids)}
    save("scene_labeling", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
