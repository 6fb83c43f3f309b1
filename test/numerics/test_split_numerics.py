"""Contractions that are split in two give PyTorch's numbers: linear attention, gates."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from together import assert_each_same

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


def test_sums_that_another_sum_divides(target: str) -> None:
    torch.manual_seed(0)
    cases = {
        (*sizes, swaps): (
            NormalizedSums(swaps),
            (torch.randn(heads, rows, keys), torch.rand(heads, keys, values + 1)),
        )
        for sizes in ATTENTIONS
        for heads, rows, keys, values in [sizes]
        for swaps in (False, True)
    }
    # Two kernels each: the ReLU, and the rest.
    check(cases, target, kernels=2)


def test_halves_that_gate_each_other(target: str) -> None:
    torch.manual_seed(0)
    cases = {
        sizes: (
            GatedSums(),
            (torch.randn(heads, rows, keys), torch.randn(heads, keys, 2 * values)),
        )
        for sizes in ATTENTIONS
        for heads, rows, keys, values in [sizes]
    }
    check(cases, target, kernels=1)


def check(cases: dict[Any, Any], target: str, kernels: int) -> None:
    """Compares numbers; on the CPU alone, all are split and each takes so many kernels."""
    compiled = assert_each_same(cases, target, tolerance=1e-4)
    assert not compiled.report.fallbacks
    remarks = compiled.report.remarks
    split = [r.applied for r in remarks if r.reason.endswith("columns: one kernel")]
    assert split == ([True] * len(cases) if target == "cpu" else [])
    if target == "cpu":
        assert compiled.statistics.kernels == kernels * len(cases)
