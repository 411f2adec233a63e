"""Training, prediction and evaluation of any model from images to logits; draws nothing."""

import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil, cos, pi
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lessons_lib.metrics import confusion_matrix


class History(NamedTuple):
    """What `fit` saw.

    Attributes:
        loss: one value a step, each before the step's update.
        seconds: wall-clock time of all steps in s, callbacks and the time before a resume included.
    """

    loss: list[float]
    seconds: float


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch: call it before a model draws its weights.

    Args:
        seed: from 0 to 2**32 - 1.

    Example:
        >>> seed_everything(0)
        >>> first = torch.rand(3)
        >>> seed_everything(0)
        >>> torch.equal(first, torch.rand(3))
        True
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def best_device() -> torch.device:
    """Choose the fastest kind of device that is here: CUDA, then MPS, then the CPU.

    Returns:
        The device.

    Example:
        >>> best_device().type in ("cuda", "mps", "cpu")
        True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def fit(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | tuple[Tensor, ...],
    *,
    steps: int,
    batch_size: int = 8,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
    ignore_index: int = 255,
    loss: Callable[..., Tensor] | None = None,
    device: torch.device | str | None = None,
    callback: Callable[[int, float, nn.Module], None] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
) -> History:
    """Train a model in place with AdamW; the learning rate warms up, then falls to 0 along a cosine.

    The network sees the images as they are: nothing is augmented. The batches' order and dropout depend on
    `seed` and the step alone: whatever the callback draws changes nothing, and torch's global generators end
    as they were (MPS's excepted). CUDA trains in bfloat16 autocast.

    A run that was killed goes on from its checkpoint, weights included, when `fit` is called again with the
    same arguments, and on the CPU ends bit for bit as if it had never stopped; one that had ended returns at
    once.

    Args:
        model: from images to logits (B, K, H, W), or to whatever `loss` takes; it stays on `device`, each
            module in the mode (training or eval) it was in.
        images: float (B, C, H, W).
        targets: class_ids, int64 (B, H, W); or a tuple of what `loss` takes, each tensor with one entry an image.
        steps: number of updates, at least 1.
        batch_size: images a step, at most all of them.
        learning_rate: the highest rate, reached at the end of the warm-up (the first tenth of the steps).
        weight_decay: AdamW's, for every parameter.
        seed: of the batches' order and of dropout; the model's first weights are the caller's to seed.
        ignore_index: class_id of void pixels, which the default loss leaves out.
        loss: called as loss(the model's output, *targets) for a batch, gives a scalar; None is the mean
            cross-entropy of the pixels that are not void, 0 for a batch without any.
        device: None is `best_device()`.
        callback: called after each step as callback(step, loss, model), steps counted from 0.
        checkpoint: file that holds the run's state; None keeps none.
        checkpoint_every: steps between two writes; the end of the run is written too.

    Returns:
        Loss of each step and the time it all took.

    Raises:
        ValueError: if a shape, type or setting is wrong, or the checkpoint is of a call with other arguments.

    Example:
        >>> seed_everything(0)
        >>> images = torch.rand(4, 3, 8, 8)
        >>> class_ids = (images[:, 0] > 0.5).long()
        >>> history = fit(nn.Conv2d(3, 2, kernel_size=1), images, class_ids, steps=60, device="cpu")
        >>> len(history.loss), history.loss[-1] < history.loss[0]
        (60, True)
    """
    _check(steps >= 1, "steps must be at least 1", steps, "train for 1 or more")
    _check(checkpoint_every >= 1, "checkpoint_every must be at least 1", checkpoint_every, "use 1 or more")
    _check_images(images, batch_size)
    targets = (targets,) if isinstance(targets, Tensor) else targets
    for target in targets:
        _check(
            len(target) == len(images),
            "every target must have one entry for each image",
            f"{tuple(target.shape)} for images {tuple(images.shape)}",
            "cut images and targets alike",
        )
    start = time.perf_counter()
    device = best_device() if device is None else torch.device(device)
    run = {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "seed": seed,
        "ignore_index": ignore_index,
        "loss": "cross-entropy" if loss is None else getattr(loss, "__qualname__", type(loss).__qualname__),
        "device": device.type,
        "model": _structure(model),
        "images": _fingerprint(images),
        "targets": "; ".join(map(_fingerprint, targets)),
    }
    if loss is None:
        loss = _default_loss(images, targets, ignore_index)

    layout = _memory_format(model, device)
    model.to(device, memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    images = images.to(device, next(model.parameters()).dtype, memory_format=layout)
    targets = tuple(target.to(device) for target in targets)
    batches, seeds = _plan(len(images), min(batch_size, len(images)), steps, seed)
    batches = batches.to(device)
    losses, done = torch.zeros(steps, device=device), 0
    if checkpoint is not None and Path(checkpoint).exists():
        state = _load(Path(checkpoint), run)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done, start = state["done"], start - state["seconds"]
        losses[:done] = state["losses"][:done].to(device)

    forked = [device] if device.type == "cuda" else []
    with _modes_restored(model), torch.random.fork_rng(forked):
        for step in range(done, steps):
            model.train()
            torch.manual_seed(seeds[step])
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _rate(step, steps)
            batch = batches[step]
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                batch_loss = loss(model(images[batch]), *(target[batch] for target in targets))
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            losses[step] = batch_loss.detach()
            done = step + 1
            if checkpoint is not None and (done % checkpoint_every == 0 or done == steps):
                seconds = time.perf_counter() - start
                state = {"run": run, "done": done, "losses": losses, "seconds": seconds}
                _save(
                    Path(checkpoint),
                    state | {"model": model.state_dict(), "optimizer": optimizer.state_dict()},
                )
            if callback is not None:
                callback(step, losses[step].item(), model)
    return History(losses.tolist(), time.perf_counter() - start)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 16) -> Tensor:
    """Predict the class of each pixel in eval mode, on the model's device.

    Args:
        model: from images to logits (B, K, H, W); each module keeps the mode it was in.
        images: float (B, C, H, W).
        batch_size: images at a time.

    Returns:
        class_ids, int64 (B, H, W), on the CPU.

    Raises:
        ValueError: if `images` is not float (B, C, H, W), or `batch_size` is smaller than 1.

    Example:
        >>> predict(nn.Conv2d(3, 7, kernel_size=1), torch.rand(2, 3, 8, 9)).shape
        torch.Size([2, 8, 9])
    """
    _check_images(images, batch_size)
    weight = next(model.parameters(), images)
    with _modes_restored(model):
        model.eval()
        return torch.cat([model(batch.to(weight)).argmax(1).cpu() for batch in images.split(batch_size)])


def evaluate(model: nn.Module, images: Tensor, class_ids: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Confusion matrix of a model's predictions on a data set.

    Args:
        model: from images to logits (B, K, H, W).
        images: float (B, C, H, W).
        class_ids: int64 (B, H, W).
        num_classes: number of classes K.
        ignore_index: class_id of void pixels, which are not counted.

    Returns:
        int64 (K, K) in px, rows = true class, on the CPU.

    Example:
        >>> images, class_ids = torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64)
        >>> evaluate(nn.Conv2d(3, 2, kernel_size=1), images, class_ids, num_classes=2).sum()
        tensor(128)
    """
    return confusion_matrix(class_ids.cpu(), predict(model, images), num_classes, ignore_index)


def _default_loss(images: Tensor, targets: tuple[Tensor, ...], ignore_index: int) -> Callable[[Tensor, Tensor], Tensor]:
    form = images.shape[:1] + images.shape[2:], torch.int64
    _check(
        [(target.shape, target.dtype) for target in targets] == [form],
        "without a loss of your own, targets must be class_ids: int64 (B, H, W), one for each pixel of images",
        f"{', '.join(f'{target.dtype} {tuple(target.shape)}' for target in targets)} for images {tuple(images.shape)}",
        "bring class_ids to the images' size and call .long(), or pass a loss",
    )
    (class_ids,) = targets
    lowest, highest = class_ids.where(class_ids != ignore_index, 0).aminmax()
    return partial(_cross_entropy, ignore_index=ignore_index, lowest=lowest.item(), highest=highest.item())


def _cross_entropy(logits: Tensor, class_ids: Tensor, ignore_index: int, lowest: int, highest: int) -> Tensor:
    _check(
        logits.shape[:1] + logits.shape[2:] == class_ids.shape,
        "the model must return logits (B, K, H, W) at the size of its images",
        f"{tuple(logits.shape)} for class_ids {tuple(class_ids.shape)}",
        "resize the logits in forward",
    )
    _check(
        lowest >= 0 and highest < logits.shape[1],
        "the model must have a logit for each class",
        f"class_ids {lowest} .. {highest} for {logits.shape[1]} logits",
        f"correct num_classes, or mark void pixels with {ignore_index}",
    )
    total = functional.cross_entropy(logits, class_ids, ignore_index=ignore_index, reduction="sum")
    return total / (class_ids != ignore_index).sum().clamp(min=1)


def _plan(count: int, batch_size: int, steps: int, seed: int) -> tuple[Tensor, list[int]]:
    """Image indices (steps, batch_size), shuffled for each pass over the images, and a seed for each step."""
    generator = torch.Generator().manual_seed(seed)
    passes = ceil(steps * batch_size / count)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
    seeds = torch.randint(2**62, (steps,), generator=generator).tolist()
    return order[: steps * batch_size].reshape(steps, batch_size), seeds


def _rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: up a line in the first tenth of the steps, then down a cosine."""
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    return (1 + cos(pi * (step + 1 - warm_up) / (steps + 1 - warm_up))) / 2


def _memory_format(model: nn.Module, device: torch.device) -> torch.memory_format:
    """channels_last, the faster one on CUDA and the CPU, unless the model would crash in it."""
    for module in model.modules():
        # torch 2.13's CPU kernel for the backward of such a convolution writes out of bounds in channels_last
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) != module.stride and module.in_channels < 16:
            return torch.contiguous_format
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    """Give each module its mode (training or eval) back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _structure(model: nn.Module) -> str:
    """Name of the model and a checksum of all its modules with their settings, the weights aside."""
    parts = [
        (name, type(module).__name__, key, value)
        for name, module in model.named_modules()
        for key, value in {"": None, **vars(module)}.items()
        if isinstance(value, int | float | str | tuple | None) and key != "training" and key[:1] != "_"
    ]
    return f"{type(model).__name__} with checksum {zlib.crc32(repr(parts).encode()):08x}"


def _fingerprint(tensor: Tensor) -> str:
    data = tensor.detach().cpu().contiguous().view(torch.uint8).numpy()
    return f"{tuple(tensor.shape)} with checksum {zlib.crc32(data):08x}"


def _save(path: Path, state: dict) -> None:
    """Write in one move: a run killed meanwhile leaves the file as it was."""
    partial_path = path.with_name(path.name + ".partial")
    torch.save(state, partial_path)
    os.replace(partial_path, path)


def _load(path: Path, run: dict) -> dict:
    state = torch.load(path, map_location="cpu", weights_only=True)
    found = state["run"]
    differences = [f"{name} was {found[name]} and is {run[name]}" for name in run if found[name] != run[name]]
    _check(
        not differences,
        f"checkpoint {path} must come from a call with the same arguments",
        "; ".join(differences),
        "pass the same arguments, or another checkpoint path",
    )
    return state


def _check_images(images: Tensor, batch_size: int) -> None:
    _check(batch_size >= 1, "batch_size must be at least 1", batch_size, "use 1 or more")
    _check(
        images.ndim == 4 and len(images) > 0 and images.is_floating_point(),
        "images must be float (B, C, H, W) with B at least 1",
        f"{images.dtype} {tuple(images.shape)}",
        "stack images, channels first, with values in [0, 1]",
    )


def _check(holds: bool, rule: str, value: object, remedy: str) -> None:
    if not holds:
        raise ValueError(f"{rule}; got {value}; {remedy}")
