"""What every experiment shares: training and scores on Meadow, the spread over seeds, the result file."""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lessons_lib import metrics
from lessons_lib.data.meadow import CLASSES
from lessons_lib.training import fit, predict, seed_everything

RESULTS = Path(__file__).parent / "results"


def train(
    make: Callable[[], nn.Module],
    scenes: tuple[Tensor, Tensor | tuple[Tensor, ...]],
    configuration: dict,
    learning_rate: float,
    seed: int,
    callback: Callable[[int, float, nn.Module], None] | None = None,
    loss: Callable[..., Tensor] | None = None,
) -> tuple[nn.Module, float]:
    """Build a network from a seed and train it on the CPU.

    Args:
        make: builds it.
        scenes: images (B, C, H, W) and class_ids (B, H, W), or what `loss` takes.
        configuration: of the experiment, with "steps" and "batch_size".
        learning_rate: the highest one.
        seed: of its first weights and of the order of the scenes.
        callback: what `fit` calls after each step.
        loss: what `fit` takes as its loss; None is the cross-entropy.

    Returns:
        The network, and the CPU seconds that the training took, the callback's included.
    """
    seed_everything(seed)
    model = make()
    before = time.process_time()
    fit(
        model,
        *scenes,
        steps=configuration["steps"],
        batch_size=configuration["batch_size"],
        learning_rate=learning_rate,
        seed=seed,
        device="cpu",
        callback=callback,
        loss=loss,
    )
    return model, round(time.process_time() - before, 1)


def score(model: nn.Module, images: Tensor, class_ids: Tensor) -> dict:
    """Score a model on images (B, 3, H, W) with class_ids (B, H, W): everything in [0, 1]."""
    predicted = predict(model, images)
    confusion = metrics.confusion_matrix(class_ids, predicted, len(CLASSES))
    return {
        "pixel_accuracy": metrics.pixel_accuracy(confusion),
        "mean_iou": metrics.mean_iou(confusion),
        "boundary_f_score": metrics.boundary_f_score(class_ids, predicted, len(CLASSES)),
        "iou": dict(zip(CLASSES, metrics.iou(confusion).tolist())),
    }


def spread(values: Sequence[float]) -> dict:
    """Summarise one value a seed."""
    return {
        "mean": round(sum(values) / len(values), 4),
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
        "values": [round(value, 4) for value in values],
    }


def spread_scores(scores: Sequence[dict]) -> dict:
    """Summarise what `score` gave, one dict a seed."""
    names = ("pixel_accuracy", "mean_iou", "boundary_f_score")
    return {name: spread([one[name] for one in scores]) for name in names} | {
        "iou": {name: spread([one["iou"][name] for one in scores]) for name in CLASSES}
    }


def class_shares(class_ids: Tensor) -> dict:
    """Share of the pixels that each class has, by name."""
    counts = torch.bincount(class_ids.flatten(), minlength=len(CLASSES))
    return {name: round(count / class_ids.numel(), 4) for name, count in zip(CLASSES, counts.tolist())}


def parameters(model: nn.Module) -> int:
    """Count the parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def save(name: str, configuration: dict, figures: dict, started: float) -> None:
    """Write `results/NAME.json` in one move: an interrupted run leaves the old file whole.

    Args:
        name: of the script, without `.py`.
        configuration: the script's constants.
        figures: what it measured.
        started: `time.perf_counter()` at the start.
    """
    content = {
        "name": name,
        "command": f"make experiment NAME={name}",
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.perf_counter() - started),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "configuration": configuration,
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    partial = RESULTS / f"{name}.json.partial"
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, RESULTS / f"{name}.json")


def _cpu() -> str:
    """Name of the processor's make, such as "AMD EPYC"."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
