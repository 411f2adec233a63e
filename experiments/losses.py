"""Three losses where one class is rare: cats against all else on Meadow, and the fluid among the tissues of a brain.

One U-Net trains with the cross-entropy, with the Dice loss, and with their sum, for the same steps on the same images.
Each loss takes the learning rate with the best mean IoU on validation images, chosen with a seed that is not scored.
The test images are scored once, at the end; how the rare class is learnt is looked at on validation images meanwhile.

Beside IoU, precision and recall of the rare class's pixels it is measured how sure the network is: the mean probability
of that class over the pixels that it calls so. Where this is higher than the precision, it is surer than it should be.

In each case a loss is called better than another in a score if it wins in every pair of seeds. Otherwise no difference
is claimed. The trainings are short ones, as in the chapter: what an hour would bring is not measured.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from experiments.record import save, spread, train
from lessons_lib.data import brain, meadow
from lessons_lib.losses import cross_entropy_and_dice, dice_loss
from lessons_lib.metrics import confusion_matrix, iou, mean_iou
from lessons_lib.models.unet import UNet

CONFIGURATION = {
    "threads": 1,
    "seeds": [0, 1, 2],
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "widths": [16, 32, 64],
    "cases": {
        "cat": {"steps": 200, "batch_size": 4, "moments": [25, 50, 100, 150, 200]},
        "fluid": {"steps": 160, "batch_size": 2, "moments": [20, 40, 80, 120, 160]},
    },
    "meadow_scenes": {"train": 3000, "validation": 50, "test": 200},
    "meadow_size": 96,
}
ARMS = {"cross-entropy": None, "Dice": dice_loss, "sum": cross_entropy_and_dice}
RARE = 1  # the rare class's id in both cases


def cats(split: str) -> tuple[Tensor, Tensor]:
    """Draw images (B, 3, H, W) of Meadow and class_ids (B, H, W): 1 where a cat is, 0 elsewhere."""
    images, class_ids = meadow.batch(split, CONFIGURATION["meadow_scenes"][split], CONFIGURATION["meadow_size"])
    return images, (class_ids == meadow.CLASSES.index("cat")).long()


CASES: dict[str, tuple[Callable, Callable]] = {
    "cat": (cats, partial(UNet, CONFIGURATION["widths"], num_classes=2)),
    "fluid": (brain.slices, partial(UNet, CONFIGURATION["widths"], num_classes=len(brain.CLASSES), in_channels=1)),
}


@torch.no_grad()
def score(model: nn.Module, images: Tensor, class_ids: Tensor) -> dict:
    """Score how the rare class is found, in [0, 1]; where none is called so, precision and sureness are 0."""
    model.eval()
    probabilities = torch.cat([model(part).softmax(1) for part in images.split(8)])  # (B, K, H, W)
    predicted = probabilities.argmax(1)  # (B, H, W)
    confusion = confusion_matrix(class_ids, predicted, probabilities.shape[1])
    called = confusion[:, RARE].sum().item()
    return {
        "mean_iou": mean_iou(confusion),
        "iou": iou(confusion)[RARE].item(),
        "precision": confusion[RARE, RARE].item() / max(called, 1),
        "recall": (confusion[RARE, RARE] / confusion[RARE].sum()).item(),
        "sure": probabilities[:, RARE][predicted == RARE].double().sum().item() / max(called, 1),
    }


def measure(case: str) -> dict:
    """Train and score every arm on a case."""
    images_of, make = CASES[case]
    settings = CONFIGURATION["cases"][case]
    training, validation, test = images_of("train"), images_of("validation"), images_of("test")
    arms = {}
    for arm, loss in ARMS.items():
        on_validation = {}
        for rate in CONFIGURATION["learning_rates"]:
            model, _ = train(make, training, settings, rate, CONFIGURATION["validation_seed"], loss=loss)
            on_validation[rate] = round(score(model, *validation)["mean_iou"], 4)
            print(f"{case}, {arm}, rate {rate}: {on_validation[rate]} on validation", flush=True)
        best = max(on_validation, key=on_validation.get)
        scores, curves = [], []
        for seed in CONFIGURATION["seeds"]:
            curve = []

            def look(step: int, loss: float, model: nn.Module, curve: list = curve) -> None:
                if step + 1 in settings["moments"]:
                    curve.append(round(score(model, *validation)["iou"], 4))

            model, _ = train(make, training, settings, best, seed, look, loss)
            scores.append(score(model, *test))
            curves.append(curve)
            print(f"{case}, {arm}, seed {seed}: {scores[-1]}, on the way {curve}", flush=True)
        arms[arm] = {
            "validation_mean_iou": on_validation,
            "learning_rate": best,
            **{name: spread([one[name] for one in scores]) for name in scores[0]},
            "validation_curves": curves,
        }
    return {"share": round((test[1] == RARE).double().mean().item(), 4), "arms": arms}


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    save("losses", CONFIGURATION, {"cases": {case: measure(case) for case in CASES}}, started)


if __name__ == "__main__":
    main()
