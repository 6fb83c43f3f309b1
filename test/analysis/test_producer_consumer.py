"""Each cell of SmartMem's tables 5 and 6 decides: another cell is another decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch_mlir import ir

from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import (
    ClassifyOps,
    ComposeViews,
    EliminateViews,
    LowerToLinalg,
    Pass,
    PassContext,
    RaiseViews,
)
from smartmem.passes.analysis.elimination.producer_consumer import (
    TABLE,
    Pair,
    PairTable,
    Search,
)
from smartmem.passes.analysis.fusion.plan import fusion_plan
from smartmem.passes.analysis.layout.formats import graph_of
from smartmem.passes.analysis.operators.classification import classify, tensor_operations

pytestmark = pytest.mark.usefixtures("mlir_context")

FOLDER = Path(__file__).parents[1] / "passes"
ROWS = {f"{row.first} -> {row.second}": row for row in TABLE.rows.values()}
ELIMINATED = {name: row for name, row in ROWS.items() if "eliminate" in row.act}
BOTH_COMPUTE = "ild_variable -> ild_variable"
FUSED = {name: row for name, row in ROWS.items() if row.act == "try to fuse"}


# Behind a slice nothing has to move, whatever the table says: these read backwards.
BACKWARDS = """
func.func @main(%x: tensor<8x5xf32>) -> tensor<8xf32> {{
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %i = linalg.fill ins(%c : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  {computed}
  %r = "smartmem.view"(%y) {{map = affine_map<(d0) -> (7 - d0)>}} : (tensor<8xf32>) -> tensor<8xf32>
  return %r : tensor<8xf32>
}}"""
SUM = """%y = linalg.reduce ins(%x : tensor<8x5xf32>) outs(%i : tensor<8xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %s = arith.addf %a, %b : f32  linalg.yield %s : f32 }"""
EXP = """%z = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0, 3)>} : (tensor<8x5xf32>) -> tensor<8xf32>
  %y = linalg.exp ins(%z : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>"""
OWN = {
    "ild_variable -> ili_fixed": SUM,
    "ili_variable -> ili_fixed": EXP,
}


def example(name: str) -> ir.Module:
    """A function in which a pair of the cell is met."""
    if name in OWN:
        return ir.Module.parse(BACKWARDS.format(computed=OWN[name]))
    row = ROWS[name]
    file = FOLDER / f"eliminate-views-after-{row.first.replace('_', '-')}.mlir"
    parts = [p for p in file.read_text().split("// -----") if f"@then_{row.second}" in p]
    assert len(parts) == 1
    return ir.Module.parse(parts[0])


def compiled(module: ir.Module, pairs: PairTable, *passes: Pass) -> list[ir.Operation]:
    """The operations that passes leave of ``module``."""
    run_pipeline(module, [RaiseViews(), ClassifyOps(), *passes], PassContext(pairs=pairs))
    return [op.operation for op in module.body.operations[0].regions[0].blocks[0]]


def test_the_table_has_all_pairs_of_groups() -> None:
    groups = {row.first for row in TABLE.rows.values()}
    assert len(groups) == 4
    assert set(TABLE.rows) == {(a, b) for a in groups for b in groups}
    assert all((row.first, row.second) == key for key, row in TABLE.rows.items())


def kept(row: Pair) -> PairTable:
    return TABLE.with_row(replace(row, act="keep both"))


@pytest.mark.parametrize("name", ELIMINATED)
def test_a_movement_stays_where_its_cell_keeps_both(name: str) -> None:
    row = ROWS[name]
    passes = [ComposeViews()] if row.result is None else [ComposeViews(), EliminateViews()]
    moves = []
    for table in (TABLE, kept(row)):
        left = compiled(example(name), table, *passes)
        moves.append([op.name == "smartmem.view" for op in left])
    # Behind what computes it is one of its readers; in front of it, it is how it reads.
    assert moves[1][-2] > moves[0][-2] if name in OWN else sum(moves[1]) > sum(moves[0])


@pytest.mark.parametrize("name", FUSED)
def test_the_plan_keeps_apart_what_its_cell_keeps(name: str) -> None:
    module = example(name)
    passes = (ComposeViews(), EliminateViews(), LowerToLinalg())
    block = compiled(module, TABLE, *passes)[0].block
    refused = [
        [pair.reason for pair in fusion_plan(block, lambda *_: None, pairs=table).refused]
        for table in (TABLE, kept(ROWS[name]))
    ]
    assert refused == [[], [ROWS[name].reason]]


@pytest.mark.parametrize("name", ROWS)
def test_what_is_left_is_of_the_group_in_the_table(name: str) -> None:
    row, module = ROWS[name], example(name)
    compiled(module, TABLE, ComposeViews(), EliminateViews())
    computed = [op for op in tensor_operations(module.operation) if "linalg" in op.name]
    groups = {classify(op).group for op in computed if op.name != "linalg.fill"}
    assert row.result is None or row.result in groups


@pytest.mark.parametrize(("search", "free"), [("both", 1), ("none", 0)])
def test_a_layout_is_searched_where_its_cell_says_so(search: Search, free: int) -> None:
    row, module = ROWS[BOTH_COMPUTE], example(BOTH_COMPUTE)
    block = module.body.operations[0].regions[0].blocks[0]
    graph = graph_of(block, TABLE.with_row(replace(row, search=search)))
    assert len(graph.tensors) == free
