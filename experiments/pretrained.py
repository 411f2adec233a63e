"""Claim C8: an encoder that was pretrained on ImageNet, against the same encoder from random weights, on few labels.

Every arm trains for the same steps on 8, 16, 32, 64 or 128 labelled scenes of Meadow. Each seed has scenes of its own,
and the fewer are among the more; all arms of a seed see the same ones. "random init" trains all of the network,
"fine-tuned" does so from the ImageNet weights, "frozen" trains the decoder alone. The book's own U-Net from scratch,
small and with full-size features, is a second rival: a network of 3 million weights may lose to it with few labels
whatever its start. Colour alone, trained on 3000 scenes, has its figure in `results/meadow.json`. Each arm takes the
learning rate that does best on validation scenes, with a seed that is not scored and a middle number of labels. The
test scenes are scored once, at the end.

C8 holds for "frozen", and for "fine-tuned", if with 8, 16 and with 32 labels its worst seed beats the best seed of
"random init" in mean IoU. It counts as faster if, at the number of labels whose curves are kept, every seed reaches
the last score of the same seed's "random init" on validation scenes in less CPU time than that took to the end. How
either stands against the U-Net from scratch is told by the same two rules. The claim says better *or* faster: the whole
of it holds if both arms are better, in part if an arm is better or faster. (This last sentence was written after the
run; the two rules were not touched.)

A trap is shown beside: the networks of "random init" and "fine-tuned" with batch normalisation's momentum at 0.01, at
one number of labels, and at the learning rates of the arms they belong to. With few steps the running statistics then
still hold a share of the values they began with.

For a widget of chapter 5, what the first seed's networks say about four test scenes is kept
(`results/pretrained_maps.npz`, by arm and labels).
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
from lessons_lib.models.efficientnet import EfficientNetLite0, load_pretrained
from lessons_lib.models.encoder_unet import EncoderUNet
from lessons_lib.models.unet import UNet
from lessons_lib.training import predict

CONFIGURATION = {
    "threads": 1,
    "labels": [8, 16, 32, 64, 128],
    "few": [8, 16, 32],  # the numbers of labels that the verdict looks at
    "seeds": [0, 1, 2],
    "steps": 200,
    "batch_size": 4,
    "learning_rates": [0.003, 0.01, 0.03],
    "chosen_with": 32,  # labels
    "validation_seed": 100,
    "trapped": ["random init", "fine-tuned"],
    "trap_with": 32,  # labels
    "trap_momentum": 0.01,
    "curves_with": 32,  # labels
    "moments": [10, 25, 50, 75, 100, 125, 150, 175, 200],  # steps after which a curve has a point
    "curve_scenes": 50,  # of the validation scenes
    "size": 96,
    "validation_scenes": 100,
    "test_scenes": 200,
    "frame_scenes": [6, 14, 63, 74],  # of the test split, the same as in `skips`
}
MAPS = RESULTS / "pretrained_maps.npz"


ARMS = {
    "random init": lambda: EncoderUNet(EfficientNetLite0()),
    "frozen": lambda: EncoderUNet(load_pretrained(), frozen=True),
    "fine-tuned": lambda: EncoderUNet(load_pretrained()),
    "U-Net from scratch": UNet,
}


def trapped(name: str) -> nn.Module:
    """Build an arm's network with the momentum of the trap in every batch normalisation."""
    model = ARMS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = CONFIGURATION["trap_momentum"]
    return model


def verdict(name: str, rival: str, figures: dict) -> dict:
    """Judge an arm against a rival by the two rules above.

    Args:
        name: of the arm.
        rival: of the arm that has to lose.
        figures: {"arms": ..., "curves": ...}, as they are saved.

    Returns:
        Whether the arm is better with few labels, with which numbers of labels its worst seed beats the rival's best,
        whether it is faster, and the share of the rival's CPU time that each seed needs: None if it never gets there.
    """
    own, other = (
        {labels: figures["arms"][f"{arm} {labels}"]["mean_iou"] for labels in CONFIGURATION["labels"]}
        for arm in (name, rival)
    )
    wins = [labels for labels in CONFIGURATION["labels"] if own[labels]["lowest"] > other[labels]["highest"]]
    shares = []
    for curve, against in zip(figures["curves"][name], figures["curves"][rival]):
        goal = against["mean_iou"][-1]
        there = [seconds for seconds, reached in zip(curve["cpu_seconds"], curve["mean_iou"]) if reached >= goal]
        shares.append(round(there[0] / against["cpu_seconds"][-1], 2) if there else None)
    return {
        "better_with_few_labels": set(CONFIGURATION["few"]) <= set(wins),
        "wins_with": wins,
        "faster": all(share is not None and share < 1 for share in shares),
        "share_of_its_time": shares,
    }


def overall(verdicts: dict) -> str:
    """Word what both arms' verdicts against "random init" make of the claim.

    Args:
        verdicts: {arm: {rival: what `verdict` gives}}.

    Returns:
        "holds", "holds in part" or "does not hold".
    """
    judged = [by_rival["random init"] for by_rival in verdicts.values()]
    if all(one["better_with_few_labels"] for one in judged):
        return "holds"
    return "holds in part" if any(one["better_with_few_labels"] or one["faster"] for one in judged) else "does not hold"


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    size, most = CONFIGURATION["size"], CONFIGURATION["labels"][-1]
    seeds, validation_seed = CONFIGURATION["seeds"], CONFIGURATION["validation_seed"]
    validation = batch("validation", CONFIGURATION["validation_scenes"], size)
    on_the_way = tuple(part[: CONFIGURATION["curve_scenes"]] for part in validation)
    test = batch("test", CONFIGURATION["test_scenes"], size)
    frame_images = test[0][CONFIGURATION["frame_scenes"]]
    labelled = {seed: batch("train", most, size, start=seed * most) for seed in (*seeds, validation_seed)}

    def train_with(labels: int, make: Callable, rate: float, seed: int, look: Callable | None = None) -> tuple:
        """Train a network on a seed's first labelled scenes: it, and the CPU seconds that it took."""
        scenes = tuple(part[:labels] for part in labelled[seed])
        return train(make, scenes, CONFIGURATION, rate, seed, look)

    on_validation, networks = {}, {}
    for name, make in ARMS.items():
        on_validation[name] = {}
        for rate in CONFIGURATION["learning_rates"]:
            model, _ = train_with(CONFIGURATION["chosen_with"], make, rate, validation_seed)
            on_validation[name][rate] = round(score(model, *validation)["mean_iou"], 4)
            print(f"{name}, rate {rate}: {on_validation[name][rate]} on validation", flush=True)
        networks[name] = {
            "parameters": parameters(model),
            "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
            "multiplications": multiplications_of(model, size),
        }
    best = {name: max(scores, key=scores.get) for name, scores in on_validation.items()}

    arms, curves, maps = {}, {}, {}
    for labels in CONFIGURATION["labels"]:
        for name, make in ARMS.items():
            arm = f"{name} {labels}"
            scores, seconds, arm_curves = [], [], []
            for seed in seeds:
                curve, looking = {"cpu_seconds": [], "mean_iou": []}, 0.0
                began = time.process_time()

                def look(step: int, loss: float, model: nn.Module, curve: dict = curve, began: float = began) -> None:
                    nonlocal looking
                    if step + 1 in CONFIGURATION["moments"]:
                        before = time.process_time()
                        curve["cpu_seconds"].append(round(before - began - looking, 1))
                        curve["mean_iou"].append(round(score(model, *on_the_way)["mean_iou"], 4))
                        looking += time.process_time() - before

                keeps_curve = labels == CONFIGURATION["curves_with"]
                model, taken = train_with(labels, make, best[name], seed, look if keeps_curve else None)
                scores.append(score(model, *test))
                seconds.append(round(taken - looking, 1))
                arm_curves.append(curve)
                print(f"{arm}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {seconds[-1]} CPU s", flush=True)
                if seed == seeds[0]:
                    maps[arm] = predict(model, frame_images).byte().numpy()
            arms[arm] = {**spread_scores(scores), "cpu_seconds": seconds}
            if keeps_curve:
                curves[name] = arm_curves

    traps = {}
    for name in CONFIGURATION["trapped"]:
        found = []
        for seed in seeds:
            model, _ = train_with(CONFIGURATION["trap_with"], partial(trapped, name), best[name], seed)
            found.append(score(model, *test)["mean_iou"])
            print(f"{name}, trapped, seed {seed}: mIoU {found[-1]:.3f}", flush=True)
        traps[name] = spread(found)

    figures = {
        "validation_mean_iou": on_validation,
        "learning_rate": best,
        "networks": networks,
        "arms": arms,
        "curves": curves,
        "trap_mean_iou": traps,
        "class_shares": class_shares(test[1]),
    }
    figures["verdicts"] = {
        name: {rival: verdict(name, rival, figures) for rival in ("random init", "U-Net from scratch")}
        for name in ("frozen", "fine-tuned")
    }
    figures["verdict"] = overall(figures["verdicts"])
    np.savez_compressed(MAPS, **maps)
    save("pretrained", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
