"""Assertions of lowered programs: dropped where they hold or are about a run's data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import smartmem
from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model

_MODULE = """
func.func @main(%x: tensor<4xi32>) -> tensor<4xi32> {{
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : i32
  %e = tensor.extract %x[%c0] : tensor<4xi32>
  %size = tensor.dim %x, %c0 : tensor<4xi32>
  %four = arith.constant 4 : index
  %holds = arith.cmpi eq, %size, %four : index
  %fails = arith.cmpi ne, %size, %four : index
  %data = arith.cmpi slt, %e, %c4 : i32
  cf.assert %{condition}, "{text}"
  return %x : tensor<4xi32>
}}
"""


def _import(condition: str, text: str) -> list[str]:
    module = import_model(_MODULE.format(condition=condition, text=text).encode()).module
    return [op.operation.name for op in module.body.operations[0].body.blocks[0]]


@pytest.mark.parametrize("condition", ["holds", "data"])
def test_assertions_that_hold_or_look_at_data_are_dropped(condition: str) -> None:
    assert _import(condition, "index must be smaller") == ["func.return"]


@pytest.mark.parametrize("text", ["unimplemented: only fixed strides.", "sizes differ"])
def test_assertions_that_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"cannot be lowered.*{text.rstrip('.')};"):
        _import("fails", text)


def test_what_is_not_implemented_is_refused_whatever_the_condition() -> None:
    with pytest.raises(UnsupportedError, match="unimplemented: strides"):
        _import("data", "unimplemented: strides")


def test_a_reciprocal_is_computed_of_zero_as_well() -> None:
    class Reciprocal(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1 / x

    x = torch.tensor([2.0, 0.0, -4.0, -0.0])
    compiled = smartmem.compile(Reciprocal(), inputs=(x,), target="cpu")
    np.testing.assert_array_equal(np.asarray(compiled(x)), (1 / x).numpy())
