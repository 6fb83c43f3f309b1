"""Contractions that are split in two give PyTorch's numbers: linear attention, gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smartmem

torch = pytest.importorskip("torch")

ATTENTIONS = [
    (4, 196, 16, 16),
    (6, 49, 16, 16),
    (3, 35, 24, 32),
    (2, 13, 5, 48),
    (2, 64, 32, 64),
]
"""Heads, rows, width of the keys, width of the values: whole and other vectors and blocks."""


class NormalizedSums(torch.nn.Module):
    """The last step of linear attention: sums that one more sum divides."""

    def __init__(self, swaps: bool) -> None:
        super().__init__()
        self.swaps = swaps

    def forward(self, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        sums = torch.relu(q) @ kv
        result = sums[..., :-1] / (sums[..., -1:] + 1e-4)
        return result.transpose(0, 1).flatten(1) if self.swaps else result


class GatedSums(torch.nn.Module):
    """Sums of which one half lets the other one through."""

    def forward(self, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.glu(q @ kv)


def check(module: Any, inputs: tuple[Any, ...], target: str) -> smartmem.CompiledModel:
    compiled = smartmem.compile(module.eval(), inputs=inputs, target=target)
    assert not compiled.report.fallbacks
    with torch.no_grad():
        expected = module(*inputs).numpy()
    result = compiled(*(x.numpy() for x in inputs))
    assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()
    return compiled


def split(compiled: smartmem.CompiledModel) -> list[bool]:
    remarks = compiled.report.remarks
    return [r.applied for r in remarks if r.argument == "smartmem-split-contractions"]


@pytest.mark.parametrize("swaps", [False, True])
@pytest.mark.parametrize(("heads", "rows", "keys", "values"), ATTENTIONS)
def test_sums_that_another_sum_divides(
    heads: int, rows: int, keys: int, values: int, swaps: bool, target: str
) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(heads, rows, keys), torch.rand(heads, keys, values + 1)
    compiled = check(NormalizedSums(swaps), inputs, target)
    assert split(compiled) == ([True] if target == "cpu" else [])
    if target == "cpu":
        assert compiled.statistics.kernels == 2  # the ReLU, and the rest


@pytest.mark.parametrize(("heads", "rows", "keys", "values"), ATTENTIONS)
def test_halves_that_gate_each_other(
    heads: int, rows: int, keys: int, values: int, target: str
) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(heads, rows, keys), torch.randn(heads, keys, 2 * values)
    compiled = check(GatedSums(), inputs, target)
    assert split(compiled) == ([True] if target == "cpu" else [])
    if target == "cpu":
        assert compiled.statistics.kernels == 1
