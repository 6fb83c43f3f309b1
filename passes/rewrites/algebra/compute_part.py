"""Compute a part of a body in an operation of its own, before the operation."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.index_map import from_affine
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.scalars.bodies import Body, Operand
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, Node, arguments
from smartmem.passes.base import erase_if_unused
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.rebuild_bodies import build_expression, rebuild


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
        values = [body.operands[number].value for number in numbers]
        maps = [_over(body.operands[number].map, loops) for number in numbers]
        blocks = _blocks(values, maps)
        if blocks is not None:
            values = [_in_blocks(value, blocks) for value in values]
            maps = [projection(len(blocks), range(len(blocks)))] * len(values)
        init = build.empty(ir.RankedTensorType.get(blocks or shape, part.type))

        def compute(elements: Sequence[ir.Value]) -> ir.Value:
            return build_expression(part, dict(zip(numbers, elements, strict=True)))

        value = build.reshape(build.elementwise(values, maps, init, compute), tuple(shape))
        map_ = projection(len(nest.domain), loops)
    body.operands.append(Operand(value, map_, from_affine(map_, nest.domain)))
    read = body.pool.node(ARGUMENT, part.type, payload=len(body.operands) - 1)
    rebuild(body, body.pool.replaced(body.root, {part: read}))
    for number in numbers:
        owner = body.operands[number].value.owner
        if not isinstance(owner, ir.Block):
            erase_if_unused(owner.operation)  # a reshape that the new operation sees through


def _blocks(values: Sequence[ir.Value], maps: Sequence[ir.AffineMap]) -> list[int] | None:
    """The dims in which packed channels are computed that all of ``values`` are indexed by.

    Over them, the new operation is the end of the kernel that makes the channels.
    """
    whole = ir.AffineMap.get_identity(1, maps[0].context) if maps else None
    if any(map_ != whole for map_ in maps):
        return None
    made = [value.owner for value in values if not isinstance(value.owner, ir.Block)]
    packed = [owner for owner in made if owner.name == "tensor.collapse_shape"]
    return list(shape_of(packed[0].operands[0])) if packed else None


def _in_blocks(value: ir.Value, blocks: Sequence[int]) -> ir.Value:
    """``value`` in these dims: what was reshaped, or a reshape where the value is made.

    The kernel that it becomes an operand of begins before the operation here.
    """
    owner = value.owner
    if isinstance(owner, ir.Block):
        with ir.InsertionPoint.at_block_begin(owner):
            return build.reshape(value, tuple(blocks))
    reshaped = owner.name == "tensor.collapse_shape"
    if reshaped and list(shape_of(owner.operands[0])) == list(blocks):
        return owner.operands[0]
    with ir.InsertionPoint.after(owner.operation):
        return build.reshape(value, tuple(blocks))


def _over(map_: ir.AffineMap, loops: Sequence[int]) -> ir.AffineMap:
    """An operand's map over ``loops`` alone, which are all that index it beside zeros."""
    context = map_.context
    at = {d: ir.AffineDimExpr.get(k, context) for k, d in enumerate(loops)}
    zero = ir.AffineConstantExpr.get(0, context)
    exprs = [
        at.get(e.position, zero) if isinstance(e, ir.AffineDimExpr) else e for e in map_.results
    ]
    return ir.AffineMap.get(len(loops), 0, exprs, context)
