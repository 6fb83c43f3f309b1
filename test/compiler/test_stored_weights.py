"""Weights of narrow types are stored as the model stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import smartmem

_OVERHEAD = 30_000
"""Bytes of a module of one kernel or two without its weights, at most."""


class Dequantized(nn.Module):
    """A linear layer whose weights are widened and scaled when the model runs."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 127, (256, 256)).to(dtype))
        self.register_buffer("scale", torch.rand(256, 1) * 0.01)

    def forward(self, x: Any) -> Any:
        return x @ (self.weight.float() * self.scale).t()


@pytest.mark.parametrize("dtype", [torch.int8, torch.bfloat16])
def test_dequantized_weights(dtype: Any) -> None:
    torch.manual_seed(0)
    model = Dequantized(dtype)
    _check(model, torch.randn(8, 256), model.weight.nbytes)


def test_half_layers() -> None:
    torch.manual_seed(0)
    model = nn.Linear(256, 256).half().eval()
    _check(model, torch.randn(8, 256).half(), model.weight.nbytes)


def _check(model: nn.Module, x: Any, stored: int) -> None:
    compiled = smartmem.compile(model, inputs=(x,), target="cpu")
    with torch.no_grad():
        expected = model(x).float()
    scale = float(expected.abs().max())
    tolerance = 2e-3 if x.dtype == torch.float16 else 1e-5
    np.testing.assert_allclose(compiled(x).float(), expected, rtol=0, atol=tolerance * scale)
    assert compiled.path.stat().st_size < stored + _OVERHEAD
