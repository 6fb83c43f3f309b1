"""Kernels of several operations give PyTorch's numbers, on the CPU and on a Vulkan device.

SPIR-V code generation is where a wrong region shows: in wrong numbers, not in an error.
"""

from __future__ import annotations

import numpy as np
import pytest

import smartmem
from smartmem.backend.devices import probe_vulkan, usable_devices

torch = pytest.importorskip("torch")

needs_vulkan = pytest.mark.skipif(
    not usable_devices(), reason=f"no Vulkan device: {probe_vulkan().reason}"
)
TARGETS = ["cpu", pytest.param("vulkan", marks=needs_vulkan)]


class ChannelsFirstNorm(torch.nn.Module):
    """LayerNorm over the channels of NCHW, as ConvNeXt has it between its stages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(torch.nn.Module):
    """Depthwise convolution, LayerNorm, two linear layers and the residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = torch.nn.LayerNorm(channels)
        self.wide = torch.nn.Linear(channels, 4 * channels)
        self.narrow = torch.nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.narrow(torch.nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class RolledNorm(torch.nn.Module):
    """A roll before LayerNorm and a linear layer, as in a shifted Swin block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(24)
        self.linear = torch.nn.Linear(24, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.norm(torch.roll(x, (-2, -3), (1, 2))))


class FlippedSoftmax(torch.nn.Module):
    """A flip before a softmax over a leading dim: its reads take the reduction's loop order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.flip(x, (0,)), dim=0)


class RolledSoftmax(torch.nn.Module):
    """A roll before a softmax over the channels of NCHW."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.roll(x, (-2, 3), (2, 3)), dim=1)


MODULES = {
    "channels first": (ChannelsFirstNorm(24), (1, 24, 7, 6)),
    "padded residuals": (
        torch.nn.Sequential(ConvNeXtBlock(16), ConvNeXtBlock(16), ChannelsFirstNorm(16)),
        (1, 16, 9, 8),
    ),
    "pointwise and padded": (
        torch.nn.Sequential(
            torch.nn.Conv2d(12, 20, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(20, 12, 3, padding=1),
        ),
        (1, 12, 9, 8),
    ),
    "rolled": (RolledNorm(), (1, 8, 9, 24)),
    "flipped softmax": (FlippedSoftmax(), (2, 1, 1, 2)),
    "flipped and rolled": (
        torch.nn.Sequential(RolledSoftmax(), FlippedSoftmax()),
        (3, 5, 6, 7),
    ),
    "long rows": (torch.nn.Softmax(dim=-1), (3, 5, 301)),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODULES)
def test_kernels_give_the_numbers_of_pytorch(name: str, target: str) -> None:
    module, shape = MODULES[name]
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(shape)
    with torch.no_grad():
        expected = module.eval()(x).numpy()
    compiled = smartmem.compile(module, inputs=(x,), target=target)
    error = np.abs(compiled(x).numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-5
