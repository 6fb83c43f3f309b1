"""Weights of narrow types are stored as the model stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import smartmem
from smartmem import CompileOptions

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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_layers(dtype: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(256, 256).to(dtype).eval()
    _check(model, torch.randn(8, 256).to(dtype), model.weight.nbytes)


@pytest.mark.parametrize(("precision", "rows"), [("f16", 8), ("f16", 1), ("bf16", 8)])
def test_narrowed_weights(precision: str, rows: int) -> None:
    torch.manual_seed(0)
    model = nn.Linear(256, 256).eval()
    tolerance = 1e-3 if precision == "f16" else 1e-2
    _check(model, torch.randn(rows, 256), model.weight.nbytes // 2, tolerance, precision)


def test_widened_weights() -> None:
    model = nn.Linear(256, 256).half().eval()
    x = torch.randn(8, 256).half()
    options = CompileOptions(precision="f32")
    compiled = smartmem.compile(model, inputs=(x,), target="cpu", options=options)
    assert compiled.path.stat().st_size > 2 * model.weight.nbytes


def _check(
    model: nn.Module, x: Any, stored: int, tolerance: float = 1e-5, precision: str = "model"
) -> None:
    options = CompileOptions(precision=precision)
    compiled = smartmem.compile(model, inputs=(x,), target="cpu", options=options)
    with torch.no_grad():
        expected = model(x).float()
    scale = float(expected.abs().max())
    if x.dtype != torch.float32:
        tolerance = 4 * torch.finfo(x.dtype).eps
    np.testing.assert_allclose(compiled(x).float(), expected, rtol=0, atol=tolerance * scale)
    assert compiled.path.stat().st_size < stored + _OVERHEAD
