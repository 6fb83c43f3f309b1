"""Give the loops of an elementwise operation another order; memory stays as it is."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.loop_order import Order


def interchange_loops(op: ir.Operation, order: Order) -> None:
    """Changes the indexing maps of ``op``, a ``linalg.generic`` without reductions.

    Args:
        op: its body reads no loop index.
        order: number of the old loop at each place of the new nest.
    """
    with op.context:
        rank = len(order)
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
