"""Networks with a picture, a film or a map of classes as input or output."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.builders import Builder, FirstOutput, of_image, seeded, torchvision_network


class UNet(nn.Module):
    """A U-Net with batch norm; [N, 3, H, W] to [N, 2, H, W], H and W multiples of 16."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 512)) -> None:
        super().__init__()
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise((3, *widths)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(steps))
        self.join = nn.ModuleList(_block(2 * a, a) for a, _ in reversed(steps))
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The map of classes."""
        kept: list[Tensor] = []
        for block in self.down:
            x = block(nn.functional.max_pool2d(kept[-1], 2) if kept else x)
            kept.append(x)
        for up, join, other in zip(self.up, self.join, reversed(kept[:-1]), strict=True):
            x = join(torch.cat([up(x), other], 1))
        head: Tensor = self.head(x)
        return head


class GridSample(nn.Module):
    """Samples [N, C, H, W] at points [N, H', W', 2] between -1 and 1."""

    def forward(self, x: Tensor, grid: Tensor) -> Tensor:
        """[N, C, H', W']."""
        return nn.functional.grid_sample(x, grid, align_corners=False)


def _block(channels: int, width: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs in (channels, width):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


def _segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return FirstOutput(SegformerForSemanticSegmentation(SegformerConfig()))


def _r3d() -> nn.Module:
    import torchvision

    network: nn.Module = torchvision.models.video.r3d_18(weights=None)
    return network


def _sampled() -> tuple[Tensor, ...]:
    return torch.randn(1, 32, 64, 64), 2 * torch.rand(1, 64, 64, 2) - 1


NETWORKS: dict[str, Builder] = {
    "deeplabv3_mobilenet": torchvision_network(
        "segmentation.deeplabv3_mobilenet_v3_large", 256
    ),
    "fcn_resnet50": torchvision_network("segmentation.fcn_resnet50"),
    "grid_sample": seeded(GridSample, _sampled),
    "r3d_18": seeded(_r3d, lambda: (torch.randn(1, 3, 8, 112, 112),)),
    "segformer": of_image(_segformer, 512),
    "unet": of_image(UNet, 128),
}
