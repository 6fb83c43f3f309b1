"""Insert each part of a tensor as soon as it is computed.

No two tensors begin with the same part. Seen of iree-compile 3.13: of two insertions into one
tensor, the second one is made in place of what the first one has made, which is still read. It
merges insertions that are equal, too.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import Shape
from smartmem.passes.analysis.fusion.insertions import Insertions, Part, destinations
from smartmem.passes.analysis.fusion.padded_writes import constant_fill, uses_beside
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.base import erase_if_unused
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.fusion.read_parts import read_parts

Beginning = tuple[ir.Value, tuple[int, ...], Shape]
"""A part, where it lies, and the shape of the tensor that begins with it."""


def separate_insertions(block: ir.Block) -> None:
    """Gives each chain of insertions its own ones, where several go on from the same."""
    for op in reversed([view.operation for view in block.operations]):
        for use in destinations(op)[1:]:
            with ir.InsertionPoint.after(op):
                use.owner.operands[use.operand_number] = op.clone().results[0]


def order_insertions(found: Insertions, begun: set[Beginning]) -> None:
    """Replaces the parts by insertions in the order in which their sources are computed.

    Args:
        begun: how other tensors begin, which this one must not; it is added to them.

    A padding of the whole becomes the tensor that they are inserted into. What reads a part
    that is written part by part itself reads that place of the whole.
    """
    block = found.chain[0].block
    numbers = {op.operation: n for n, op in enumerate(block.operations)}
    makers = {part: defining_op(part.root) for part in found.parts}
    computed = sorted(found.parts, key=lambda part: numbers.get(makers[part], -1))
    ordered = _begin_anew(computed, found, begun)
    versions = [_start(found, makers[ordered[0]])]
    for part in ordered:
        versions.append(_insert(part, found, versions[-1]))
    roots = [joined.root for joined in found.joined]
    for joined, root in zip(found.joined, roots, strict=True):
        larger = found.box[0], found.place_of(joined)
        read_parts(uses_beside(root, joined.insert), versions[1:], joined.sizes, larger)
    old = found.result.owner.operation
    with ir.InsertionPoint(old), old.location:
        value = build.reshape(versions[-1], shape_of(old.results[0]))
    old.results[0].replace_all_uses_with(value)
    # The inner ones first: to erase a chain can erase those within it.
    for op in (*(root.owner.operation for root in reversed(roots)), old):
        _erase_chain(op)


def _begin_anew(parts: list[Part], found: Insertions, begun: set[Beginning]) -> list[Part]:
    """The parts, the first of them one with which no other tensor begins."""
    keys = {part: (part.root, found.place_of(part), found.box[0]) for part in parts}
    first = next((part for part in parts if keys[part] not in begun), parts[0])
    begun.add(keys[first])
    return [first, *(part for part in parts if part != first)]


def _insert(part: Part, found: Insertions, into: ir.Value) -> ir.Value:
    """Inserts a part once it is computed, and behind what it is inserted into."""
    place = _later(defining_op(into), defining_op(part.root))
    box = [(o, o + n) for o, n in zip(found.place_of(part), part.sizes, strict=True)]
    point = (
        ir.InsertionPoint.at_block_begin(found.chain[0].block)
        if place is None
        else ir.InsertionPoint.after(place)
    )
    with point, part.insert.location:
        return build.insert_slice(build.reshape(part.root, part.sizes), into, box)


def _start(found: Insertions, first: ir.Operation | None) -> ir.Value:
    """What the parts are inserted into, made before the first of them is computed."""
    block = found.chain[0].block
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
    with ir.InsertionPoint(before), found.chain[0].location:
        type_ = build.tensor_type(found.chain[0].results[0], found.box[0])
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
