"""Idea 1 of the lecture: cut a window round every pixel, classify the window; and its dense twin."""

import torch
from torch import nn

from lessons_lib.models.blocks import WindowEncoder, pad_edges, standardize
from lessons_lib.shapes import Pair, multiplications


class PatchClassifier(nn.Module):
    """Classifies the pixel in the middle of a window, and so, window by window, every pixel of an image.

    `slide` cuts the windows and classifies each, as the idea says. `forward` is the dense twin: the same
    weights run once over the whole image and give the same logits, for no layer pads: the image is padded once.

    Args:
        window: side of the window in px: 1, 3, 5, 9, 17, 33 or 65.
        num_classes: K.
        width: channels of every hidden layer.

    Raises:
        ValueError: if the window is none of these.

    Example:
        >>> model = PatchClassifier(window=9)
        >>> tuple(model(torch.zeros(2, 3, 24, 31)).shape)
        (2, 7, 24, 31)
        >>> tuple(model.classify_patches(torch.zeros(5, 3, 9, 9)).shape)
        (5, 7)
    """

    def __init__(self, window: int, num_classes: int = 7, width: int = 32):
        super().__init__()
        self.window = window
        self.encoder = WindowEncoder(window, in_channels=3, width=width)
        self.head = nn.Conv2d(width, num_classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel in one pass.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W).
        """
        features = self.encoder(standardize(images))  # (B, width, H, W)
        return self.head(features)  # (B, K, H, W)

    def classify_patches(self, patches: torch.Tensor) -> torch.Tensor:
        """Classify the pixel in the middle of each window.

        Args:
            patches: (N, 3, window, window) in [0, 1].

        Returns:
            Logits (N, K).

        Raises:
            ValueError: if the patches have another size than the window.
        """
        if patches.shape[-2:] != (self.window, self.window):
            height, width = patches.shape[-2:]
            raise ValueError(
                f"patches must be as large as the window, {self.window} x {self.window} px; got {height} x "
                f"{width}; cut them with cut_patches(images, window={self.window})"
            )
        features = self.encoder.layers(standardize(patches))  # (N, width, 1, 1)
        return self.head(features).flatten(1)  # (N, K)

    def slide(self, images: torch.Tensor) -> torch.Tensor:
        """Classify every pixel by its own window, a row of windows at a time.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, K, H, W), those of `forward` up to rounding.
        """
        batch, _, height, width = images.shape
        patches = cut_patches(images, self.window)  # (B, H, W, 3, window, window)
        rows = [self.classify_patches(row) for image in patches for row in image]  # B H times (W, K)
        return torch.stack(rows).reshape(batch, height, width, -1).permute(0, 3, 1, 2)  # (B, K, H, W)

    def multiplications(self, size: int | Pair, window_by_window: bool = False) -> int:
        """Count the multiplications that one image costs.

        Args:
            size: height and width of the image in px; an int stands for both.
            window_by_window: True counts `slide`, False counts `forward`.

        Returns:
            Number of multiplications.

        Example:
            >>> model = PatchClassifier(window=33)
            >>> model.multiplications(96, window_by_window=True) // model.multiplications(96)
            313
        """
        if window_by_window:
            height, width = (size, size) if isinstance(size, int) else size
            return height * width * self.multiplications(1)
        head = multiplications(size, self.head.in_channels, self.head.out_channels, kernel_size=1)
        return self.encoder.multiplications(size) + head


def cut_patches(images: torch.Tensor, window: int) -> torch.Tensor:
    """Cut the window round every pixel, without copying one.

    Outside the image its outermost pixels are repeated.

    Args:
        images: (B, C, H, W).
        window: side in px, odd.

    Returns:
        A view (B, H, W, C, window, window): [b, i, j] is the window round pixel (i, j) of image b. To copy it
        whole would take window^2 times the memory of the images, so take a few windows at a time.

    Example:
        >>> patches = cut_patches(torch.arange(16.0).reshape(1, 1, 4, 4), window=3)
        >>> patches[0, 1, 1, 0].tolist()
        [[0.0, 1.0, 2.0], [4.0, 5.0, 6.0], [8.0, 9.0, 10.0]]
    """
    padded = pad_edges(images, window // 2)  # (B, C, H + window - 1, W + window - 1)
    patches = padded.unfold(2, window, 1).unfold(3, window, 1)  # (B, C, H, W, window, window)
    return patches.permute(0, 2, 3, 1, 4, 5)  # (B, H, W, C, window, window)
