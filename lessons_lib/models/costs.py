"""What a network costs: its multiplications, and the memory that a training step keeps."""

import copy

import torch
from torch import nn

from lessons_lib.shapes import Pair


def multiplications_of(model: nn.Module, size: int | Pair) -> int:
    """Count the multiplications of all convolutions and transposed convolutions while one image passes.

    Counted as in `shapes.multiplications`: products with padding zeros count; biases, normalisations and resizing
    without weights do not. Nothing is computed and the model stays as it is: a copy without values runs.

    Args:
        model: from images (1, 3, H, W).
        size: height and width of the image in px; an int stands for both.

    Returns:
        Number of multiplications.

    Example:
        >>> multiplications_of(nn.Conv2d(3, 16, kernel_size=3, padding=1), size=96)
        3981312
        >>> multiplications_of(nn.ConvTranspose2d(3, 16, kernel_size=3, stride=2), size=96)
        3981312
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += places.numel() * layer.weight[0].numel()

    model = copy.deepcopy(model).to("meta").eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    height, width = (size, size) if isinstance(size, int) else size
    with torch.no_grad():
        model(next(model.parameters()).new_zeros(1, 3, height, width))
    return total


def level_shapes(model: nn.Module, size: int | Pair) -> list[tuple[str, tuple[int, int, int]]]:
    """List what every level of a U-Net makes of one image, in the order of the forward pass.

    Nothing is computed and the model stays as it is: a copy without values runs.

    Args:
        model: with a list `decoder` of levels, which are called with the features from below and those of the skip,
            and with a layer `head`.
        size: height and width of the image in px; an int stands for both.

    Returns:
        Pairs of a name and (C, h, w): "input", "encoder 1" (the largest) and so on, "bottleneck", the decoder with
        the encoder's numbers, "head". A skip counts as it leaves the encoder, before it is made to fit.

    Example:
        >>> from lessons_lib.models.unet import UNet
        >>> for name, shape in level_shapes(UNet(widths=(16, 32)), size=97):
        ...     print(name, shape)
        input (3, 97, 97)
        encoder 1 (16, 97, 97)
        encoder 2 (32, 49, 49)
        bottleneck (64, 25, 25)
        decoder 2 (32, 49, 49)
        decoder 1 (16, 97, 97)
        head (7, 97, 97)
    """
    model = copy.deepcopy(model).to("meta").eval()
    calls = []  # of the decoder's levels, then of the head: what goes in, what comes out
    for layer in (*model.decoder, model.head):
        layer.register_forward_hook(lambda _, inputs, output: calls.append((inputs, output)))
    height, width = (size, size) if isinstance(size, int) else size
    weight = next(model.parameters())  # of the first layer
    image = weight.new_zeros(1, weight.shape[1], height, width)
    with torch.no_grad():
        model(image)
    *ways_up, (_, logits) = calls
    named = [("input", image)]
    for number, ((_, shallow), _) in enumerate(reversed(ways_up), start=1):
        named.append((f"encoder {number}", shallow))
    named.append(("bottleneck", ways_up[0][0][0]))
    for number, (_, features) in zip(range(len(ways_up), 0, -1), ways_up):
        named.append((f"decoder {number}", features))
    named.append(("head", logits))
    return [(name, tuple(features.shape[1:])) for name, features in named]


def activation_bytes(model: nn.Module, images: torch.Tensor) -> int:
    """Measure what autograd keeps of a training step's forward pass until the backward pass needs it.

    Every tensor's memory counts once, however many operations keep it; the images count if an operation keeps
    them; weights do not. A copy of the model runs in training mode, so that the model stays as it is.

    Args:
        model: from images to logits.
        images: (B, 3, H, W), on the model's device.

    Returns:
        Bytes.

    Example:
        >>> activation_bytes(nn.Conv2d(3, 16, kernel_size=3), torch.zeros(1, 3, 8, 8))  # 3 x 8 x 8 values of 4 bytes
        768
    """
    model = copy.deepcopy(model).train()
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept = {}  # holds the memory itself, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in weights:
            kept[memory.data_ptr()] = memory
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(images.clone())  # not a view into a larger batch
    return sum(memory.nbytes() for memory in kept.values())
