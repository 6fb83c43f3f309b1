"""PyTorch operators that are decomposed before the import: the numbers agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional

import smartmem


class Function(nn.Module):
    """A module that computes a given function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def assert_right(function: Callable[..., Any], *inputs: Any, tolerance: float = 1e-5) -> None:
    """Compiles ``function`` and compares all its results with PyTorch's.

    Args:
        function: of tensors; returns a tensor or a tuple.
        tolerance: of the largest element of each result; integers have to be equal.
    """
    module = function if isinstance(function, nn.Module) else Function(function)
    compiled = smartmem.compile(module, inputs=inputs, target="cpu")
    with torch.no_grad():
        expected = module(*inputs)
    expected, got = (r if isinstance(r, tuple) else (r,) for r in (expected, compiled(*inputs)))
    assert len(got) == len(expected)
    for number, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        scale = float(theirs.abs().max()) if theirs.is_floating_point() else 1
        np.testing.assert_allclose(
            ours, theirs, rtol=0, atol=tolerance * scale, err_msg=f"result {number}"
        )


def test_adaptive_pooling_where_windows_differ_in_length() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(1, 2, 14, 11), torch.randn(1, 2, 5, 7, 6)
    x[0, 0, 3, 3] = torch.inf
    maxima = nn.AdaptiveMaxPool2d((4, 3), return_indices=True)

    def pools(x: Any, y: Any) -> Any:
        return (
            *maxima(x),
            functional.adaptive_max_pool2d(x, (7, 11)),
            functional.adaptive_max_pool2d(x, (16, 5)),
            functional.adaptive_max_pool1d(x[0], 4),
            functional.adaptive_max_pool3d(y, (2, 3, 4)),
            functional.adaptive_avg_pool2d(y[0], (3, 4)),
            functional.adaptive_avg_pool1d(y[0, 0], 4),
            functional.adaptive_avg_pool3d(y, (2, 3, 4)),
        )

    assert_right(pools, x, y)


def test_gelu_is_computed_to_the_precision_of_f32() -> None:
    def gelus(x: Any) -> Any:
        return functional.gelu(x, approximate="tanh"), functional.gelu(x)

    x = torch.linspace(-6, 6, 1024)
    compiled = smartmem.compile(Function(gelus), inputs=(x,), target="cpu")
    for ours, exact in zip(compiled(x), gelus(x.double()), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=2e-6)
