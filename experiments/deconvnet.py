"""What holds DeconvNet back on Meadow? Three times the steps, and one level fewer, beside the network of `fcn`.

With one level fewer, twice as fine a map passes through the middle. All take the learning rate that `fcn` chose for
DeconvNet with unpooling and its other settings. They are scored on training scenes, which show whether the network has
learned them by heart, and on validation scenes; no test scene is seen.
"""

import time
from functools import partial

import torch

from experiments.fcn import CONFIGURATION as FCN
from experiments.record import class_shares, parameters, save, score, spread, train
from lessons_lib.data.meadow import batch
from lessons_lib.models.deconvnet import DeconvNet
from lessons_lib.notebook import results

CONFIGURATION = {key: FCN[key] for key in ("threads", "seeds", "steps", "batch_size", "size", "train_scenes")} | {
    "scored_scenes": 200,  # the first ones of each split
}
ARMS = {  # network, times the steps
    "as it is": (DeconvNet, 1),
    "three times the steps": (DeconvNet, 3),
    "one level fewer": (partial(DeconvNet, widths=(16, 32, 64)), 1),
}


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    count = CONFIGURATION["scored_scenes"]
    validation = batch("validation", count, CONFIGURATION["size"])
    splits = {"train": (scenes[0][:count], scenes[1][:count]), "validation": validation}
    learning_rate = results("fcn")["figures"]["arms"]["DeconvNet, unpooling"]["learning_rate"]
    arms = {}
    for name, (make, times) in ARMS.items():
        steps = times * CONFIGURATION["steps"]
        scores, seconds = {split: [] for split in splits}, []
        for seed in CONFIGURATION["seeds"]:
            model, taken = train(make, scenes, CONFIGURATION | {"steps": steps}, learning_rate, seed)
            seconds.append(taken)
            for split, scored in splits.items():
                scores[split].append(score(model, *scored))
            print(
                f"{name}, seed {seed}: {scores['validation'][-1]['mean_iou']:.3f} on validation, {taken} s", flush=True
            )
        arms[name] = {
            "parameters": parameters(model),
            "steps": steps,
            "cpu_seconds": seconds,
            **{
                split: {key: spread([one[key] for one in scores[split]]) for key in ("mean_iou", "boundary_f_score")}
                for split in splits
            },
        }
    figures = {"learning_rate": learning_rate, "arms": arms, "class_shares": class_shares(validation[1])}
    save("deconvnet", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
