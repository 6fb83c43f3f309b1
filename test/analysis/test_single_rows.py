"""Layers of a single row: how wide their blocks are, how many together, and their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smartmem
from smartmem.passes.analysis.tiling.cpu_single_rows import block_width, blocks_together


@given(st.integers(1, 5000), st.integers(1, 4000), st.sampled_from([4, 8, 16]))
def test_blocks_divide_the_channels(channels: int, reduction: int, lanes: int) -> None:
    width = block_width(channels, reduction, lanes)
    assert width in (0, lanes, lanes // 2)
    if not width:
        assert channels % (lanes // 2) or channels <= lanes // 2
        return
    assert channels % width == 0 and channels > width
    together = blocks_together(channels // width, width * reduction)
    assert 1 <= together <= 8 and (channels // width) % together == 0


@pytest.mark.parametrize(
    ("channels", "reduction", "width", "together"),
    [
        (1000, 1280, 8, 5),  # 16 do not divide them
        (1024, 1280, 16, 8),
        (144, 576, 8, 3),  # nine blocks of 16 do not keep two workers busy
        (4096, 512, 16, 8),
    ],
)
def test_the_choice(channels: int, reduction: int, width: int, together: int) -> None:
    assert block_width(channels, reduction, 16) == width
    assert blocks_together(channels // width, width * reduction) == together


def mlp(rows: int, steps: int, hidden: int, columns: int) -> str:
    """A layer with bias and tanh, and one behind it."""
    x, h, y = f"{rows}x{steps}xf32", f"{rows}x{hidden}xf32", f"{rows}x{columns}xf32"
    w, v = f"{steps}x{hidden}xf32", f"{hidden}x{columns}xf32"
    return f"""\
func.func @main(%x: tensor<{x}>) -> tensor<{y}> {{
  %w = arith.constant dense_resource<w> : tensor<{w}>
  %v = arith.constant dense_resource<v> : tensor<{v}>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{h}>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{h}>) -> tensor<{h}>
  %m = linalg.matmul ins(%x, %w : tensor<{x}>, tensor<{w}>) outs(%f : tensor<{h}>) -> tensor<{h}>
  %t = linalg.tanh ins(%m : tensor<{h}>) outs(%e : tensor<{h}>) -> tensor<{h}>
  %e1 = tensor.empty() : tensor<{y}>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<{y}>) -> tensor<{y}>
  %n = linalg.matmul ins(%t, %v : tensor<{h}>, tensor<{v}>) outs(%f1 : tensor<{y}>) -> tensor<{y}>
  return %n : tensor<{y}>
}}
"""


@pytest.mark.parametrize("target", ["cpu", "cpu:x86-64-v3"])
@pytest.mark.parametrize(
    "shape", [(1, 72, 40, 1000), (1, 30, 8, 56), (1, 64, 144, 17), (2, 8, 32, 8)]
)
def test_layers_compute_what_numpy_does(
    shape: tuple[int, int, int, int], target: str, tmp_path: Path
) -> None:
    rows, steps, hidden, columns = shape
    rng = np.random.default_rng(0)
    w, v = (
        rng.standard_normal(s).astype(np.float32) for s in ((steps, hidden), (hidden, columns))
    )
    data = ", ".join(f'{k}: "0x04000000{a.tobytes().hex()}"' for k, a in (("w", w), ("v", v)))
    path = tmp_path / "mlp.mlir"
    path.write_text(f"{mlp(*shape)}\n{{-# dialect_resources: {{ builtin: {{ {data} }} }} #-}}")
    x = rng.standard_normal((rows, steps)).astype(np.float32)
    compiled = smartmem.compile(path, target=target)
    np.testing.assert_allclose(compiled(x), np.tanh(x @ w) @ v, rtol=1e-4, atol=1e-4)
    assert not compiled.report.fallbacks
