"""The error function as a quotient of polynomials."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import smartmem

ERF = """\
func.func @main(%x: tensor<4096xf32>) -> tensor<4096xf32> {
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}
      ins(%x : tensor<4096xf32>) outs(%e : tensor<4096xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = math.erf %a : f32
    linalg.yield %0 : f32
  } -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
"""


def test_erf_is_right_to_a_few_bits(tmp_path: Path, target: str) -> None:
    path = tmp_path / "erf.mlir"
    path.write_text(ERF)
    compiled = smartmem.compile(path, target=target)
    assert "math.erf" not in compiled.ir["lowered"]
    x = np.linspace(-6, 6, 4096, dtype=np.float32)
    x[:1024] = np.geomspace(1e-30, 1e-2, 1024)
    expected = np.array([math.erf(value) for value in x])
    error = np.abs(compiled(x) - expected) / np.maximum(np.abs(expected), 1e-30)
    assert error.max() < 5e-7


def test_what_has_no_finite_value(tmp_path: Path) -> None:
    path = tmp_path / "erf.mlir"
    path.write_text(ERF)
    x = np.zeros(4096, np.float32)
    x[:5] = [np.nan, np.inf, -np.inf, 1e30, -1e30]
    found = smartmem.compile(path, target="cpu")(x)
    np.testing.assert_allclose(found[:6], [np.nan, 1, -1, 1, -1, 0], rtol=1e-6)
