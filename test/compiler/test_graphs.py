"""The graphs of the report: operators before, kernels after, and what links them."""

from __future__ import annotations

import pytest
from torch_mlir import ir

from smartmem import dialect
from smartmem.compiler.compile import CompiledModel
from smartmem.passes import Remark
from smartmem.report.fates import Fate, fates_of
from smartmem.report.graphs import (
    Edge,
    KernelGraph,
    KernelNode,
    ModelGraph,
    kernel_graph,
    layer_of,
    model_graph,
)
from smartmem.report.report import Report

IMPORTED = """\
func.func @main(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %bias = arith.constant dense<1.5> : tensor<8xf32> loc("add")
  %b = tensor.empty() : tensor<4x8xf32> loc("add")
  %wide = linalg.broadcast ins(%bias : tensor<8xf32>) outs(%b : tensor<4x8xf32>)
      dimensions = [0] loc("add")
  %sum = arith.addf %x, %wide : tensor<4x8xf32> loc("add")
  %e = tensor.empty() : tensor<8x4xf32> loc("turn")
  %t = linalg.transpose ins(%sum : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
      permutation = [1, 0] loc("turn"("model.py":3:1))
  return %t : tensor<8x4xf32>
}
"""

KERNELS = """\
func.func @main(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %w = arith.constant dense_resource<bias> : tensor<8xf32> loc("add")
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  %r = "flow.dispatch.region"() ({
    %e = tensor.empty() : tensor<4x8xf32>
    %s = linalg.generic {
        indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>,
                         affine_map<(i, j) -> (i, j)>],
        iterator_types = ["parallel", "parallel"]}
        ins(%x, %w : tensor<4x8xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
      ^bb0(%a: f32, %b: f32, %c: f32):
        %sum = arith.addf %a, %b : f32 loc("inner")
        linalg.yield %sum : f32
    } -> tensor<4x8xf32> loc("add")
    "flow.return"(%s) : (tensor<4x8xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>, smartmem.kernel = 7 : i64}
      : () -> tensor<4x8xf32> loc("add")
  %e2 = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%r : tensor<4x8xf32>) outs(%e2 : tensor<8x4xf32>)
      permutation = [1, 0] loc("turn")
  %o = tensor.collapse_shape %t [[0, 1]] : tensor<8x4xf32> into tensor<32xf32>
  return %o : tensor<32xf32>
}
"""


@pytest.mark.parametrize(
    ("location", "layer"),
    [
        ('loc("stages.0.mm")', "stages.0.mm"),
        ('loc("a.view"(callsite("linear.py":134:0 at "m.py":6:0)))', "a.view"),
        ('loc("model.mlir":3:8)', "model.mlir:3:8"),
        ('loc(fused["a", "b"])', "a"),
        ("loc(unknown)", ""),
    ],
)
def test_a_layer_is_the_first_name_of_a_location(location: str, layer: str) -> None:
    assert layer_of(location) == layer


def graph_of_import() -> ModelGraph:
    with ir.Context() as context:
        dialect.load(context)
        return model_graph(ir.Module.parse(IMPORTED).operation)


def graph_of_kernels() -> KernelGraph:
    with ir.Context() as context:
        context.allow_unregistered_dialects = True
        return kernel_graph(ir.Module.parse(KERNELS).operation)


def test_operators_have_layers_and_classes_and_constants_are_told() -> None:
    graph = graph_of_import()
    told = [(n.name, n.layer, n.movement, n.is_constant) for n in graph.nodes]
    assert told == [
        ("input 0", "input 0", None, False),
        ("linalg.broadcast", "add", "broadcast", True),
        ("arith.addf", "add", None, False),
        ("linalg.transpose", "turn", "transpose", False),
        ("output", "", None, False),
    ]
    assert graph.edges == (Edge(0, 2), Edge(1, 2), Edge(2, 3), Edge(3, 4))
    transpose = graph.nodes[3]
    assert (transpose.group, transpose.mapping) == ("ild_fixed", "shuffle")
    assert (transpose.shape, transpose.dtype, transpose.bytes) == ((8, 4), "f32", 128)


def test_kernels_have_numbers_and_layers_and_edges_pass_reshapes() -> None:
    graph = graph_of_kernels()
    told = [(n.kind, n.name, n.number, n.layers) for n in graph.nodes]
    assert told == [
        ("input", "input 0", None, ("input 0",)),
        ("weight", "bias", None, ("add",)),
        ("kernel", "linalg.generic", 7, ("add", "inner")),
        ("movement", "linalg.transpose", None, ("turn",)),
        ("output", "output", None, ()),
    ]
    assert set(graph.edges) == {Edge(0, 2), Edge(1, 2), Edge(2, 3), Edge(3, 4)}


def test_a_fate_names_kernels_and_rows_of_the_table() -> None:
    row = "ild_fixed -> ili_variable: eliminate first"
    said = [
        Remark("smartmem-eliminate-views", "smartmem.view", 'loc("turn")', True, row),
        Remark("smartmem-form-regions", "linalg.generic", 'loc("turn")', True, "other"),
        Remark(
            "smartmem-eliminate-views", "smartmem.view", 'loc("turn")', False, "has readers"
        ),
    ]
    before, after = graph_of_import(), graph_of_kernels()
    fates = fates_of(before, after, said)
    assert fates[1] == Fate(1, "constant", (2,), ())
    assert fates[2] == Fate(2, "computed", (2,), ())
    assert fates[3] == Fate(3, "kept", (3,), ("has readers",))
    assert [fates[0].outcome, fates[4].outcome] == ["none", "none"]
    without = KernelGraph(tuple(n for n in after.nodes if n.kind != "movement"), ())
    assert fates_of(before, without, said)[3] == Fate(3, "eliminated", (), (row,))
    assert fates_of(before, KernelGraph(), said)[3].outcome == "unknown"


def test_the_graphs_of_a_compilation_agree_with_its_counts(
    compiled_attention: CompiledModel,
) -> None:
    report: Report = compiled_attention.report
    before, after = report.graph_before, report.graph_after
    numbers = [node.number for node in after.nodes if node.number is not None]
    assert sorted(numbers) == sorted(kernel.number for kernel in report.layouts.kernels)
    moving = [n for n in before.nodes if n.movement and not n.is_constant]
    assert len(moving) == report.stages[0].data_movement
    for graph in (before, after):
        assert [node.id for node in graph.nodes] == list(range(len(graph.nodes)))
        assert all(edge.source < edge.target < len(graph.nodes) for edge in graph.edges)
    weights = [node for node in after.nodes if node.kind == "weight"]
    relaid = {t.name for t in report.layouts.tensors if t.kind == "weight"}
    assert relaid <= {node.name for node in weights}
    sizes = {tensor.name: tensor.bytes for tensor in report.layouts.tensors}
    for node in (node for node in after.nodes if isinstance(node, KernelNode)):
        assert sizes.get(f"kernel {node.number}", node.bytes) == node.bytes
    fates = fates_of(before, after, report.remarks)
    assert {"computed", "eliminated"} <= {fate.outcome for fate in fates}
