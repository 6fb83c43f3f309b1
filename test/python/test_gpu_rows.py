"""Rows that the threads of a GPU share, however few: what they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smartmem

PASS = "smartmem-configure-shaders"
EPSILON = 1e-5

# Sums along rows, a number of each row from them, and the whole rows again.
NORM = """
func.func @main(%x: !whole) -> !whole {{
  %zero = arith.constant 0.0 : f32
  %count = arith.constant {count}.0 : f32
  %epsilon = arith.constant {epsilon:f} : f32
  %er = tensor.empty() : !row
  %e = tensor.empty() : !whole
  %f = linalg.fill ins(%zero : f32) outs(%er : !row) -> !row
  %sum = linalg.generic {{indexing_maps = [#whole, #row], iterator_types = [{sums}]}}
      ins(%x : !whole) outs(%f : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %squares = linalg.generic {{indexing_maps = [#whole, #row, #row], iterator_types = [{sums}]}}
      ins(%x, %sum : !whole, !row) outs(%f : !row) {{
  ^bb0(%a: f32, %s: f32, %o: f32):
    %m = arith.divf %s, %count : f32
    %d = arith.subf %a, %m : f32
    %q = arith.mulf %d, %d : f32
    %t = arith.addf %q, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %y = linalg.generic {{indexing_maps = [#whole, #row, #row, #whole],
      iterator_types = [{all}]}}
      ins(%x, %sum, %squares : !whole, !row, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %s: f32, %q: f32, %o: f32):
    %m = arith.divf %s, %count : f32
    %d = arith.subf %a, %m : f32
    %v = arith.divf %q, %count : f32
    %w = arith.addf %v, %epsilon : f32
    %r = math.rsqrt %w : f32
    %t = arith.mulf %d, %r : f32
    linalg.yield %t : f32
  }} -> !whole
  return %y : !whole
}}
"""

SOFTMAX = """
func.func @main(%x: !whole) -> !whole {{
  %zero = arith.constant 0.0 : f32
  %least = arith.constant 0xFF800000 : f32
  %er = tensor.empty() : !row
  %e = tensor.empty() : !whole
  %f = linalg.fill ins(%zero : f32) outs(%er : !row) -> !row
  %l = linalg.fill ins(%least : f32) outs(%er : !row) -> !row
  %largest = linalg.generic {{indexing_maps = [#whole, #row], iterator_types = [{sums}]}}
      ins(%x : !whole) outs(%l : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %p = linalg.generic {{indexing_maps = [#whole, #row, #whole], iterator_types = [{all}]}}
      ins(%x, %largest : !whole, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %m: f32, %o: f32):
    %d = arith.subf %a, %m : f32
    %t = math.exp %d : f32
    linalg.yield %t : f32
  }} -> !whole
  %sum = linalg.generic {{indexing_maps = [#whole, #row], iterator_types = [{sums}]}}
      ins(%p : !whole) outs(%f : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %y = linalg.generic {{indexing_maps = [#whole, #row, #whole], iterator_types = [{all}]}}
      ins(%p, %sum : !whole, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %s: f32, %o: f32):
    %t = arith.divf %a, %s : f32
    linalg.yield %t : f32
  }} -> !whole
  return %y : !whole
}}
"""

# The largest elements of rows: a sum whose rows nothing reads again.
LARGEST = SOFTMAX.partition("  %p =")[0].replace("-> !whole {{", "-> !row {{") + (
    "  return %largest : !row\n}}\n"
)


def text(kernel: str, shape: tuple[int, ...]) -> str:
    """MLIR of a kernel over rows, which are the last dim of ``shape``."""
    dims = [f"d{d}" for d in range(len(shape))]
    parallel = ['"parallel"'] * len(shape)
    whole, row = ("x".join([*map(str, s), "f32"]) for s in (shape, shape[:-1]))
    inner = f"affine_map<({', '.join(dims)}) ->"
    head = (
        f"#whole = {inner} ({', '.join(dims)})>\n#row = {inner} ({', '.join(dims[:-1])})>\n"
        f"!whole = tensor<{whole}>\n!row = tensor<{row}>\n"
    )
    sums = ", ".join([*parallel[:-1], '"reduction"'])
    return head + kernel.format(
        count=shape[-1], epsilon=EPSILON, sums=sums, all=", ".join(parallel)
    )


def norm(x: np.ndarray) -> np.ndarray:
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + EPSILON)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.vulkan
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        ("norm", (400,)),  # 100 vectors: five threads of eight
        ("norm", (268,)),  # 67 vectors: one thread
        ("norm", (4,)),
        ("norm", (2, 420)),  # seven threads for each row
        ("softmax", (1000,)),
        ("softmax", (3, 2, 84)),
        ("largest", (400,)),
        ("largest", (5, 84)),
    ],
)
def test_few_rows(kernel: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    source, reference = {
        "norm": (NORM, norm),
        "softmax": (SOFTMAX, softmax),
        "largest": (LARGEST, lambda x: x.max(axis=-1)),
    }[kernel]
    (tmp_path / "m.mlir").write_text(text(source, shape))
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32) + 1
    compiled = smartmem.compile(tmp_path / "m.mlir", target="vulkan")
    assert compiled.statistics.kernels == 1 and not compiled.report.fallbacks
    reasons = [r.reason for r in compiled.report.remarks if r.argument == PASS and r.applied]
    assert len(reasons) == 1 and "a subgroup for each row" in reasons[0]
    y = compiled(x)
    expected = reference(x)
    assert np.abs(y - expected).max() / np.abs(expected).max() < 1e-5
