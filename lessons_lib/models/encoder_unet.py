"""A U-Net whose way down is a classifier that has already learned to see."""

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import nn

from lessons_lib.models.blocks import standardize
from lessons_lib.models.unet import DecoderLevel


class EncoderUNet(nn.Module):
    """A classifier's maps as the way down, and a new decoder that concatenates them on the way up.

    The classifier has no map at the full size. There the image itself is the skip.

    Args:
        encoder: a network such as EfficientNetLite0 or ResNet: `features(images)` gives its maps, each half as large
            as the one before, `widths` their channels, and `classifying` names the parts that `features` does without.
            A copy is taken, without those parts: training the U-Net leaves the original as it is.
        widths: channels of the decoder's levels, from the full size down, one for each map of the encoder.
        num_classes: K.
        frozen: keep the encoder as it is. Its weights get no gradient, and its normalisations stay in eval mode: in
            training mode they would take each batch's statistics, and change their own, without any gradient.

    Raises:
        ValueError: if `widths` has not one value for each map.

    Source:
        Iglovikov and Shvets, "TernausNet: U-Net with VGG11 Encoder Pre-Trained on ImageNet", 2018.

    Example:
        >>> from lessons_lib.models.efficientnet import EfficientNetLite0
        >>> model = EncoderUNet(EfficientNetLite0(), frozen=True).train()
        >>> tuple(model(torch.zeros(2, 3, 40, 51)).shape)
        (2, 7, 40, 51)
        >>> model.encoder.training, model.decoder.training
        (False, True)
    """

    def __init__(
        self,
        encoder: nn.Module,
        widths: Sequence[int] = (16, 32, 48, 64, 96),
        num_classes: int = 7,
        frozen: bool = False,
    ):
        super().__init__()
        if len(widths) != len(encoder.widths):
            raise ValueError(
                f"widths must have one value for each of the encoder's {len(encoder.widths)} maps; "
                f"got {tuple(widths)}; give {len(encoder.widths)} values"
            )
        self.encoder = copy.deepcopy(encoder)
        for part in encoder.classifying:
            delattr(self.encoder, part)
        self.encoder.requires_grad_(not frozen)
        self.frozen = frozen
        *skips, deepest = (3, *encoder.widths)  # the image comes first
        upwards = widths[::-1]
        self.decoder = nn.ModuleList(
            DecoderLevel(deep, channels, "concat", skip_channels)
            for deep, channels, skip_channels in zip((deepest, *upwards), upwards, reversed(skips))
        )
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode as usual, except that a frozen encoder stays in eval mode.

        Args:
            mode: True for training, False for eval.

        Returns:
            The network itself.
        """
        super().train(mode)
        self.encoder.train(mode and not self.frozen)
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        *maps, features = self.encoder.features(images)  # (B, C, h, w), the deepest one last
        skips = [standardize(images), *maps]
        for level, shallow in zip(self.decoder, reversed(skips)):
            features = level(features, shallow)  # (B, C, h, w) of this skip
        return self.head(features)  # (B, K, H, W)
