"""Pinheiro and Collobert's network: it labels the scene, then looks again at the scene and its own labels."""

import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.blocks import WindowEncoder, standardize


class Recurrent(nn.Module):
    """Applies one network several times, each time to the image and its own last predictions.

    Each instance sees window - 1 px further than the one before, with the same weights, and can correct it.
    Simplified against the paper: no pooling, so the image is not rescaled between instances; ReLU for tanh;
    the predictions are fed back as probabilities. As there, the first instance is fed zeros, and training
    adds the losses of all instances (`Unrolled`).

    Args:
        instances: times that the network is applied; 1 is the network without recurrence.
        num_classes: K.
        width: channels of every hidden layer.
        window: side in px of what one instance sees: 1, 3, 5, 9, 17, 33 or 65.

    Raises:
        ValueError: if there is no instance or no such window.

    Source:
        Pinheiro and Collobert, "Recurrent Convolutional Neural Networks for Scene Labeling", ICML 2014.

    Example:
        >>> model = Recurrent(instances=3)
        >>> tuple(model(torch.zeros(2, 3, 24, 31)).shape), len(model.all_logits(torch.zeros(2, 3, 24, 31)))
        ((2, 7, 24, 31), 3)
    """

    def __init__(self, instances: int = 2, num_classes: int = 7, width: int = 32, window: int = 17):
        super().__init__()
        if instances < 1:
            raise ValueError(f"instances must be at least 1; got {instances}; use 1 for a single look")
        self.instances = instances
        self.num_classes = num_classes
        self.encoder = WindowEncoder(window, in_channels=3 + num_classes, width=width)
        self.head = nn.Conv2d(width, num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W) of the last instance.
        """
        return self.all_logits(images)[-1]

    def all_logits(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Classify every pixel and keep what each instance said.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W), one tensor an instance.
        """
        batch, _, height, width = images.shape
        predictions = images.new_zeros(batch, self.num_classes, height, width)  # (B, K, H, W)
        every_logits = []
        for _ in range(self.instances):
            seen = torch.cat([standardize(images), predictions], dim=1)  # (B, 3 + K, H, W)
            logits = self.head(self.encoder(seen))  # (B, K, H, W)
            predictions = logits.softmax(dim=1)
            every_logits.append(logits)
        return every_logits


class Unrolled(nn.Module):
    """A Recurrent network as it is trained: gives the logits of every instance, for `loss_of_all`.

    Args:
        recurrent: the network, which is trained in place.

    Example:
        >>> unrolled = Unrolled(Recurrent(instances=2))
        >>> loss = loss_of_all(unrolled(torch.zeros(1, 3, 8, 8)), torch.zeros(1, 8, 8, dtype=torch.int64))
        >>> loss.ndim
        0
    """

    def __init__(self, recurrent: Recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W), one tensor an instance.
        """
        return self.recurrent.all_logits(images)


def loss_of_all(every_logits: list[torch.Tensor], class_ids: torch.Tensor) -> torch.Tensor:
    """Add the cross-entropies of all instances, so that each learns to label the scene.

    Args:
        every_logits: one (B, K, H, W) an instance.
        class_ids: int64 (B, H, W); 255 is void and does not count.

    Returns:
        A scalar.
    """
    return sum(F.cross_entropy(logits, class_ids, ignore_index=255) for logits in every_logits)
