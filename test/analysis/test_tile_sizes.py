"""Blocks of rows that divide the rows, and those that leave a rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smartmem
from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.tiling.cpu_tiles import _time_of_blocks, block_rows, dividing_rows

AVX2 = Vectors(lanes=8, registers=16)
AVX512 = Vectors(lanes=16, registers=32)


@given(st.integers(1, 4000), st.integers(1, 14))
def test_a_rest_pays_or_there_is_none(extent: int, most: int) -> None:
    rows, dividing = block_rows(extent, most), dividing_rows(extent, most)
    assert 1 <= rows <= most and extent % dividing == 0
    if rows != dividing:
        assert _time_of_blocks(extent, rows) < 0.9 * _time_of_blocks(extent, dividing)


@pytest.mark.parametrize(
    ("extent", "most", "rows"),
    [(84, 6, 6), (77, 6, 6), (77, 14, 11), (197, 6, 6), (14, 6, 5), (196, 14, 14), (3, 6, 3)],
)
def test_rows_of_blocks(extent: int, most: int, rows: int) -> None:
    assert block_rows(extent, most) == rows


@pytest.mark.parametrize("vectors", [AVX2, AVX512])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_blocks_fit_the_registers(vectors: Vectors, width: int) -> None:
    rows = vectors.rows_of(width)
    assert rows * width + width + 1 <= vectors.registers
    assert 1 <= vectors.window_rows(width) <= rows


def layer(rows: int, steps: int, columns: int) -> str:
    """Softmax of rows times weights: contraction and rows, each with a rest of its own."""
    x, w, y = f"{rows}x{steps}xf32", f"{steps}x{columns}xf32", f"{rows}x{columns}xf32"
    return f"""\
func.func @main(%x: tensor<{x}>, %w: tensor<{w}>) -> tensor<{y}> {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{y}>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{y}>) -> tensor<{y}>
  %m = linalg.matmul ins(%x, %w : tensor<{x}>, tensor<{w}>) outs(%f : tensor<{y}>) -> tensor<{y}>
  %s = linalg.softmax dimension(1) ins(%m : tensor<{y}>) outs(%e : tensor<{y}>) -> tensor<{y}>
  return %s : tensor<{y}>
}}
"""


@pytest.mark.parametrize("rows", [7, 49, 53, 77])
@pytest.mark.parametrize("columns", [64, 72, 76, 216])
def test_a_rest_is_computed_right(rows: int, columns: int, tmp_path: Path) -> None:
    path = tmp_path / "layer.mlir"
    path.write_text(layer(rows, 40, columns))
    compiled = smartmem.compile(path, target="cpu")
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s.shape).astype(np.float32) for s in compiled.inputs)
    scores = np.exp(x.astype(np.float64) @ w)
    expected = scores / scores.sum(axis=1, keepdims=True)
    assert np.abs(compiled(x, w) - expected).max() < 1e-5 * expected.max()


COPIES = """\
func.func @main(%x: tensor<12x3x9xf32>, %w: tensor<12x6xf32>) -> tensor<9x2x3x6xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<9x2x3x6xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<9x2x3x6xf32>) -> tensor<9x2x3x6xf32>
  %r = linalg.generic {
      indexing_maps = [affine_map<(i, h, m, n, k) -> (k, m, i)>,
                       affine_map<(i, h, m, n, k) -> (k, n)>,
                       affine_map<(i, h, m, n, k) -> (i, h, m, n)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<12x3x9xf32>, tensor<12x6xf32>) outs(%f : tensor<9x2x3x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<9x2x3x6xf32>
  return %r : tensor<9x2x3x6xf32>
}
"""


@pytest.mark.vulkan
def test_the_code_generator_takes_the_blocks_of_threads_apart(tmp_path: Path) -> None:
    """With three rows and four steps it left a vector<4x3xf32>, which SPIR-V does not have."""
    path = tmp_path / "copies.mlir"
    path.write_text(COPIES)
    compiled = smartmem.compile(path, target="vulkan")
    assert not compiled.report.fallbacks
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s.shape).astype(np.float32) for s in compiled.inputs)
    expected = np.einsum("kmi,kn->imn", x.astype(np.float64), w)[:, None]
    assert np.abs(compiled(x, w) - expected).max() < 1e-5 * np.abs(expected).max()
