"""Give the loops of an elementwise operation another order; memory stays as it is."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.loop_order import Order


def interchange_loops(op: ir.Operation, order: Order) -> None:
    """Changes the indexing maps of ``op``, a ``linalg.generic`` without reductions.

    The loop indices that its body reads are renumbered with the maps.

    Args:
        order: number of the old loop at each place of the new nest.
    """
    with op.context:
        rank = len(order)
        op.walk(lambda inner: _renumber(inner, order))
        places = [ir.AffineDimExpr.get(order.index(loop)) for loop in range(rank)]
        renamed = ir.AffineMap.get(rank, 0, places)
        maps = [ir.AffineMapAttr(a).value for a in ir.ArrayAttr(op.attributes["indexing_maps"])]
        op.attributes["indexing_maps"] = ir.ArrayAttr.get(
            [
                ir.AffineMapAttr.get(
                    ir.AffineMap.get(rank, 0, [e.compose(renamed) for e in map_.results])
                )
                for map_ in maps
            ]
        )


def _renumber(inner: ir.Operation, order: Order) -> ir.WalkResult:
    if inner.name == "linalg.index":
        old = ir.IntegerAttr(inner.attributes["dim"])
        inner.attributes["dim"] = ir.IntegerAttr.get(old.type, order.index(old.value))
    return ir.WalkResult.ADVANCE
