"""Times the book's U-Nets against segmentation_models_pytorch's and a plain one: `make bench-models`.

Every network takes one training step and one pass in turn, round after round, so that whatever else the machine does
hits all alike. A ratio is the median over the rounds of the other's time divided by ours of the same round: above 1 the
other is slower. The rounds time the machine's own limit too: the best of some convolutions and matrix products, in
multiplications a second. All networks are in channels_last, as `lessons_lib.training.fit` sets it. On the CPU one
thread computes in float32, and its own seconds count, not those in which other programs had the processor; CUDA
computes in bfloat16 autocast.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lessons_lib.models.costs import multiplications_of
from lessons_lib.models.encoder_unet import EncoderUNet
from lessons_lib.models.resnet import ResNet
from lessons_lib.models.unet import UNet

LIBRARY = Path(__file__).resolve().parents[1] / "_build" / "smp"
WIDTHS = {"cpu": (16, 32, 64), "cuda": (64, 128, 256, 512)}
IMAGES = {"cpu": (8, 3, 96, 96), "cuda": (8, 3, 512, 512)}
DECODER = (16, 32, 48, 64, 96)  # of the networks on a ResNet-18
ROUNDS, PROFILED = 15, 5
OURS = {"UNet": ("UNet", "plain", "smp.Unet"), "EncoderUNet": ("EncoderUNet", "smp.Unet resnet18")}  # and its rivals
KINDS = {  # words in the names of torch's operators
    "convolution": ("conv",),
    "normalisation": ("batch_norm",),
    "ReLU": ("relu", "threshold", "clamp"),
    "resizing": ("upsample",),
    "pooling": ("max_pool",),
    "joining": ("cat",),
}


class Plain(nn.Module):
    """A U-Net as most write it; the same layers as UNet with concatenation, so that it takes the same weights.

    Args:
        widths: channels of the encoder's levels, from the full size down.
    """

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        channels = (3, *widths, 2 * widths[-1])
        self.down = nn.ModuleList(map(plain_block, channels, channels[1:]))
        self.up = nn.ModuleList()
        for deep, shallow in zip(channels[:1:-1], channels[-2:0:-1]):
            self.up.extend([nn.Conv2d(deep, shallow, 1), plain_block(2 * shallow, shallow)])
        self.head = nn.Conv2d(widths[0], 7, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Classify every pixel.

        Args:
            x: images (B, 3, H, W), H and W multiples of 2 to the number of levels.

        Returns:
            Logits (B, 7, H, W).
        """
        skips = []
        for block in self.down[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for narrow, block in zip(self.up[::2], self.up[1::2]):
            x = narrow(F.interpolate(x, scale_factor=2, mode="bilinear"))
            x = block(torch.cat([skips.pop(), x], dim=1))
        return self.head(x)


def plain_block(i: int, o: int) -> nn.Sequential:
    """Two convolutions with normalisation and ReLU in place.

    Args:
        i: channels that come in.
        o: channels that go out.

    Returns:
        A module from (B, i, h, w) to (B, o, h, w).
    """
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
    )


class Levels(nn.Module):
    """UNet's way down as segmentation_models_pytorch wants an encoder.

    Args:
        widths: channels of the levels.
        depth: number of times that the size is halved; that of `widths`.
        output_stride: of the last map.
    """

    def __init__(self, widths: tuple[int, ...], depth: int, output_stride: int):
        super().__init__()
        self.out_channels = (3, *widths, 2 * widths[-1])
        self.output_stride = output_stride
        self.levels = nn.ModuleList(map(plain_block, self.out_channels, self.out_channels[1:]))

    def set_in_channels(self, in_channels: int, pretrained: bool) -> None:
        """Leave the 3 channels as they are; the library calls this.

        Args:
            in_channels: 3.
            pretrained: False.
        """

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images.

        Args:
            x: (B, 3, H, W).

        Returns:
            The images and the maps at 1, 1/2, 1/4 .. of their size.
        """
        maps = [x]
        for number, level in enumerate(self.levels):
            maps.append(level(F.max_pool2d(maps[-1], 2) if number else x))
        return maps


def import_library() -> ModuleType:
    """Import segmentation_models_pytorch from the folder that `make bench-models` put it into.

    The library imports torchvision for its ResNets' layers. Where torchvision's compiled operators don't fit the
    build of torch (the CPU's, say), they stay unloaded, and its import ends at the first one that has no name. So
    these get a name; nobody calls them.

    Returns:
        The library.

    Raises:
        SystemExit: if it was not installed.
    """
    if not LIBRARY.is_dir():
        sys.exit(f"segmentation_models_pytorch must lie in {LIBRARY}; run `make bench-models`, which puts it there")
    if str(LIBRARY) not in sys.path:
        sys.path.append(str(LIBRARY))  # last: all that the environment has comes from there
    try:
        import torchvision
    except RuntimeError:
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.named = operators  # they go when this object goes
    import segmentation_models_pytorch

    return segmentation_models_pytorch


def build(name: str, widths: tuple[int, ...]) -> nn.Module:
    """Make one of the networks, from 3 channels to 7 classes.

    Args:
        name: one of those in OURS.
        widths: of the U-Nets without a ResNet.

    Returns:
        The network, in training mode.
    """
    torch.manual_seed(0)
    if name == "UNet":
        return UNet(widths)
    if name == "plain":
        return Plain(widths)
    if name == "EncoderUNet":
        return EncoderUNet(ResNet(18), widths=DECODER)
    smp = import_library()
    if name == "smp.Unet resnet18":
        return smp.Unet("resnet18", encoder_weights=None, decoder_channels=DECODER[::-1], classes=7)
    smp.encoders.encoders["levels"] = {"encoder": Levels, "params": {"widths": widths}}
    depth = len(widths)
    return smp.Unet("levels", depth, encoder_weights=None, decoder_channels=widths[::-1], classes=7)


class Runner:
    """A network with all that its training step and its pass need.

    Args:
        model: from images (B, 3, H, W) to logits (B, 7, H, W).
        device: "cpu" or "cuda".
        size: (B, 3, H, W) of the images.
    """

    def __init__(self, model: nn.Module, device: str, size: tuple[int, ...]):
        self.model = model.to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.images = torch.rand(size).to(device, memory_format=torch.channels_last)
        self.class_ids = torch.randint(7, (size[0], *size[2:]), device=device)
        self.autocast = partial(torch.autocast, device, torch.bfloat16, enabled=device == "cuda")

    def train(self) -> None:
        """Take one step as `fit` does."""
        self.model.train()
        with self.autocast():
            loss = F.cross_entropy(self.model(self.images), self.class_ids)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def infer(self) -> None:
        """Predict once."""
        self.model.eval()
        with torch.inference_mode(), self.autocast():
            self.model(self.images)


def limits(device: str) -> dict[str, tuple[Callable, int]]:
    """List operations that show how fast the machine multiplies.

    Args:
        device: "cpu" or "cuda".

    Returns:
        For each name: the operation and its multiplications.
    """
    dtype, large = (torch.bfloat16, 4) if device == "cuda" else (torch.float32, 1)
    listed = {}
    for side in (512 * large, 1024 * large):
        one, other = torch.randn(2, side, side, device=device, dtype=dtype)
        listed[f"matrix product {side}"] = (partial(torch.mm, one, other), side**3)
    for channels in (64, 256):
        side = 48 * large
        maps = torch.randn(4, channels, side, side, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        kernels = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype).to(
            memory_format=torch.channels_last
        )
        listed[f"convolution {channels}"] = (
            partial(F.conv2d, maps, kernels, padding=1),
            4 * side**2 * 9 * channels**2,
        )
    return listed


def seconds(function: Callable, device: str) -> float:
    """Time one call to its end.

    Args:
        function: takes nothing.
        device: where it computes.

    Returns:
        Seconds: on the CPU those that this process computed, on CUDA those on the clock.
    """
    if device == "cpu":
        start = time.process_time()
        function()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_memory(name: str, device: str) -> float | None:
    """Measure by how much three training steps raise the peak of memory.

    Args:
        name: one of those in OURS.
        device: "cpu": of a new process; "cuda": of the device's allocator.

    Returns:
        MiB; None where the system does not tell (it is Linux that tells).
    """
    if device == "cuda":
        runner = Runner(build(name, WIDTHS[device]), device, IMAGES[device])
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            runner.train()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if not Path("/proc/self/status").exists():
        return None
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_rise, name, WIDTHS[device], IMAGES[device]).result()


def _rise(name: str, widths: tuple[int, ...], size: tuple[int, ...]) -> float:
    torch.set_num_threads(1)
    runner = Runner(build(name, widths), "cpu", size)
    before = _status("VmRSS")
    for _ in range(3):
        runner.train()
    return (_status("VmHWM") - before) / 2**10


def _status(field: str) -> int:
    """KiB of this process, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def time_by_kind(runner: Runner, device: str) -> dict[str, float]:
    """Tell where the time of one training step goes.

    Args:
        runner: warm.
        device: "cpu" or "cuda".

    Returns:
        Milliseconds for each of KINDS, for the "optimizer", and for the "rest".
    """
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        runner.train()
    own, whole = (f"{time}_{'device' if device == 'cuda' else 'cpu'}_time_total".lstrip("_") for time in ("self", ""))
    total = dict.fromkeys((*KINDS, "optimizer", "rest"), 0.0)
    for event in profile.key_averages():
        kind = next((kind for kind, words in KINDS.items() if any(word in event.key for word in words)), "rest")
        total[kind] += getattr(event, own) / 1000
        if event.key.startswith("Optimizer.step"):  # its operators have been counted as rest
            total["optimizer"] = getattr(event, whole) / 1000
    total["rest"] -= total["optimizer"]
    return total


def measure(device: str) -> None:
    """Measure all networks on one device and print the tables.

    Args:
        device: "cpu" or "cuda".
    """
    names = [name for rivals in OURS.values() for name in rivals]
    runners = {name: Runner(build(name, WIDTHS[device]), device, IMAGES[device]) for name in names}
    weights = list(runners["UNet"].model.parameters())
    with torch.no_grad():
        for mine, theirs in zip(runners["plain"].model.parameters(), weights):
            mine.copy_(theirs)
    compared = [runners[name].model.eval()(runners["UNet"].images) for name in ("UNet", "plain")]
    torch.testing.assert_close(*compared, rtol=1e-3, atol=1e-3)  # before either has learned anything
    if device == "cuda":
        model = build("UNet", WIDTHS[device])
        model.compile()
        runners["UNet, compiled"] = Runner(model, device, IMAGES[device])

    calls = {("train", name): runner.train for name, runner in runners.items()}
    calls |= {("infer", name): runner.infer for name, runner in runners.items()}
    calls |= {("limit", name): operation for name, (operation, _) in limits(device).items()}
    for call in 2 * list(calls.values()):
        seconds(call, device)  # warm
    times = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            times[key].append(seconds(call, device))
    medians = {key: statistics.median(measured) for key, measured in times.items()}
    speeds = {name: count / medians["limit", name] for name, (_, count) in limits(device).items()}
    best = max(speeds, key=speeds.get)

    where = torch.cuda.get_device_name() if device == "cuda" else "CPU, 1 thread"
    print(f"{where}, torch {torch.__version__}, images {IMAGES[device]}, widths {WIDTHS[device]}; medians of {ROUNDS}")
    print(f"limit: {best}, {speeds[best] / 1e9:.0f} G multiplications a second")
    print(f"{'':24}{'':>12}{'G mult.':>9}{'training step':^24}{'inference':^24}{'peak':>9}")
    print(f"{'network':24}{'parameters':>12}{'an image':>9}" + f"{'ms':>8}{'ratio':>8}{'limit':>8}" * 2 + f"{'MiB':>9}")
    batch, _, *size = IMAGES[device]
    for name, runner in runners.items():
        ours = next((ours for ours, rivals in OURS.items() if name in rivals), "UNet")
        parameters = sum(parameter.numel() for parameter in runner.model.parameters())
        count = multiplications_of(build(name.split(",")[0], WIDTHS[device]), tuple(size))
        row = f"{name:24}{parameters:12,}{count / 1e9:9.3f}"
        for what, passes in (("train", 3), ("infer", 1)):
            ratio = statistics.median(map(lambda a, b: a / b, times[what, name], times[what, ours]))
            used = passes * count * batch / medians[what, name] / speeds[best]
            row += f"{1000 * medians[what, name]:8.1f}{ratio:8.2f}{used:8.0%}"
        memory = peak_memory(name, device) if name in names else None
        print(row + ("        -" if memory is None else f"{memory:9.0f}"), flush=True)
    spent = {name: [] for name in names}
    for _ in range(PROFILED):
        for name in names:
            spent[name].append(time_by_kind(runners[name], device))
    print(f"\nms of a training step, by kind of operator, on the profiler's clock; medians of {PROFILED}")
    print(f"{'network':24}" + "".join(f"{kind:>14}" for kind in spent[names[0]][0]))
    for name, steps in spent.items():
        medians = (statistics.median(step[kind] for step in steps) for kind in steps[0])
        print(f"{name:24}" + "".join(f"{milliseconds:14.1f}" for milliseconds in medians))


def main() -> None:
    """Measure on the CPU, then on CUDA where there is one."""
    torch.set_num_threads(1)
    measure("cpu")
    if torch.cuda.is_available():
        print()
        measure("cuda")


if __name__ == "__main__":
    main()
