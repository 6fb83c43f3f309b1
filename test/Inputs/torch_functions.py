"""Compiles functions of PyTorch tensors and compares their results with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

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
        real = theirs[theirs.isfinite()] if theirs.is_floating_point() else torch.ones(1)
        scale = float(real.abs().max())
        np.testing.assert_allclose(
            ours, theirs, rtol=0, atol=tolerance * scale, err_msg=f"result {number}"
        )


def assert_equal(function: Callable[..., Any], *inputs: Any) -> None:
    """Compiles ``function`` and checks that all its results are PyTorch's, NaN included."""
    compiled = smartmem.compile(Function(function), inputs=inputs, target="cpu")
    for number, pair in enumerate(zip(compiled(*inputs), function(*inputs), strict=True)):
        ours, theirs = pair
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=f"result {number}")
