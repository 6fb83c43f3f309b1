"""Give the loops of a generic operation another order; memory stays as it is."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map.affine import projection
from smartmem.passes.analysis.fusion.loop_order import Order
from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.rewrites.builders.generalize import generalize


def interchange_loops(op: ir.Operation, order: Order) -> ir.Operation:
    """Changes the indexing maps and iterator types of ``op``; the operation that it is now.

    The loop indices that its body reads are renumbered with the maps. A named operation,
    whose loops have an order of their own, becomes a generic.

    Args:
        order: number of the old loop at each place of the new nest.
    """
    with op.context:
        rank = len(order)
        op = op if op.name == "linalg.generic" else generalize(op)
        op.walk(lambda inner: _renumber(inner, order))
        renamed = projection(rank, [order.index(loop) for loop in range(rank)])
        op.attributes["indexing_maps"] = ir.ArrayAttr.get(
            [
                ir.AffineMapAttr.get(
                    ir.AffineMap.get(rank, 0, [e.compose(renamed) for e in map_.results])
                )
                for map_ in indexing_maps(op)
            ]
        )
        kinds = ir.ArrayAttr(op.attributes["iterator_types"])
        op.attributes["iterator_types"] = ir.ArrayAttr.get([kinds[loop] for loop in order])
    return op


def _renumber(inner: ir.Operation, order: Order) -> ir.WalkResult:
    if inner.name == "linalg.index":
        old = ir.IntegerAttr(inner.attributes["dim"])
        inner.attributes["dim"] = ir.IntegerAttr.get(old.type, order.index(old.value))
    return ir.WalkResult.ADVANCE
