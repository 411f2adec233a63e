"""Claim C1: one pixel alone cannot be classified; what does the context round it add?

Seven networks of equal depth see windows of 1 to 65 px; an eighth sees one pixel with as many parameters as the
largest. All train for the same steps on the same scenes. They train densely, on all pixels of whole images: this
equals training on all patches of those images, since their dense twins give the same logits.
"""

import time
from functools import partial

import numpy as np

from experiments.record import RESULTS, class_shares, parameters, save, score, spread_scores, train
from lessons_lib.data.meadow import batch
from lessons_lib.models.patch_classifier import PatchClassifier

CONFIGURATION = {
    "windows": [1, 3, 5, 9, 17, 33, 65],
    "width": 16,
    "control_width": 48,
    "seeds": [0, 1, 2],
    "steps": 700,
    "batch_size": 4,
    "learning_rate": 0.01,
    "size": 96,
    "train_scenes": 2000,
    "test_scenes": 200,
}
WEIGHTS = RESULTS / "context_weights.npz"  # of the first seed, by window; notebook.load_weights reads them


def main() -> None:
    started = time.perf_counter()
    scenes = batch("train", CONFIGURATION["train_scenes"], CONFIGURATION["size"])
    test_images, test_class_ids = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])
    arms = {str(window): (window, CONFIGURATION["width"]) for window in CONFIGURATION["windows"]}
    arms["1, wide"] = (1, CONFIGURATION["control_width"])

    figures, weights = {}, {}
    for name, (window, width) in arms.items():
        scores, seconds = [], []
        for seed in CONFIGURATION["seeds"]:
            make = partial(PatchClassifier, window, width=width)
            model, taken = train(make, scenes, CONFIGURATION, CONFIGURATION["learning_rate"], seed)
            seconds.append(taken)
            scores.append(score(model, test_images, test_class_ids))
            print(f"window {name}, seed {seed}: mIoU {scores[-1]['mean_iou']:.3f}, {seconds[-1]} CPU s", flush=True)
            if seed == CONFIGURATION["seeds"][0] and width == CONFIGURATION["width"]:
                for key, value in model.state_dict().items():
                    weights[f"{window}.{key}"] = value.contiguous().numpy().astype(np.float16)
        figures[name] = {
            "window": window,
            "parameters": parameters(model),
            **spread_scores(scores),
            "cpu_seconds": seconds,
        }

    shares = class_shares(test_class_ids)
    commonest = max(shares, key=shares.get)
    baseline = {  # the IoU of the commonest class is its share, that of the others 0
        "class": commonest,
        "pixel_accuracy": shares[commonest],
        "mean_iou": round(shares[commonest] / len(shares), 4),
    }
    np.savez_compressed(WEIGHTS, **weights)
    figures = {"arms": figures, "always_the_commonest_class": baseline, "class_shares": shares}
    save("context", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
