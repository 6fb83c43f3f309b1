"""Attention whose keys are padded to whole vectors gives PyTorch's numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from together import assert_each_same

pytestmark = pytest.mark.vulkan


class WindowAttention(torch.nn.Module):
    """Swin's attention in windows of 7 x 7, with a bias for each pair, and a mask."""

    def __init__(self, channels: int, heads: int, *, bias: bool, mask: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm = torch.nn.LayerNorm(channels)
        self.qkv = torch.nn.Linear(channels, 3 * channels)
        self.out = torch.nn.Linear(channels, channels)
        self.bias = torch.nn.Parameter(torch.randn(heads, 49, 49)) if bias else None
        banned = torch.where(torch.rand(4, 1, 49, 49) < 0.3, -100.0, 0.0)
        self.register_buffer("mask", banned if mask else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, h, w, c = x.shape
        y = self.norm(x).reshape(n, h // 7, 7, w // 7, 7, c).transpose(2, 3).reshape(-1, 49, c)
        qkv = self.qkv(y).reshape(-1, 49, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q * 0.25 @ k.transpose(-1, -2)
        if self.bias is not None:
            scores = scores + self.bias
        if self.mask is not None:
            scores = scores + self.mask
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 49, c)
        y = self.out(y).reshape(n, h // 7, w // 7, 7, 7, c).transpose(2, 3)
        return x + y.reshape(n, h, w, c)


def test_windows_of_49_keys() -> None:
    torch.manual_seed(0)
    cases = [(2, True, True), (2, True, False), (2, False, False), (1, True, False)]
    compiled = assert_each_same({case: example(*case) for case in cases}, "vulkan")
    assert not compiled.report.fallbacks
    padded = [r for r in compiled.report.remarks if r.argument == "smartmem-pad-dims"]
    assert sum(remark.applied for remark in padded) >= len(cases)
    # The normalization, the projection, scores, softmax, weighted sum, projection, sum.
    assert compiled.statistics.kernels <= 7 * len(cases)
    assert compiled.statistics.copies == 0


def example(windows: int, bias: bool, mask: bool) -> tuple[WindowAttention, list[torch.Tensor]]:
    """An attention, and an image of so many windows each way."""
    x = torch.randn(1, 7 * windows, 7 * windows, 32)
    return WindowAttention(32, 2, bias=bias, mask=mask), [x]
