"""Every pass takes every shape: lowering without a fault, for a CPU and for GPUs.

iree-compile does not run. What the graphs compute is checked by test_random_graphs.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from random_graphs import DRAWN, RandomGraph, graphs

from smartmem.compiler.compile import module_at

TARGETS = ("cpu", "adreno", "valhall4")


def sum_over(shape: str, kept: str, type_: str = "f32", add: str = "arith.addf") -> str:
    zero = "0.0" if type_.startswith("f") else "0"
    return f"""
func.func @main(%x: tensor<{shape}{type_}>) -> tensor<{kept}{type_}> {{
  %zero = arith.constant {zero} : {type_}
  %e = tensor.empty() : tensor<{kept}{type_}>
  %f = linalg.fill ins(%zero : {type_}) outs(%e : tensor<{kept}{type_}>) -> tensor<{kept}{type_}>
  %s = linalg.reduce {{{add}}} ins(%x : tensor<{shape}{type_}>)
    outs(%f : tensor<{kept}{type_}>) dimensions = [{shape.count("x") - 1}]
  return %s : tensor<{kept}{type_}>
}}
"""


def matmul(m: int, k: int, n: int) -> str:
    return f"""
func.func @main(%a: tensor<{m}x{k}xf32>, %b: tensor<{k}x{n}xf32>) -> tensor<{m}x{n}xf32> {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{m}x{n}xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
  %c = linalg.matmul ins(%a, %b : tensor<{m}x{k}xf32>, tensor<{k}x{n}xf32>)
    outs(%f : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
  %y = linalg.exp ins(%c : tensor<{m}x{n}xf32>) outs(%e : tensor<{m}x{n}xf32>)
    -> tensor<{m}x{n}xf32>
  return %y : tensor<{m}x{n}xf32>
}}
"""


def convolution(channels: int, size: int, filters: int, window: int) -> str:
    image, kernel = (
        f"1x{channels}x{size}x{size}xf32",
        f"{filters}x{channels}x{window}x{window}xf32",
    )
    out = size - window + 1
    result = f"1x{filters}x{out}x{out}xf32"
    return f"""
func.func @main(%x: tensor<{image}>, %w: tensor<{kernel}>) -> tensor<{result}> {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{result}>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{result}>) -> tensor<{result}>
  %c = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<{image}>, tensor<{kernel}>)
    outs(%f : tensor<{result}>) -> tensor<{result}>
  return %c : tensor<{result}>
}}
"""


TWO_RESULTS = """
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%x: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<4x3xi1>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4xf32>
  %b = tensor.empty() : tensor<3x4xi1>
  %t = tensor.empty() : tensor<4x3xi1>
  %r:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%x : tensor<3x4xf32>) outs(%e, %b : tensor<3x4xf32>, tensor<3x4xi1>) {
  ^bb0(%in: f32, %o: f32, %p: i1):
    %n = arith.negf %in : f32
    %c = arith.cmpf ogt, %in, %zero : f32
    linalg.yield %n, %c : f32, i1
  } -> (tensor<3x4xf32>, tensor<3x4xi1>)
  %y = linalg.transpose ins(%r#1 : tensor<3x4xi1>) outs(%t : tensor<4x3xi1>) permutation = [1, 0]
  return %r#0, %y : tensor<3x4xf32>, tensor<4x3xi1>
}
"""

ODD = {
    "sum to a scalar": sum_over("5x", ""),
    "sum over one": sum_over("4x1x", "4x"),
    "sum of nothing": sum_over("4x0x", "4x"),
    "no rows to sum": sum_over("0x4x", "0x"),
    "sum of integers": sum_over("3x7x", "3x", "i32", "arith.addi"),
    "or of booleans": sum_over("3x7x", "3x", "i1", "arith.ori"),
    "one number times another": matmul(1, 1, 1),
    "row times column": matmul(1, 7, 1),
    "column times row": matmul(5, 1, 3),
    "one row": matmul(1, 16, 9),
    "no rows": matmul(0, 4, 4),
    "no columns": matmul(4, 4, 0),
    "nothing to add up": matmul(4, 0, 4),
    "window as large as the image": convolution(3, 3, 4, 3),
    "one pixel": convolution(1, 1, 1, 1),
    "one channel": convolution(1, 5, 1, 3),
    "two results": TWO_RESULTS,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_shapes(name: str, tmp_path: Path) -> None:
    (path := tmp_path / "odd.mlir").write_text(ODD[name])
    for target in TARGETS:
        module_at(path, "lowered", target=target)


# The same graphs in every run, as in test_random_graphs.py.
@settings(DRAWN, max_examples=12, derandomize=True)
@given(graphs())
def test_random_graphs(graph: RandomGraph) -> None:
    for target in TARGETS:
        module_at(graph.model, "lowered", target=target)
