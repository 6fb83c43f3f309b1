"""Let a contraction sum in another order: its weights are permuted now."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import IndexMap, compose, dim, identity
from smartmem.index_map import expr as ex
from smartmem.index_map.taking import take
from smartmem.parameters import Parameters
from smartmem.passes.analysis.elimination.reduction_order import InWeights
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.loops.split_loops import view_as


def permute_reduction(found: InWeights, parameters: Parameters) -> None:
    """Makes both operands of the contraction run through the reduction in ``order``."""
    op, operand = found.op, found.operand
    data, weights = op.operands[operand], op.operands[1 - operand]
    data_axis, weights_axis = found.axes
    with ir.InsertionPoint(op), op.location:
        op.operands[operand] = view_as(data, _along(data, data_axis, found.order))
        array = take(_along(weights, weights_axis, found.order), found.weights)
        op.operands[1 - operand] = constant_tensor("permuted", array, weights.type, parameters)


def _along(value: ir.Value, axis: int, order: IndexMap) -> IndexMap:
    """``order`` along ``axis`` of ``value``, the other dims as they are."""
    unit = identity(shape_of(value))
    permuted = ex.substitute(order.exprs[0], [dim(axis)], unit.shape)
    exprs = (permuted if k == axis else e for k, e in enumerate(unit.exprs))
    return compose(unit, IndexMap(tuple(exprs), unit.shape))
