"""Claim C3: classification architectures shrink the map, segmentation needs an output as large as its input.

Two questions. What would it cost if a real classifier, EfficientNet-Lite0, did not shrink? And what does a shrunken map
cost a network that makes no other mistake: the best score of one class for each cell of the map? The claim holds if the
shrinking saves more than nine tenths of the multiplications and the best score at the classifier's stride is below 0.5.
"""

import time

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.record import class_shares, save
from lessons_lib import metrics
from lessons_lib.data.meadow import CLASSES, batch
from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.efficientnet import EfficientNetLite0

CONFIGURATION = {
    "strides": [1, 2, 4, 8, 16, 32],  # px
    "size": 96,
    "test_scenes": 200,
    "classifier_size": 224,
}


def commonest(class_ids: Tensor, stride: int) -> Tensor:
    """Give every px of a cell the cell's commonest class, of equal ones the first.

    Args:
        class_ids: (B, H, W), H and W multiples of the stride.
        stride: side of a cell in px.

    Returns:
        (B, H, W).
    """
    counts = F.avg_pool2d(F.one_hot(class_ids, len(CLASSES)).permute(0, 3, 1, 2).float(), stride)  # (B, K, h, w)
    return counts.argmax(dim=1).repeat_interleave(stride, dim=1).repeat_interleave(stride, dim=2)


def main() -> None:
    started = time.perf_counter()
    _, class_ids = batch("test", CONFIGURATION["test_scenes"], CONFIGURATION["size"])
    best = {}
    for stride in CONFIGURATION["strides"]:
        confusion = metrics.confusion_matrix(class_ids, commonest(class_ids, stride), len(CLASSES))
        iou = dict(zip(CLASSES, (round(value, 4) for value in metrics.iou(confusion).tolist())))
        best[stride] = {"mean_iou": round(metrics.mean_iou(confusion), 4), "iou": iou}
        print(f"stride {stride}: {best[stride]['mean_iou']}", flush=True)
    classifier = EfficientNetLite0()
    as_it_is = multiplications_of(classifier, CONFIGURATION["classifier_size"])
    for module in classifier.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.stride = (1, 1)
    at_full_size = multiplications_of(classifier, CONFIGURATION["classifier_size"])
    figures = {
        "best_possible": best,
        "multiplications": {"as it is": as_it_is, "at full size": at_full_size},
        "class_shares": class_shares(class_ids),
        "holds": at_full_size > 10 * as_it_is and best[CONFIGURATION["strides"][-1]]["mean_iou"] < 0.5,
    }
    save("shrinking", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
