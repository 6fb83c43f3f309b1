"""Convolutions and poolings in the layouts that are chosen for them give PyTorch's numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from together import assert_each_interpreted_same, assert_each_same


class Residual(nn.Module):
    """Two readers of one image: a padded convolution and an addition."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
        self.point = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.point(torch.relu(self.conv(x))))


class SqueezeExcite(nn.Module):
    """Channels scaled by what their means say, between two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.down = nn.Conv2d(channels, 4, 1)
        self.up = nn.Conv2d(4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y * torch.sigmoid(self.up(torch.relu(self.down(y.mean((2, 3), keepdim=True)))))


def bottleneck(channels: int, width: int, groups: int, stride: int = 1) -> nn.Module:
    """1x1, grouped 3x3 and 1x1 with batch normalization, as in ResNeXt and RegNet."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=groups, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 1),
    )


MODULES = {
    "dense": (nn.Conv2d(8, 20, 3, padding=1), (1, 8, 9, 10)),
    "dense of a batch": (nn.Conv2d(8, 32, 3, stride=2, padding=1), (2, 8, 9, 10)),
    "picture": (nn.Conv2d(3, 32, 7, stride=2, padding=3), (1, 3, 30, 26)),
    "dilated": (nn.Conv2d(6, 16, 3, dilation=2), (1, 6, 9, 9)),
    "depthwise": (nn.Conv2d(24, 24, 5, padding=2, groups=24), (1, 24, 9, 8)),
    "depthwise with two filters": (nn.Conv2d(8, 16, 3, groups=8), (1, 8, 9, 8)),
    "strided point": (nn.Conv2d(16, 24, 1, stride=2), (2, 16, 8, 6)),
    "patches": (nn.Conv2d(3, 32, 4, stride=4), (1, 3, 16, 24)),
    "patches of a batch": (nn.Conv2d(5, 16, 2, stride=2), (3, 5, 8, 6)),
    "one window": (nn.Conv2d(6, 16, (4, 3)), (1, 6, 4, 3)),
    "one window of a batch": (nn.Conv2d(5, 16, 3, stride=2), (3, 5, 3, 3)),
    "one window in height": (nn.Conv2d(5, 16, (4, 2), stride=(1, 2)), (1, 5, 4, 8)),
    "outside of the image": (nn.Conv2d(6, 16, 3, padding=9, dilation=9), (1, 6, 8, 12)),
    "long": (nn.Conv1d(32, 32, 96, padding=48, groups=2), (1, 32, 20)),
    "wide window": (nn.Conv2d(3, 16, (9, 12), padding=(4, 0), stride=2), (1, 3, 12, 16)),
    "wide depthwise": (nn.Conv2d(16, 16, 11, padding=5, groups=16), (1, 16, 12, 11)),
    "one dim": (nn.Conv1d(6, 16, 3, padding=1), (1, 6, 17)),
    "transposed": (nn.ConvTranspose2d(6, 16, 3, stride=2, padding=1), (1, 6, 5, 7)),
    "largest": (nn.MaxPool2d(3, 2, 1), (1, 20, 9, 8)),
    "mean of windows": (nn.AvgPool2d(2), (1, 20, 8, 8)),
    "four in a group": (bottleneck(32, 64, 16), (1, 32, 8, 8)),
    "eight in a group": (bottleneck(32, 128, 16, stride=2), (1, 32, 8, 8)),
    "24 in a group": (bottleneck(24, 72, 3), (1, 24, 7, 7)),
    "32 in a group": (bottleneck(64, 64, 2), (1, 64, 7, 7)),
    "residual": (nn.Sequential(Residual(32, 4), Residual(32, 32)), (1, 32, 6, 7)),
    "squeeze and excite": (nn.Sequential(SqueezeExcite(24), SqueezeExcite(24)), (1, 24, 6, 7)),
}


# Of each kind of kernel one: the software Vulkan driver takes long for each of many shaders.
ON_VULKAN = (
    ("dense of a batch", "mean of windows"),
    ("four in a group", "residual"),
)
GROUPS = [("cpu", [*MODULES][first::3]) for first in range(3)] + [
    pytest.param("vulkan", names, marks=pytest.mark.vulkan) for names in ON_VULKAN
]


@pytest.mark.parametrize(("target", "names"), GROUPS)
def test_convolutions_give_the_numbers_of_pytorch(target: str, names: list[str]) -> None:
    compiled = assert_each_same({name: example(name) for name in names}, target)
    assert not compiled.report.fallbacks


def test_what_is_compiled_for_gpus_computes_the_same() -> None:
    assert_each_interpreted_same({name: example(name) for name in MODULES}, "adreno")


def example(name: str) -> tuple[nn.Module, list[torch.Tensor]]:
    """A module with seeded parameters, and its input."""
    module, shape = MODULES[name]
    torch.manual_seed(0)
    for key, parameter in module.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in key), std=0.3)
    return module, [torch.randn(shape)]
