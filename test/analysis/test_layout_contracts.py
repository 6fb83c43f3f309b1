"""The kinds of operations, and what each accepts."""

from __future__ import annotations

from torch_mlir import ir

from smartmem import dialect
from smartmem.passes.analysis.ir.layout_contracts import CONTRACTS, kind_of
from smartmem.passes.base import operations

TEXT = """
#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
func.func @main(%x: tensor<4x4xf32>, %v: tensor<9xf32>, %w: tensor<3xf32>, %f: f32) {
  %e = tensor.empty() : tensor<4x4xf32>
  %r = tensor.empty() : tensor<4xf32>
  %o = tensor.empty() : tensor<7xf32>
  %contraction = linalg.matmul {kind = "contraction"} ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %elementwise = linalg.tanh {kind = "elementwise"} ins(%x : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x4xf32>) outs(%r : tensor<4xf32>) attrs = {kind = "rows"} {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %less = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %sum : tensor<4x4xf32>, tensor<4xf32>) outs(%e : tensor<4x4xf32>) attrs = {kind = "rows"} {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %s = arith.subf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %movement = "smartmem.view"(%x) {kind = "movement", map = affine_map<(a, b) -> (b, a)>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %padding = "smartmem.view"(%v, %f) {kind = "padding", map = affine_map<(a) -> (a)>, domain = affine_map<(a) -> (8 - a)>} : (tensor<9xf32>, f32) -> tensor<12xf32>
  %window = linalg.conv_1d {kind = "other"} ins(%v, %w : tensor<9xf32>, tensor<3xf32>) outs(%o : tensor<7xf32>) -> tensor<7xf32>
  return
}
"""


def test_each_kind_is_told_by_loops() -> None:
    context = ir.Context()
    dialect.load(context)
    with context:
        module = ir.Module.parse(TEXT)
    marked = [op for op in operations(module.operation) if "kind" in op.attributes]
    told = [ir.StringAttr(op.attributes["kind"]).value for op in marked]
    assert [kind_of(op) for op in marked] == told
    assert set(told) == set(CONTRACTS)
