"""Losses beside plain cross-entropy: Dice, its sum with cross-entropy, and pixels that weigh more than others."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor


def dice_loss(logits: Tensor, class_ids: Tensor, ignore_index: int = 255) -> Tensor:
    """One minus the mean over the classes of their soft Dice: overlap counts, not the number of pixels.

    A class's soft Dice is 2 sum(p t) / (sum(p) + sum(t)) over all pixels of the batch, p its probability, t 1 where it
    is true. So a class of a few pixels weighs as much as one of many.

    Void: pixels whose true class is `ignore_index` count nowhere.
    Empty classes: a class with no true pixel in the batch is left out of the mean. Its Dice would be 0 for every
    probability above 0, whether near to 0 or not: no direction to learn from. Who predicts it still pays, for the
    probability lacks in the class that is true there. A batch of void alone has loss 0.

    Args:
        logits: (B, K, H, W).
        class_ids: int64 (B, H, W).
        ignore_index: class_id of void pixels.

    Returns:
        Scalar in [0, 1].

    Source:
        Milletari, Navab and Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
        Segmentation", 3DV 2016; here without their squares, and over K classes.

    Example:
        >>> class_ids = torch.tensor([[[0, 0, 0, 1]]])
        >>> sure = 20 * F.one_hot(class_ids, 3).movedim(-1, 1).float()
        >>> dice_loss(sure, class_ids).item() < 1e-6  # class 2 is empty
        True
        >>> blind = torch.zeros(1, 2, 1, 4)  # p = 1/2: Dice 3 / 5 and 1 / 3
        >>> round(dice_loss(blind, class_ids).item(), 4)
        0.5333
    """
    valid = (class_ids != ignore_index).unsqueeze(1)  # (B, 1, H, W)
    probabilities = logits.float().softmax(1) * valid  # (B, K, H, W)
    truth = F.one_hot(class_ids.where(valid[:, 0], 0), logits.shape[1]).movedim(-1, 1) * valid  # (B, K, H, W)
    overlap = (probabilities * truth).sum((0, 2, 3))  # (K,)
    true_area = truth.sum((0, 2, 3))  # (K,)
    area = (probabilities.sum((0, 2, 3)) + true_area).clamp(min=1)  # (K,), below 1 only if there is no true pixel
    present = true_area > 0
    return ((1 - 2 * overlap / area) * present).sum() / present.sum().clamp(min=1)


def cross_entropy_and_dice(logits: Tensor, class_ids: Tensor, ignore_index: int = 255) -> Tensor:
    """Sum of the mean cross-entropy and `dice_loss`: every pixel counts, and so does every class.

    Void and empty classes: as in `dice_loss`; a batch of void alone has loss 0.

    Args:
        logits: (B, K, H, W).
        class_ids: int64 (B, H, W).
        ignore_index: class_id of void pixels.

    Returns:
        Scalar, at least 0.

    Source:
        Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
        Nature Methods 2021, which trains with this sum.

    Example:
        >>> class_ids = torch.tensor([[[0, 0, 0, 1]]])
        >>> round(cross_entropy_and_dice(torch.zeros(1, 2, 1, 4), class_ids).item(), 4)  # ln 2 + 0.5333
        1.2265
    """
    everywhere = torch.ones_like(class_ids, dtype=torch.float32)
    return weighted_cross_entropy(logits, class_ids, everywhere, ignore_index) + dice_loss(
        logits, class_ids, ignore_index
    )


def weighted_cross_entropy(logits: Tensor, class_ids: Tensor, weights: Tensor, ignore_index: int = 255) -> Tensor:
    """Mean cross-entropy in which a pixel of weight 2 counts like two pixels.

    Void: pixels whose true class is `ignore_index` count nowhere, whatever they weigh. A batch in which nothing weighs
    has loss 0.

    Args:
        logits: (B, K, H, W).
        class_ids: int64 (B, H, W).
        weights: of the pixels, at least 0, float (B, H, W).
        ignore_index: class_id of void pixels.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: if weights and class_ids differ in shape.

    Source:
        Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, equation 1; here divided by the weights' sum, so that
        weights which are all twice as large change nothing.

    Example:
        >>> logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])  # (1, 2, 1, 2)
        >>> class_ids = torch.tensor([[[0, 1]]])  # losses 0.1269 and 0.6931
        >>> weights = torch.tensor([[[1.0, 3.0]]])
        >>> round(weighted_cross_entropy(logits, class_ids, weights).item(), 4)
        0.5516
    """
    if weights.shape != class_ids.shape:
        raise ValueError(
            f"each pixel has one weight; got weights {tuple(weights.shape)} for class_ids {tuple(class_ids.shape)}; "
            f"cut and stack both alike"
        )
    weights = weights * (class_ids != ignore_index)
    losses = F.cross_entropy(logits.float(), class_ids, ignore_index=ignore_index, reduction="none")  # (B, H, W)
    return (weights * losses).sum() / weights.sum().clamp(min=torch.finfo(torch.float32).tiny)


def weight_map(instance_ids: np.ndarray, w0: float = 10, sigma: float = 5) -> np.ndarray:
    """Weigh pixels as U-Net's paper does: rare class up, and up the narrow gaps between two instances.

    The weight is w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)). w_c gives instances and background the same weight in all
    maps together, and is 1 on average; if one of the two is absent, w_c is 1. d1 and d2 are a pixel's distances to the
    nearest pixel of the nearest instance and of the second nearest. The paper leaves open what holds inside of an
    instance; here the second term is the background's alone. It is 0 in a map with fewer than two instances.

    Args:
        instance_ids: (H, W), or with axes before these: one map each. Integers, 0 = background; instances that touch
            have no gap to weigh: part them with `labels.separate` first.
        w0: largest weight that a gap adds.
        sigma: how fast this falls with the gap's width, in px, above 0.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: if `sigma` is not above 0.

    Source:
        Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, equation 2.

    Example:
        >>> weights = weight_map(np.array([[1, 0, 2, 0, 0, 0]]), w0=10, sigma=5)
        >>> [round(weight, 2) for weight in weights[0].tolist()]
        [1.5, 9.98, 1.5, 8.01, 5.62, 3.53]
    """
    if sigma <= 0:
        raise ValueError(f"sigma is a width in px, above 0; got {sigma}; the paper takes 5")
    instance_ids = np.asarray(instance_ids)
    background = instance_ids == 0
    share = background.mean()
    balanced = 0 < share < 1
    weights = np.where(background, 0.5 / share, 0.5 / (1 - share)) if balanced else np.ones(instance_ids.shape)
    for index in np.ndindex(instance_ids.shape[:-2]):
        gaps = w0 * np.exp(-(_way_across(instance_ids[index]) ** 2) / (2 * sigma**2))
        weights[index] += gaps * background[index]
    return weights.astype(np.float32)


def _way_across(instance_ids: np.ndarray) -> np.ndarray:
    """Distance to the nearest instance plus that to the second nearest, px, (H, W); inf where there is no second."""
    nearest = second = np.full(instance_ids.shape, np.inf)
    for instance_id in np.unique(instance_ids[instance_ids > 0]):
        distance = distance_transform_edt(instance_ids != instance_id)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return nearest + second
