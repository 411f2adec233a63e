"""Nuclei found one by one: a U-Net with four kinds of target, beside Otsu's threshold, here and in another laboratory.

A network marks the pixels of nuclei; the connected parts of its mask are the nuclei it found, specks left out. The
target is the plain foreground; or the foreground with touching nuclei parted by a border; or that with the weight map
of U-Net's paper, which weighs narrow gaps up, and the rarer nuclei too; or that with the gaps' part of the map alone.
All four train for the same steps on the same tiles of the film. Each takes the learning rate that finds nuclei best
(F1) on validation tiles, with a seed that is not scored. Otsu's threshold is taken twice: in each picture by itself;
and once for all, from the training tiles. Test tiles and the other laboratory's picture are scored at the end.

A way to find nuclei is called better than another if it has the higher F1 in every pair of seeds; so are the shares
found of crowded nuclei compared. Otherwise no difference is claimed.

The other laboratory's picture is scored twice: as it is, and stretched, so that its median and its 99th percentile are
those of the training tiles. What the first seed's networks say about some tiles, and about a part of the other picture,
is kept for figures (`results/nuclei_masks.npz`).
"""

import time
from functools import partial

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from skimage.filters import threshold_otsu
from torch import Tensor

from experiments.record import RESULTS, parameters, save, spread, train
from lessons_lib.data.nuclei import Nuclei, other_laboratory, split
from lessons_lib.labels import components, separate
from lessons_lib.losses import weight_map, weighted_cross_entropy
from lessons_lib.metrics import confusion_matrix, instance_counts, instance_f1, iou, match_instances
from lessons_lib.models.unet import UNet
from lessons_lib.training import predict

CONFIGURATION = {
    "threads": 1,
    "seeds": [0, 1, 2],
    "steps": 200,
    "batch_size": 4,
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "widths": [16, 32, 64],
    "smallest": 20,  # px^2 of a part that is no speck; of 1, 10, 20 and 40 the best for Otsu on validation tiles
    "crowded": 3,  # px to the nearest other nucleus at most, of a nucleus that counts as crowded
    "percentiles": [50, 99],  # that the stretched picture shares with the training tiles
    "figure_tiles": [7, 9, 17, 37],  # of the test split, with crowded nuclei
    "figure_corner": [160, 0],  # of the part of the other picture, (row, column) in px
    "figure_size": 192,  # of that part, px
}
MASKS = RESULTS / "nuclei_masks.npz"


def stretched(nuclei: Nuclei, like: Tensor) -> Nuclei:
    """Bring a picture's brightness to that of other images, by the line through two percentiles."""
    low, high = np.percentile(nuclei.images, CONFIGURATION["percentiles"])
    wanted_low, wanted_high = np.percentile(like, CONFIGURATION["percentiles"])
    images = wanted_low + (nuclei.images - low) * (wanted_high - wanted_low) / (high - low)
    return nuclei._replace(images=images.clamp(0, 1))


def crowded(instance_ids: np.ndarray) -> list[int]:
    """Find the nuclei of a picture (H, W) that lie close to another one: their ids."""
    found = []
    for instance_id in range(1, instance_ids.max() + 1):
        others = (instance_ids > 0) & (instance_ids != instance_id)
        if (
            others.any()
            and distance_transform_edt(instance_ids != instance_id)[others].min() <= CONFIGURATION["crowded"]
        ):
            found.append(instance_id)
    return found


def score(mask: Tensor, true_ids: Tensor, crowds: list[list[int]]) -> dict:
    """Score a mask (N, H, W) against nuclei (N, H, W), of which those in `crowds` are crowded."""
    found_ids = torch.from_numpy(components(mask, CONFIGURATION["smallest"]))
    matched = sum(
        int(torch.isin(match_instances(true, found).true, torch.tensor(crowd)).sum())
        for true, found, crowd in zip(true_ids, found_ids, crowds)
    )
    return {
        "foreground_iou": iou(confusion_matrix((true_ids > 0).long(), mask.long(), num_classes=2))[1].item(),
        "instance_f1": instance_f1(true_ids, found_ids),
        "counts": instance_counts(true_ids, found_ids)._asdict(),
        "crowded_found": matched / sum(map(len, crowds)),
    }


def spread_scores(scores: list[dict]) -> dict:
    """Summarise what `score` gave, one dict a seed."""
    names = ("foreground_iou", "instance_f1", "crowded_found")
    return {name: spread([one[name] for one in scores]) for name in names} | {
        "counts": [one["counts"] for one in scores]
    }


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    tiles, validation, test, other = split("train"), split("validation"), split("test"), other_laboratory()
    scored = {"test": test, "other": other, "other, stretched": stretched(other, like=tiles.images)}
    crowds = {name: [crowded(ids.numpy()) for ids in nuclei.instance_ids] for name, nuclei in scored.items()}
    validation_crowds = [crowded(ids.numpy()) for ids in validation.instance_ids]

    separated = separate(tiles.instance_ids.numpy())
    foreground = torch.from_numpy(separated > 0).long()
    weights = torch.from_numpy(weight_map(separated))
    gaps_alone = weights - torch.from_numpy(weight_map(separated, w0=0)) + 1
    arms = {
        "foreground": ((tiles.instance_ids > 0).long(), None),
        "separated": (foreground, None),
        "weight map": ((foreground, weights), weighted_cross_entropy),
        "gaps alone": ((foreground, gaps_alone), weighted_cross_entropy),
    }

    def score_all(mask_of: dict[str, Tensor]) -> dict:
        return {name: score(mask_of[name], scored[name].instance_ids, crowds[name]) for name in scored}

    threshold = threshold_otsu(tiles.images.numpy())
    kept = {
        "Otsu": {
            name: torch.stack([image > threshold_otsu(image.numpy()) for image in nuclei.images[:, 0]])
            for name, nuclei in scored.items()
        },
        "Otsu, one threshold": {name: nuclei.images[:, 0] > threshold for name, nuclei in scored.items()},
    }
    figures = {
        arm: {name: spread_scores([one]) for name, one in score_all(masks).items()} for arm, masks in kept.items()
    }
    make = partial(UNet, CONFIGURATION["widths"], num_classes=2, in_channels=1)
    for arm, (targets, loss) in arms.items():
        on_validation = {}
        for rate in CONFIGURATION["learning_rates"]:
            seed = CONFIGURATION["validation_seed"]
            model, _ = train(make, (tiles.images, targets), CONFIGURATION, rate, seed, loss=loss)
            one = score(predict(model, validation.images) == 1, validation.instance_ids, validation_crowds)
            on_validation[rate] = round(one["instance_f1"], 4)
            print(f"{arm}, rate {rate}: F1 {on_validation[rate]} on validation", flush=True)
        best = max(on_validation, key=on_validation.get)

        scores, all_seconds = [], []
        for seed in CONFIGURATION["seeds"]:
            model, seconds = train(make, (tiles.images, targets), CONFIGURATION, best, seed, loss=loss)
            masks = {name: predict(model, nuclei.images) == 1 for name, nuclei in scored.items()}
            kept.setdefault(arm, masks)
            scores.append(score_all(masks))
            all_seconds.append(seconds)
            print(f"{arm}, seed {seed}, {seconds} CPU s: {scores[-1]}", flush=True)
        figures[arm] = {
            "parameters": parameters(model),
            "validation_instance_f1": on_validation,
            "learning_rate": best,
            **{name: spread_scores([one[name] for one in scores]) for name in scored},
            "cpu_seconds": all_seconds,
        }

    (top, left), size = CONFIGURATION["figure_corner"], CONFIGURATION["figure_size"]
    pictures = {}
    for arm, masks in kept.items():
        pictures[f"{arm}, test"] = masks["test"][CONFIGURATION["figure_tiles"]].numpy()
        for name in ("other", "other, stretched"):
            pictures[f"{arm}, {name}"] = masks[name][0, top : top + size, left : left + size].numpy()
    RESULTS.mkdir(exist_ok=True)
    np.savez_compressed(MASKS, **pictures)
    nuclei_counts = {
        name: {"nuclei": int(nuclei.instance_ids.amax((1, 2)).sum()), "crowded": sum(map(len, crowds[name]))}
        for name, nuclei in scored.items()
    }
    save("nuclei", CONFIGURATION, {"arms": figures, "pictures": nuclei_counts}, started)


if __name__ == "__main__":
    main()
