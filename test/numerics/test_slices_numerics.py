"""Contractions of slices compute the same in one kernel with the slice, and behind a copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smartmem

Dims = tuple[int, ...]


def contraction(source: Dims, offset: Dims, sizes: Dims, steps: Dims, columns: int) -> str:
    """A slice of which all dims but the last become rows, times weights."""
    taken, channels = "x".join(map(str, sizes)), sizes[-1]
    rows = int(np.prod(sizes[:-1]))
    whole, result = "x".join(map(str, source)), f"{rows}x{columns}"
    merged = f"[[{', '.join(map(str, range(len(sizes) - 1)))}], [{len(sizes) - 1}]]"
    return f"""\
func.func @main(%x: tensor<{whole}xf32>, %w: tensor<{channels}x{columns}xf32>) -> tensor<{result}xf32> {{
  %zero = arith.constant 0.0 : f32
  %s = tensor.extract_slice %x{list(offset)} {list(sizes)} {list(steps)} : tensor<{whole}xf32> to tensor<{taken}xf32>
  %c = tensor.collapse_shape %s {merged} : tensor<{taken}xf32> into tensor<{rows}x{channels}xf32>
  %e = tensor.empty() : tensor<{result}xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{result}xf32>) -> tensor<{result}xf32>
  %m = linalg.matmul ins(%c, %w : tensor<{rows}x{channels}xf32>, tensor<{channels}x{columns}xf32>)
      outs(%f : tensor<{result}xf32>) -> tensor<{result}xf32>
  return %m : tensor<{result}xf32>
}}
"""


@pytest.mark.parametrize(
    ("source", "offset", "sizes", "steps", "kernels"),
    [
        ((8, 9, 16), (2, 0, 0), (5, 9, 16), (1, 1, 1), 1),  # whole pictures
        ((8, 9, 24), (0, 0, 8), (8, 9, 16), (1, 1, 1), 1),  # channels of all pictures
        ((8, 9, 16), (0, 1, 0), (8, 7, 16), (1, 1, 1), 2),  # gaps between the pictures
        ((8, 9, 16), (1, 0, 0), (3, 9, 16), (2, 1, 1), 2),  # every second picture
    ],
)
@pytest.mark.parametrize("columns", [7, 32])
def test_a_contraction_of_a_slice_needs_no_step_back(
    source: Dims,
    offset: Dims,
    sizes: Dims,
    steps: Dims,
    kernels: int,
    columns: int,
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.mlir"
    path.write_text(contraction(source, offset, sizes, steps, columns))
    compiled = smartmem.compile(path, target="cpu")
    assert not compiled.report.fallbacks
    assert compiled.report.kernels.kernels == kernels
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s.shape).astype(np.float32) for s in compiled.inputs)
    box = tuple(
        slice(first, first + n * step, step)
        for first, n, step in zip(offset, sizes, steps, strict=True)
    )
    expected = x[box].reshape(-1, sizes[-1]) @ w
    np.testing.assert_allclose(compiled(x, w), expected, rtol=1e-4, atol=1e-4)
