"""Let a contraction read rows as they were before their scale, and scaled weights."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.passes.analysis.fusion.row_scales import RowScale
from smartmem.passes.analysis.ir.loops import indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build


def scale_weights(found: RowScale) -> None:
    """Replaces the contraction by a ``linalg.contract``, and erases the scale of its rows."""
    old = found.contraction
    with found.product.location:
        rows = _reshaped(found)
    with ir.InsertionPoint(old), old.location:
        operands = [rows, rows]
        operands[found.weights] = _scaled(found)
        new = linalg.contract(
            *operands, outs=[old.operands[2]], indexing_maps=indexing_maps(old)
        )
    old.results[0].replace_all_uses_with(new)
    for op in (old, *reversed(found.reshapes), found.product):
        op.erase()


def _reshaped(found: RowScale) -> ir.Value:
    """The rows in the shape in which the contraction reads them."""
    value = found.rows
    for op in found.reshapes:
        with ir.InsertionPoint(op):
            value = build.reshape(value, shape_of(op.results[0]))
    return value


def _scaled(found: RowScale) -> ir.Value:
    """The weights times the scale, at the current insertion point."""
    nest = loop_nest(found.contraction)
    assert nest is not None, "it is a contraction"
    weights = found.contraction.operands[found.weights]
    axis = nest.loops_of(found.weights).index(nest.loops_of(found.operand)[-1])
    return build.combine(arith.mulf, weights, found.scale, [axis])
