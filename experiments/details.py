"""Claim C5: details and spatial information are lost during downsampling. How much comes back from each depth?

A probe tries to bring the picture back: two convolutions get the features of one depth and nothing else, and put out
for each cell the colours and the strength of the edges (Sobel) of all its px. How much of the test scenes' edges they
explain (R squared: 1 is all, 0 is what the mean explains) says what those features still hold. All probes train for
the same steps on the same quarters of scenes; what more steps would bring back is not known.

Two kinds of encoder are probed, each at 1, 1/2, 1/4 and 1/8 of the size. "made for pictures": encoder and probe learn
to bring the picture back, together. "made for segments": the encoder comes from a U-Net without skips that learned to
segment, and stays as it is. Each has a control of as many convolutions that never shrinks: its dilations spread the
weights as far as pooling would. What is lost by depth alone, or because segments don't need it, is lost there too. The
control has 16 channels in every layer, fewer than the deep layers of the other: wider would take too long. A floor
learns nothing: the picture, averaged in cells and enlarged again.

C5 holds if, with both kinds and in every seed, the edges' R squared falls with each halving of the size, by 0.1 or more
in all, and the control loses less than half of that between the same depths. It holds in part if one kind does so. The
learning rate is chosen on validation scenes at 1/8, for each kind with a seed that is not scored, and the control takes
the same one. For a figure, what comes back of two test scenes is kept (`results/details_pictures.npz`).
"""

import time
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.record import RESULTS, class_shares, save, spread, train
from lessons_lib import metrics
from lessons_lib.data.meadow import CLASSES, batch
from lessons_lib.models.blocks import pad_edges, resize
from lessons_lib.models.full_resolution import FullResolution
from lessons_lib.models.unet import UNet
from lessons_lib.training import evaluate

CONFIGURATION = {
    "threads": 1,
    "widths": [16, 32, 64, 128],  # channels at 1, 1/2, 1/4, 1/8
    "dilations": [1, 1, 2, 2, 4, 4, 8, 8],  # of the control, where the others pool
    "control_width": 16,
    "seeds": [0, 1, 2],
    "steps": 500,  # of a probe
    "batch_size": 4,
    "learning_rates": [0.003, 0.01],
    "validation_seed": 100,
    "segmentation": {"steps": 300, "batch_size": 4},  # how the encoders made for segments train
    "segmentation_rate": 0.003,
    "size": 96,
    "train_scenes": 1200,
    "validation_scenes": 50,
    "test_scenes": 100,
    "band": 2,  # px on either side of a true boundary
    "shown_scenes": [6, 74],  # of the test split, chosen by their pictures
}
KINDS = ("made for pictures", "made for segments")
PICTURES = RESULTS / "details_pictures.npz"


def edges(images: Tensor) -> Tensor:
    """Measure the strength of the edges: the length of the Sobel gradient of the mean of the colours.

    Args:
        images: (B, C, H, W).

    Returns:
        (B, 1, H, W).
    """
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gray = pad_edges(images.mean(dim=1, keepdim=True), 1)  # (B, 1, H + 2, W + 2)
    return F.conv2d(gray, torch.stack([kernel, kernel.T])[:, None]).norm(dim=1, keepdim=True)  # (B, 1, H, W)


def with_edges(images: Tensor) -> Tensor:
    """Put the edges behind the colours (B, 3, H, W): (B, 4, H, W)."""
    return torch.cat([images, edges(images)], dim=1)


def quarters(pictures: Tensor) -> Tensor:
    """Cut pictures (B, C, H, W) into quarters (4 B, C, H / 2, W / 2), those of one picture after each other."""
    height, width = (length // 2 for length in pictures.shape[-2:])
    cut = pictures.unflatten(3, (2, width)).unflatten(2, (2, height))  # (B, C, 2, H / 2, 2, W / 2)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).contiguous()


class Probe(nn.Module):
    """Colours and edges, brought back from the features of one depth alone.

    Args:
        blocks: of the encoder, from the full size down to that depth, each with a convolution first.
        shrink: pool between two blocks.
        frozen: leave the blocks as they are: no gradient, and no new statistics of the batches.
    """

    def __init__(self, blocks: Iterable[nn.Sequential], shrink: bool, frozen: bool):
        super().__init__()
        self.blocks = nn.ModuleList(blocks).requires_grad_(not frozen)
        self.shrink, self.frozen = shrink, frozen
        channels = self.blocks[-1][0].out_channels
        stride = 2 ** (len(self.blocks) - 1) if shrink else 1
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 4 * stride**2, 1),  # (B, 4 stride^2, h, w): all px of each cell
            nn.PixelShuffle(stride),
        )
        self.train()  # which leaves frozen blocks in evaluation mode

    def train(self, mode: bool = True) -> "Probe":
        """Set training or evaluation mode; frozen blocks stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.blocks.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Bring images (B, 3, H, W) back: colours and edges (B, 4, H, W), in standard deviations from the mean."""
        features = images
        for index, block in enumerate(self.blocks):
            if index and self.shrink:
                features = F.max_pool2d(features, 2)  # (B, C, h / 2, w / 2)
            features = block(features)  # (B, C, h, w)
        return self.decoder(features)


def blocks_of(network: UNet | FullResolution) -> list[nn.Sequential]:
    """Take a network's encoder apart into its pairs of convolutions."""
    if isinstance(network, UNet):
        return [*network.encoder, network.bottleneck]
    return [network.encoder[start : start + 6] for start in range(0, len(network.encoder), 6)]


def encoder_network(shrink: bool) -> UNet | FullResolution:
    """Build the network whose encoder is probed, or the control that never shrinks."""
    if shrink:
        return UNet(CONFIGURATION["widths"][:-1], skip="none")
    dilations = CONFIGURATION["dilations"]
    return FullResolution(len(dilations), CONFIGURATION["control_width"], dilations)


@torch.no_grad()
def bring_back(model: nn.Module, images: Tensor) -> Tensor:
    """Run a probe on images (B, 3, H, W): (B, 4, H, W)."""
    model.eval()
    return torch.cat([model(part) for part in images.split(10)])


def shrunken(images: Tensor, stride: int) -> Tensor:
    """Average images (B, 3, H, W) in cells of `stride` px, enlarge them, add their edges: (B, 4, H, W)."""
    return with_edges(resize(F.avg_pool2d(images, stride), images.shape[-2:]))


def explained(true: Tensor, brought_back: Tensor) -> float:
    """Share of the variance of all px that is brought back (R squared); below 0 is worse than the mean."""
    return 1 - float((true - brought_back).square().mean() / true.var(correction=0))


def compare(images: Tensor, brought_back: Tensor, band: Tensor) -> dict:
    """Compare colours and edges (B, 4, H, W) with the images'; the band (B, H, W) lies round true boundaries."""
    errors = (images - brought_back[:, :3]).square().mean(dim=1)  # (B, H, W)
    decibels = {"psnr": errors, "psnr_in_band": errors[band], "psnr_outside": errors[~band]}
    return {"edges_explained": explained(edges(images), brought_back[:, 3:])} | {
        name: -10 * float(torch.log10(part.mean())) for name, part in decibels.items()
    }


def verdict(kinds: dict, controls: dict) -> dict:
    """Judge the claim.

    Args:
        kinds: {kind: {stride: {"edges_explained": spread}}}, strides from 1 px up.
        controls: the same for the controls, by the stride that another network would have there.

    Returns:
        What each kind and its control lose, one value a seed; whether the claim holds for it; the verdict.
    """
    judged = {}
    for kind in kinds:
        falls = list(zip(*(kinds[kind][stride]["edges_explained"]["values"] for stride in kinds[kind])))
        ends = list(zip(*(controls[kind][stride]["edges_explained"]["values"] for stride in controls[kind])))
        lost = [seed[0] - seed[-1] for seed in falls]
        control = [seed[0] - seed[-1] for seed in ends]
        judged[kind] = {
            "lost": spread(lost),
            "control_lost": spread(control),
            "holds": all(
                whole >= 0.1 and beside < whole / 2 and all(before > after for before, after in pairwise(seed))
                for seed, whole, beside in zip(falls, lost, control)
            ),
        }
    holding = [one["holds"] for one in judged.values()]
    words = "holds" if all(holding) else "holds in part" if any(holding) else "does not hold"
    return {"judged": judged, "verdict": words}


def main() -> None:
    started = time.perf_counter()
    torch.set_num_threads(CONFIGURATION["threads"])
    size, strides = CONFIGURATION["size"], [2**depth for depth in range(len(CONFIGURATION["widths"]))]
    scenes = batch("train", CONFIGURATION["train_scenes"], size)
    validation = batch("validation", CONFIGURATION["validation_scenes"], size)
    test = batch("test", CONFIGURATION["test_scenes"], size)
    band = metrics.boundary_band(test[1], CONFIGURATION["band"])
    pictures = with_edges(scenes[0])
    deviation, mean = torch.std_mean(pictures, dim=(0, 2, 3), keepdim=True)  # (1, 4, 1, 1)
    images, targets = quarters(scenes[0]), quarters((pictures - mean) / deviation)  # colours and edges weigh alike
    segmenters = {}

    def segmenter(shrink: bool, seed: int) -> nn.Module:
        """Train the network of a seed once; its encoder is then probed at every depth."""
        if (shrink, seed) not in segmenters:
            recipe, speed = CONFIGURATION["segmentation"], CONFIGURATION["segmentation_rate"]
            segmenters[shrink, seed], _ = train(lambda: encoder_network(shrink), scenes, recipe, speed, seed)
        return segmenters[shrink, seed]

    def probe(kind: str, shrink: bool, stride: int, seed: int, speed: float) -> tuple[Tensor, float]:
        """Train a probe: what it brings back of the test scenes, or for the validation seed of the validation ones."""
        frozen = kind == "made for segments"
        network = segmenter(shrink, seed) if frozen else None

        def make() -> Probe:
            return Probe(blocks_of(network or encoder_network(shrink))[: strides.index(stride) + 1], shrink, frozen)

        model, seconds = train(make, (images, targets), CONFIGURATION, speed, seed, loss=F.mse_loss)
        looked_at = validation if seed == CONFIGURATION["validation_seed"] else test
        return bring_back(model, looked_at[0]) * deviation + mean, seconds

    figures = {"floor": {}, "kinds": {}, "controls": {}, "learning_rate": {}, "validation_edges_explained": {}}
    for stride in strides[1:]:
        one = compare(test[0], shrunken(test[0], stride), band)
        figures["floor"][stride] = {name: round(value, 4) for name, value in one.items()}

    kept = {}
    for kind in KINDS:
        tried = {}
        for speed in CONFIGURATION["learning_rates"]:
            back, _ = probe(kind, True, strides[-1], CONFIGURATION["validation_seed"], speed)
            tried[speed] = round(explained(edges(validation[0]), back[:, 3:]), 4)
            print(f"{kind}, rate {speed}: {tried[speed]} on validation", flush=True)
        best = max(tried, key=tried.get)
        figures["learning_rate"][kind], figures["validation_edges_explained"][kind] = best, tried
        for group, shrink, places in (("kinds", True, strides), ("controls", False, [1, strides[-1]])):
            figures[group][kind] = {}
            for stride in places:
                rows = []
                for seed in CONFIGURATION["seeds"]:
                    back, seconds = probe(kind, shrink, stride, seed, best)
                    rows.append(compare(test[0], back, band) | {"cpu_seconds": seconds})
                    print(
                        f"{kind}, {group}, {stride}, seed {seed}: {rows[-1]['edges_explained']:.3f}, {seconds} s",
                        flush=True,
                    )
                    if seed == CONFIGURATION["seeds"][0] and (shrink or stride > 1):
                        shown = back[CONFIGURATION["shown_scenes"]] / torch.tensor([1, 1, 1, 4.0])[:, None, None]
                        shades = (255 * shown.clamp(0, 1)).round().byte().numpy()
                        kept[f"{kind}, {group}, {stride}"] = shades // 4 * 4  # 64 shades, for a small file
                figures[group][kind][stride] = {name: spread([row[name] for row in rows]) for name in rows[0]}

    figures["segmentation_mean_iou"] = {
        group: spread(
            [
                metrics.mean_iou(evaluate(segmenter(shrink, seed), *test, len(CLASSES)))
                for seed in CONFIGURATION["seeds"]
            ]
        )
        for group, shrink in (("kinds", True), ("controls", False))
    }
    figures |= verdict(figures["kinds"], figures["controls"]) | {"class_shares": class_shares(test[1])}
    np.savez_compressed(PICTURES, **kept)
    save("details", CONFIGURATION, figures, started)


if __name__ == "__main__":
    main()
