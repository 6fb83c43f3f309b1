"""Layouts that a user writes into a model: what callers hand over, and the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.options import CompileOptions

EXAMPLE = Path(__file__).parents[2] / "examples" / "channels_last.mlir"


def expected(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """tanh of the convolution of NHWC, by NumPy."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    return np.tanh(np.einsum("nhwcrq,fcrq->nhwf", windows, w))


@pytest.mark.parametrize("layout", ["rule", "search"])
@pytest.mark.parametrize("target", ["cpu", pytest.param("vulkan", marks=pytest.mark.vulkan)])
def test_callers_see_the_physical_shape(target: str, layout: str) -> None:
    compiled = smartmem.compile(EXAMPLE, target=target, options=CompileOptions(layout=layout))
    assert [spec.shape for spec in compiled.inputs] == [(1, 14, 14, 8), (32, 8, 3, 3)]
    assert [spec.shape for spec in compiled.outputs] == [(1, 12, 12, 32)]
    assert not compiled.report.fallbacks
    rng = np.random.default_rng(0)
    x, w = (
        (rng.standard_normal(spec.shape) / 4).astype(np.float32) for spec in compiled.inputs
    )
    np.testing.assert_allclose(compiled(x, w), expected(x, w), rtol=1e-4, atol=1e-5)


def test_a_layout_that_does_not_fit_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "wrong.mlir"
    path.write_text(EXAMPLE.read_text().replace("split(1, 8, 4)", "split(1, 5, 6)"))
    with pytest.raises(smartmem.SmartMemError, match=r"32 is not the product; pad it first"):
        smartmem.compile(path, target="cpu")


def test_a_reader_without_a_relayout_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "wrong.mlir"
    path.write_text(
        """
#across = #smartmem.layout<"reorder(1, 0)", "buffer", []>
func.func @main(%x: tensor<4x8xf32, #across>) -> tensor<4x8xf32, #across> {
  %0 = arith.negf %x : tensor<4x8xf32, #across>
  return %0 : tensor<4x8xf32, #across>
}
"""
    )
    with pytest.raises(smartmem.SmartMemError, match=r"put a smartmem.relayout to the plain"):
        smartmem.compile(path, target="cpu")
