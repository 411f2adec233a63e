"""The maps of the feature explorer are those of the network, and the share of fine detail is that of a slow loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lessons_lib.models.unet import UNet
from lessons_lib.training import predict
from lessons_lib.widgets.feature_maps import PARTS, fine_share, level_maps, strongest


@pytest.mark.parametrize("skip", ["concat", "add", "none"])
@torch.no_grad()
def test_level_maps_are_what_the_network_computes_step_by_step(skip):
    torch.manual_seed(0)
    model, images = UNet((4, 6), num_classes=3, skip=skip), torch.rand(2, 3, 8, 12)
    levels = level_maps(model, images)
    assert model.training and not any(module._forward_hooks for module in model.modules())
    model.eval()
    first = model.encoder[0](images)
    second = model.encoder[1](F.max_pool2d(first, 2))
    bottom = model.bottleneck(F.max_pool2d(second, 2))
    up = model.decoder[0](bottom, second)
    last = model.decoder[1](up, first)
    wanted = [
        {"skip": first, "below": model.decoder[1].narrow(up), "decoded": last},
        {"skip": second, "below": model.decoder[0].narrow(bottom), "decoded": up},
        {"skip": bottom},
    ]
    assert [list(level) for level in levels] == [list(PARTS), list(PARTS), ["skip"]]
    for level, maps in zip(levels, wanted):
        for part in level:
            right = (
                F.interpolate(maps[part], level["skip"].shape[-2:], mode="bilinear") if part == "below" else maps[part]
            )
            torch.testing.assert_close(level[part], right)
    assert torch.equal(model.head(levels[0]["decoded"]).argmax(1), predict(model, images))


def test_fine_share_equals_a_loop_over_the_cells():
    maps = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 5, 0.1])[:, None, None]
    inside = whole = 0.0
    for channel in maps.double().numpy():
        whole += ((channel - channel.mean()) ** 2).sum()
        for top in range(0, 6, 2):
            for left in range(0, 8, 4):
                cell = channel[top : top + 2, left : left + 4]
                inside += ((cell - cell.mean()) ** 2).sum()
    assert fine_share(maps, (3, 2)) == pytest.approx(inside / whole)
    assert fine_share(maps, (6, 8)) == 0  # a cell a value: nothing is finer
    assert fine_share(maps, (1, 1)) == pytest.approx(1)
    assert fine_share(torch.ones(2, 4, 4), (2, 2)) == 0  # no variation, and no division by zero


def test_strongest_maps_come_first_and_share_one_scale_over_the_images():
    maps = torch.zeros(2, 3, 10, 10)
    maps[:, 0] = torch.linspace(0, 1, 200).reshape(2, 10, 10)
    maps[:, 2] = torch.linspace(-30, 30, 200).reshape(2, 10, 10)  # channel 1 does not vary
    painted = strongest(maps, 2)
    assert painted.shape == (2, 2, 10, 10, 3) and painted.dtype == np.uint8
    ramp = (torch.linspace(0, 1, 200) / 0.995 * 255).round().clamp(max=255).reshape(2, 10, 10).numpy()
    for channel in range(2):
        assert np.abs(painted[:, channel, ..., 1] - ramp).max() <= 1
    assert (strongest(maps, 3)[:, 2] == 0).all()
