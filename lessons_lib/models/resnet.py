"""ResNet-18 and ResNet-34, with names that fit the ImageNet weights which torchvision publishes."""

from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # of each stage; with two layers a block, the first and the last: depth
WEIGHTS = "https://download.pytorch.org/models"
FILES = {18: "resnet18-f37072fd.pth", 34: "resnet34-b627a593.pth"}  # with the start of each file's SHA-256


class ResNet(nn.Module):
    """An ImageNet classifier made of residual blocks: each adds what it has learned to what came in.

    Args:
        depth: convolutions with weights from the input to the output, the last layer counted: 18 or 34.

    Raises:
        ValueError: if the depth is another.

    Source:
        He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.

    Example:
        >>> maps = ResNet(18).eval().features(torch.zeros(1, 3, 65, 96))
        >>> [tuple(level.shape[1:]) for level in maps]
        [(64, 33, 48), (64, 17, 24), (128, 9, 12), (256, 5, 6), (512, 3, 3)]
    """

    widths = (64, 64, 128, 256, 512)  # of `features`
    classifying = ("fc",)  # the part that `features` does without

    def __init__(self, depth: int = 18):
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth must be 18 or 34; got {depth}; choose one of these")
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = map(
            _stage, BLOCKS[depth], self.widths, self.widths[1:], (1, 2, 2, 2)
        )
        self.fc = nn.Linear(512, 1000)
        # Mean and standard deviation of ImageNet's colours; not among the published weights
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify whole images.

        Args:
            images: (B, 3, H, W) in [0, 1]; the published networks were trained at 224 x 224 px.

        Returns:
            Logits (B, 1000), one for each class of ImageNet.
        """
        return self.fc(self.features(images)[-1].mean(dim=(2, 3)))  # (B, 1000)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encode images at five sizes.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            Maps with 64, 64, 128, 256, 512 channels at 1/2, 1/4, 1/8, 1/16, 1/32 of H and W, rounded up.
        """
        maps = F.relu(self.bn1(self.conv1((images - self.mean) / self.deviation)))  # (B, 64, H / 2, W / 2)
        every_size = [maps]
        maps = F.max_pool2d(maps, 3, stride=2, padding=1)  # (B, 64, H / 4, W / 4)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = stage(maps)  # (B, C, h, w)
            every_size.append(maps)
        return every_size


class _Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut round them that is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride > 1 or in_channels != channels:
            shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        shortcut = maps if self.downsample is None else self.downsample(maps)  # (B, C, h / stride, w / stride)
        change = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))  # the same shape
        return F.relu(shortcut + change)


def _stage(blocks: int, in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """Make blocks in a row; the first one alone changes the shape."""
    rest = [_Block(channels, channels, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(_Block(in_channels, channels, stride), *rest)


def load_pretrained(depth: int = 18) -> ResNet:
    """Build the network with torchvision's ImageNet weights; they are downloaded once and kept.

    Args:
        depth: 18 (45 MB to download) or 34 (83 MB).

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        ValueError: if the depth is another.
        ConnectionError: if the weights are not here yet and can't be reached.
        RuntimeError: if the file is not the published one.
    """
    model = ResNet(depth)
    url = f"{WEIGHTS}/{FILES[depth]}"
    try:
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except URLError as error:
        raise ConnectionError(
            f"the weights must be downloaded once; got {error.reason} from {url}; go online, or use EfficientNetLite0"
        ) from error
    model.load_state_dict(state)
    return model.eval()
