"""Blocks whose parts are joined in one kernel, or written into padded tensors.

Residual blocks with a shortcut and squeeze-excite, a pooling behind a convolution, a gated
feed-forward network, and attention whose queries, keys and values are padded for a
convolution and read by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smartmem

torch = pytest.importorskip("torch")

from together import assert_each_same


class SqueezeExcite(torch.nn.Module):
    """Channels scaled by what their means say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = torch.nn.Conv2d(channels, channels // 4, 1)
        self.up = torch.nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.up(torch.relu(self.down(mean))))


class ResidualBlock(torch.nn.Module):
    """A bottleneck of RegNetY: the shortcut is a convolution where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 1)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs // 16)
        self.excite = SqueezeExcite(outputs)
        self.conv3 = torch.nn.Conv2d(outputs, outputs, 1)
        self.shortcut = torch.nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        y = self.conv3(self.excite(y))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class DenseBlock(torch.nn.Module):
    """Layers that each read what all before them have made, as in DenseNet."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(8, inputs, 3, padding=1)
        self.layers = torch.nn.ModuleList(
            torch.nn.Sequential(
                *(torch.nn.BatchNorm2d(inputs + growth * k), torch.nn.ReLU()),
                torch.nn.Conv2d(inputs + growth * k, growth, 3, padding=1),
            )
            for k in range(layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return torch.relu(torch.cat(found, 1)).mean((2, 3))


class Classifier(torch.nn.Module):
    """Residual blocks, the mean over the image, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(
            ResidualBlock(32, 128, 2), ResidualBlock(128, 128, 1), ResidualBlock(128, 256, 2)
        )
        self.head = torch.nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


class LinearAttention(torch.nn.Module):
    """EfficientViT's attention: relu(q) (relu(k)^T v), also of an aggregated qkv."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = torch.nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.near = torch.nn.Conv2d(
            3 * channels, 3 * channels, 5, padding=2, groups=3 * channels, bias=False
        )
        self.mix = torch.nn.Conv2d(3 * channels, 3 * channels, 1, groups=6, bias=False)
        self.out = torch.nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, h, w = x.shape
        qkv = self.qkv(x)
        both = torch.cat([qkv, self.mix(self.near(qkv))], 1)
        q, k, v = both.reshape(n, -1, 48, h * w).transpose(-1, -2).chunk(3, -1)
        v = torch.nn.functional.pad(v, (0, 1), value=1.0)
        attended = torch.relu(q) @ (torch.relu(k).transpose(-1, -2) @ v)
        attended = attended[..., :-1] / (attended[..., -1:] + 1e-4)
        return x + self.out(attended.transpose(-1, -2).reshape(n, -1, h, w))


class GatedFeedForward(torch.nn.Module):
    """The feed-forward part of Llama and its like: a gate lets a projection through."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = torch.nn.RMSNorm(width)
        self.gate = torch.nn.Linear(width, inner, bias=False)
        self.up = torch.nn.Linear(width, inner, bias=False)
        self.down = torch.nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return x + self.down(torch.nn.functional.silu(self.gate(y)) * self.up(y))


def check(module: Any, shape: tuple[int, ...], target: str) -> smartmem.CompiledModel:
    torch.manual_seed(0)
    x = torch.randn(shape)
    module = module.eval()
    compiled = smartmem.compile(module, inputs=(x,), target=target)
    assert not compiled.report.fallbacks
    with torch.no_grad():
        expected = module(x).numpy()
    result = compiled(x.numpy())
    assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()
    return compiled


def test_residual_blocks_with_shortcuts(target: str) -> None:
    compiled = check(Classifier(), (1, 32, 28, 28), target)
    if target == "cpu":
        # Each block: two convolutions, mean, two layers, scale, and the last convolution
        # with its shortcut; the pooling is in the last one, so that only the head follows.
        # The block without a convolution in its shortcut scales the last one's weights.
        assert compiled.statistics.kernels == 3 * 7
        assert compiled.statistics.copies == 0


def test_a_block_of_layers_that_read_all_before_them(target: str) -> None:
    compiled = check(DenseBlock(32, 16, 4), (1, 8, 14, 14), target)
    # Of each layer the normalization, which pads, and the convolution, which inserts what it
    # computes into the only tensor of the block.
    assert compiled.statistics.copies == 0
    if target == "cpu":
        assert compiled.statistics.kernels == 2 + 4 * 2 + 1


def test_scaled_weights_of_any_width() -> None:
    torch.manual_seed(0)
    sizes = [(8, 16, 7), (12, 20, 9), (24, 72, 6), (96, 48, 8)]
    cases = {
        (channels, outputs, size): (
            torch.nn.Sequential(
                *(torch.nn.Conv2d(16, channels, 3, padding=1), torch.nn.ReLU()),
                SqueezeExcite(channels),
                *(torch.nn.Conv2d(channels, outputs, 1), torch.nn.SiLU()),
            ),
            [torch.randn(1, 16, size, size)],
        )
        for channels, outputs, size in sizes
    }
    compiled = assert_each_same(cases, "cpu", tolerance=1e-4)
    assert not compiled.report.fallbacks
    remarks = [r for r in compiled.report.remarks if "scales the weights" in r.reason]
    assert [r.applied for r in remarks] == [True] * len(sizes)


@pytest.mark.vulkan
def test_a_shortcut_behind_a_picture() -> None:
    stem = torch.nn.Conv2d(3, 32, 3, 2, 1)
    blocks = [ResidualBlock(32, 128, 2), ResidualBlock(128, 128, 1)]
    compiled = check(torch.nn.Sequential(stem, *blocks), (1, 3, 56, 56), "vulkan")
    # One kernel pads the picture, in rows, columns and channels; the last one writes the
    # result with its channels first.
    assert compiled.statistics.kernels == 2 + 2 * 7 + 1
    assert compiled.statistics.copies == 0


def test_padded_queries_that_are_read_by_element(target: str) -> None:
    compiled = check(LinearAttention(32), (1, 32, 14, 14), target)
    if target == "cpu":
        assert compiled.statistics.copies == 0


def test_gate_and_projection(target: str) -> None:
    compiled = check(GatedFeedForward(64, 192), (1, 28, 64), target)
    assert compiled.statistics.kernels == 3  # the norm, gate with projection, the rest
