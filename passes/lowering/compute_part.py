"""Compute a part of a body in an operation of its own, before the operation."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.index_map import from_affine
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.bodies import Body, Operand
from smartmem.passes.analysis.expressions import ARGUMENT, Node, arguments
from smartmem.passes.lowering import tensor_ops as build
from smartmem.passes.lowering.rebuild_bodies import build_expression, rebuild


def compute_part(body: Body, part: Node) -> None:
    """Replaces the operation by one that reads ``part``, which another one computes.

    The part's loops are those that it varies along, in the order of the result.
    """
    nest = body.nest
    varying = body.loops(part)
    loops = [d for d in nest.written if d in varying]
    numbers = arguments(part)
    shape = [nest.domain[d] for d in loops]
    with ir.InsertionPoint(body.op), body.op.location:
        init = build.empty(ir.RankedTensorType.get(shape, part.type))
        values = [body.operands[number].value for number in numbers]
        maps = [_over(body.operands[number].map, loops) for number in numbers]

        def compute(elements: Sequence[ir.Value]) -> ir.Value:
            return build_expression(part, dict(zip(numbers, elements, strict=True)))

        value = build.elementwise(values, maps, init, compute)
        map_ = projection(len(nest.domain), loops)
    body.operands.append(Operand(value, map_, from_affine(map_, nest.domain)))
    read = body.pool.node(ARGUMENT, part.type, payload=len(body.operands) - 1)
    rebuild(body, body.pool.replaced(body.root, {part: read}))


def _over(map_: ir.AffineMap, loops: Sequence[int]) -> ir.AffineMap:
    """An operand's map over ``loops`` alone, which are all that index it beside zeros."""
    context = map_.context
    at = {d: ir.AffineDimExpr.get(k, context) for k, d in enumerate(loops)}
    zero = ir.AffineConstantExpr.get(0, context)
    exprs = [
        at.get(e.position, zero) if isinstance(e, ir.AffineDimExpr) else e for e in map_.results
    ]
    return ir.AffineMap.get(len(loops), 0, exprs, context)
