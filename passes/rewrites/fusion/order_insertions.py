"""Insert each part of a tensor as soon as it is computed."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.fusion.insertions import Insertions, offsets_of, sizes_of
from smartmem.passes.analysis.fusion.padded_writes import constant_fill
from smartmem.passes.analysis.ir.chains import defining_op, origin, root_of
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.base import erase_if_unused
from smartmem.passes.rewrites.builders import tensor_ops as build


def order_insertions(found: Insertions) -> None:
    """Replaces the parts by insertions in the order in which their sources are computed.

    A padding of the whole becomes the tensor that they are inserted into.
    """
    block = found.parts[0].block
    numbers = {op.operation: n for n, op in enumerate(block.operations)}
    makers = {part: origin(part.operands[0]) for part in found.parts}
    ordered = sorted(found.parts, key=lambda part: numbers.get(makers[part], -1))
    value = _start(found, makers[ordered[0]])
    last = defining_op(value)
    for part in ordered:
        source = root_of(part.operands[0])
        place = _later(last, defining_op(source))
        begin = [o + s for o, s in zip(offsets_of(part), found.box[1], strict=True)]
        box = [(o, o + n) for o, n in zip(begin, sizes_of(part), strict=True)]
        point = ir.InsertionPoint.at_block_begin(block) if place is None else None
        with point or ir.InsertionPoint.after(place), part.location:
            whole = build.reshape(source, tuple(sizes_of(part)))
            value = build.insert_slice(whole, value, box)
        last = value.owner
    old = found.result.owner.operation
    with ir.InsertionPoint(old), old.location:
        value = build.reshape(value, shape_of(old.results[0]))
    old.results[0].replace_all_uses_with(value)
    _erase_chain(old)


def _start(found: Insertions, first: ir.Operation | None) -> ir.Value:
    """What the parts are inserted into, made before the first of them is computed."""
    block = found.parts[0].block
    start = found.start
    is_empty = not isinstance(start.owner, ir.Block) and start.owner.name == "tensor.empty"
    if found.pad is None and not is_empty:
        return start
    before = next(iter(block.operations)).operation if first is None else first
    fill = None if found.pad is None else constant_fill(found.pad)
    if fill is not None and not isinstance(fill.owner, ir.Block):
        fill.owner.operation.move_before(next(iter(block.operations)))
        if before == fill.owner.operation or first is None:
            before = ir.InsertionPoint.after(fill.owner.operation).ref_operation.operation
    with ir.InsertionPoint(before), found.parts[0].location:
        type_ = build.tensor_type(found.parts[0].results[0], found.box[0])
        return build.empty(type_) if fill is None else build.splat(fill, type_)


def _later(one: ir.Operation | None, other: ir.Operation | None) -> ir.Operation | None:
    if one is None or other is None:
        return one if other is None else other
    return other if one.is_before_in_block(other) else one


def _erase_chain(op: ir.Operation) -> None:
    """Erases ``op`` and, before it, all that only it has needed."""
    operands = list(op.operands)
    if erase_if_unused(op):
        for value in operands:
            if not isinstance(value.owner, ir.Block):
                _erase_chain(value.owner.operation)
