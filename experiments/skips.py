"""Claims C6 and C7: skip connections, left out, added and concatenated, in one U-Net on Meadow.

At equal widths a network that concatenates has more parameters. So "none" and "add" also run wider, with as many
parameters as "concat" has. All networks train for the same steps on the same scenes. Each takes the learning rate that
does best on validation scenes, chosen with a seed that is not scored; the test scenes are scored once, at the end, as a
whole and inside and outside of a band round the true boundaries.

C6 holds if "add" and "concat" beat both networks without skips in every pair of seeds, in mean IoU and in boundary
F-score; it holds in part if they do so at equal widths, against "none". (The second half of this rule was added after
the first run. Before, it knew only yes and no.) C7 holds if "concat" beats "add" on average at equal widths and at
equal parameters, by more than the spread of either over its seeds; it holds in part if it does so at equal widths
alone. What else comes out is told as it is.

For two widgets of chapter 5 the first seed's networks are kept: what they say about four test scenes as they train
(`results/skips_frames.npz`), and the weights of "concat" in half precision (`results/skips_weights.npz`).
"""

import time
from functools import partial

import numpy as np
import torch
from torch import nn

from experiments.record import RESULTS, parameters, save, score, spread, spread_scores, train
from lessons_lib.data.meadow import batch
from lessons_lib.metrics import boundary_band
from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.unet import UNet
from lessons_lib.training import predict

CONFIGURATION = {
    "threads": 1,
    "seeds": [0, 1, 2, 3, 4],
    "steps": 500,
    "batch_size": 4,
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "size": 96,
    "train_scenes": 3000,
    "validation_scenes": 200,
    "curve_scenes": 50,  # of the validation scenes, scored at the moments, for the learning curves
    "test_scenes": 200,
    "band": 2,  # px on either side of a true boundary
    "moments": [10, 25, 50, 100, 200, 300, 400, 500],  # steps after which a network is looked at
    "frame_scenes": [6, 14, 63, 74],  # of the test split, chosen by their pictures
    "widths": [16, 32, 64],
    "wider": [16, 33, 68],  # without the channels that concatenation brings, as many parameters as `widths` has with
}
narrow, wide = CONFIGURATION["widths"], CONFIGURATION["wider"]
ARMS = {
    "none": partial(UNet, narrow, skip="none"),
    "add": partial(UNet, narrow, skip="add"),
    "concat": partial(UNet, narrow, skip="concat"),
    "none, wider": partial(UNet, wide, skip="none"),
    "add, wider": partial(UNet, wide, skip="add"),
}
FRAMES = RESULTS / "skips_frames.npz"
WEIGHTS = RESULTS / "skips_weights.npz"


def verdicts(arms: dict) -> dict:
    """Judge both claims by the rules above.

    Args:
        arms: what was measured, by the arm's name.

    Returns:
        The verdict of C6 and of C7.
    """

    def helps_against(without: str) -> bool:
        return all(
            arms[joined][measure]["lowest"] > arms[without][measure]["highest"]
            for joined in ("add", "concat")
            for measure in ("mean_iou", "boundary_f_score")
        )

    def beats(other: str) -> bool:
        runs = arms["concat"]["mean_iou"], arms[other]["mean_iou"]
        spreads = [run["highest"] - run["lowest"] for run in runs]
        return runs[0]["mean"] - runs[1]["mean"] > max(spreads)

    helped = (
        ("holds" if helps_against("none, wider") else "holds in part") if helps_against("none") else "does not hold"
    )
    better = ("holds" if beats("add, wider") else "holds in part") if beats("add") else "does not hold"
    return {"C6": helped, "C7": better}


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    validation = batch("validation", CONFIGURATION["validation_scenes"], CONFIGURATION["size"])
    on_the_way = tuple(part[: CONFIGURATION["curve_scenes"]] for part in validation)
    test = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])
    band = boundary_band(test[1], CONFIGURATION["band"])
    frame_images = test[0][CONFIGURATION["frame_scenes"]]

    figures, frames = {}, {}
    for name, make in ARMS.items():
        on_validation = {}
        for rate in CONFIGURATION["learning_rates"]:
            model, _ = train(make, scenes, CONFIGURATION, rate, CONFIGURATION["validation_seed"])
            on_validation[rate] = round(score(model, *validation)["mean_iou"], 4)
            print(f"{name}, rate {rate}: {on_validation[rate]} on validation", flush=True)
        best = max(on_validation, key=on_validation.get)

        scores, inside, outside, seconds, curves = [], [], [], [], []
        for seed in CONFIGURATION["seeds"]:
            curve, pictures, looking = [], [], 0.0

            def look(step: int, loss: float, model: nn.Module, curve: list = curve, pictures: list = pictures) -> None:
                nonlocal looking
                if step + 1 in CONFIGURATION["moments"]:
                    before = time.process_time()
                    curve.append(round(score(model, *on_the_way)["mean_iou"], 4))
                    pictures.append(predict(model, frame_images).byte().numpy())
                    looking += time.process_time() - before

            model, taken = train(make, scenes, CONFIGURATION, best, seed, look)
            wrong = predict(model, test[0]) != test[1]
            scores.append(score(model, *test))
            inside.append(wrong[band].double().mean().item())
            outside.append(wrong[~band].double().mean().item())
            seconds.append(round(taken - looking, 1))
            curves.append(curve)
            print(f"{name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {seconds[-1]} CPU s", flush=True)
            if seed == CONFIGURATION["seeds"][0] and name in ("none", "add", "concat"):
                frames[name] = np.stack(pictures)  # (moments, scenes, size, size)
                if name == "concat":
                    weights = {
                        key: value.half().numpy() if value.is_floating_point() else value.numpy()
                        for key, value in model.state_dict().items()
                    }
        figures[name] = {
            "parameters": parameters(model),
            "multiplications": multiplications_of(model, CONFIGURATION["size"]),
            "validation_mean_iou": on_validation,
            "learning_rate": best,
            **spread_scores(scores),
            "error_in_band": spread(inside),
            "error_outside": spread(outside),
            "validation_curves": curves,
            "cpu_seconds": seconds,
        }

    RESULTS.mkdir(exist_ok=True)
    np.savez_compressed(FRAMES, **frames)
    np.savez_compressed(WEIGHTS, **{f"concat.{key}": value for key, value in weights.items()})
    band_share = band.double().mean().item()
    figures = {"arms": figures, "band_share": round(band_share, 4), "verdicts": verdicts(figures)}
    save("skips", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
