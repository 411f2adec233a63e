"""The receptive field of a trained or untrained network, measured by gradients."""

import copy

import torch
from torch import Tensor, nn


def effective_receptive_field(network: nn.Module, size: int, repeats: int = 20) -> Tensor:
    """Measure how strongly the middle output pixel depends on each input pixel.

    Where the field is above 0, the output can see; how far above says how much it looks there. A stack of
    convolutions looks most at the middle and falls off like a Gaussian. The network stays as it is: a copy in eval
    mode runs, on the CPU. Images and weights of the classes are drawn from torch's global generator.

    Args:
        network: from images (1, 3, size, size) to maps (1, K, size, size).
        size: side of the images in px; larger than the receptive field shows all of it.
        repeats: random images that the result is the mean of.

    Returns:
        |d output[middle] / d input|, float (size, size), the mean over images and channels; the output is a random
        mixture of the K maps, so that no two of them cancel. The middle is pixel (size // 2, size // 2).

    Raises:
        ValueError: if `size` or `repeats` is smaller than 1.

    Source:
        Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural
        Networks", NIPS 2016.

    Example:
        >>> field = effective_receptive_field(nn.Conv2d(3, 7, kernel_size=3, padding=1), size=9)
        >>> tuple(field.shape), extent(field)
        ((9, 9), (3, 3))
    """
    for name, value in (("size", size), ("repeats", repeats)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}; use 1 or more")
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    field = torch.zeros(size, size)
    for _ in range(repeats):
        images = torch.rand(1, 3, size, size, requires_grad=True)
        with torch.enable_grad():
            outputs = network(images)[0, :, size // 2, size // 2]  # (K,)
            (outputs @ torch.randn(len(outputs))).backward()
        field += images.grad.abs().mean(dim=(0, 1)) / repeats  # (size, size)
    return field


def extent(field: Tensor) -> tuple[int, int]:
    """Sides of the smallest box that holds all that is above 0.

    Args:
        field: (H, W), not negative.

    Returns:
        Height and width in px; 0 and 0 if nothing is above 0.

    Example:
        >>> extent(torch.tensor([[0.0, 0.1, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]]))
        (1, 3)
    """
    above = [(field > 0).any(dim=axis).nonzero() for axis in (1, 0)]
    height, width = (int(places[-1] - places[0]) + 1 if len(places) else 0 for places in above)
    return height, width


def half_side(field: Tensor) -> int:
    """Side of the smallest square round a field's centre of mass that holds half of it.

    Args:
        field: (H, W), not negative, somewhere above 0.

    Returns:
        Side in px, odd.

    Example:
        >>> half_side(torch.tensor([[0.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 0.0]]))
        3
        >>> half_side(torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]))
        1
    """
    sums = field.sum(dim=1), field.sum(dim=0)  # (H,) and (W,)
    row, column = (round((line @ torch.arange(len(line)).to(line) / line.sum()).item()) for line in sums)
    for reach in range(max(field.shape)):
        square = field[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        if 2 * square.sum() >= field.sum():
            break
    return 2 * reach + 1
