"""Whether a kernel can write its result into a part of a larger tensor itself.

A ``tensor.pad`` or ``tensor.insert_slice`` behind a region is a kernel that copies. A region
that ends with ``tensor.insert_slice`` writes in place; only the fill of a padding is left. A
concat is a chain of insertions, in the order in which its pieces are computed (ALT's
``store_at``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Shape, reassociation
from smartmem.passes.analysis.ir.chains import RESHAPES, defining_op, readers, uses_of
from smartmem.passes.analysis.ir.movement import Refusal, is_static, shape_of

_PAD, INSERT = "tensor.pad", "tensor.insert_slice"

_OFFSETS = {_PAD: "static_low", INSERT: "static_offsets"}
"""The attribute that says where in each dim of the larger tensor the smaller one begins."""

Box = tuple[Shape, tuple[int, ...]]
"""Shape of a padded tensor, and where what it pads begins in it."""


@dataclass(frozen=True)
class PaddedWrite:
    """Where a result goes in a larger tensor.

    Attributes:
        pad: the ``tensor.pad`` or ``tensor.insert_slice``.
        source: what it pads or inserts, the result or a reshape of it.
        fill: the scalar of a padding, a constant; None of an insertion.
        shape: of the larger tensor, in the dims of the result.
        offsets: where the result begins in it.
    """

    pad: ir.Operation
    source: ir.Value
    fill: ir.Value | None
    shape: Shape
    offsets: tuple[int, ...]


def padded_write(result: ir.Value) -> PaddedWrite | Refusal | None:
    """How ``result`` can be written into the one larger tensor made of it.

    Returns:
        None if nothing pads or inserts it.
    """
    targets = list(_targets(result))
    if not targets:
        return None
    pads = [target for target in targets if target[0].name == _PAD]
    if len(pads) > 1:
        return Refusal("it is padded in several ways")
    if not pads and _is_returned(result):
        return Refusal("it is returned, too: that would be a copy")
    # What is padded and inserted is written where its padding is, and inserted by a copy.
    target, source = (pads or targets)[0]
    if target.name == INSERT and not _is_made_before(target.operands[1], result):
        return Refusal("what it would be inserted into is made later")
    fill = constant_fill(target) if target.name == _PAD else None
    if target.name == _PAD and fill is None:
        return Refusal("the padding is computed")
    box = box_in_dims_of(result, source, target)
    if isinstance(box, Refusal):
        return box
    write = PaddedWrite(target, source, fill, *box)
    if any(isinstance(box_of(value, write), Refusal) for value in _read_beside(result, target)):
        return Refusal("others read it in other dims, in which a part is no box")
    return write


def _targets(value: ir.Value) -> list[tuple[ir.Operation, ir.Value]]:
    """What pads or inserts ``value``, also behind a reshape, each with what it takes."""
    return [
        (use.owner.operation, use.owner.operands[0])
        for use in uses_of(value)
        if use.owner.name in (_PAD, INSERT) and use.operand_number == 0
    ]


def _is_made_before(value: ir.Value, other: ir.Value) -> bool:
    op = defining_op(value)
    return op is None or bool(op.is_before_in_block(other.owner.operation))


def _is_returned(value: ir.Value) -> bool:
    return any(op.name == "func.return" for op in readers(value))


def constant_fill(pad: ir.Operation) -> ir.Value | None:
    """The scalar that a ``tensor.pad`` of static shape pads with; None if it is computed."""
    end = pad.regions[0].blocks[0].operations[0]
    if len(pad.operands) > 1 or end.operation.name != "tensor.yield":
        return None
    return end.operands[0] if is_static(pad.results[0]) else None


def box_of(value: ir.Value, write: PaddedWrite) -> Box | Refusal:
    """The padded tensor in the dims of ``value``, a reshape of the result, and its place."""
    return box_in_dims_of(value, write.source, write.pad)


def box_in_dims_of(value: ir.Value, source: ir.Value, pad: ir.Operation) -> Box | Refusal:
    """The larger tensor in the dims of ``value``, which is ``source`` but for a reshape."""
    return box_in_dims(shape_of(value), *place_in(source, pad))


def place_in(source: ir.Value, pad: ir.Operation) -> tuple[Shape, Box]:
    """The shape of ``source`` in the dims of the larger tensor; that tensor, and the place."""
    low = tuple(ir.DenseI64ArrayAttr(pad.attributes[_OFFSETS[pad.name]]))
    old = shape_of(source)
    if pad.name == INSERT:  # which can drop dims of size 1
        old = tuple(ir.DenseI64ArrayAttr(pad.attributes["static_sizes"]))
    return old, (shape_of(pad.results[0]), low)


def box_in_dims(new: Shape, old: Shape, larger: Box) -> Box | Refusal:
    """A larger tensor and a part's place in it, in the dims to which the part is reshaped.

    Args:
        new: the shape of the part behind its reshape.
        old: the shape of the part in the larger tensor.
    """
    padded, low = larger
    shape, offsets = list(new), [0] * len(new)
    for before, after in reassociation(old, new):
        moved = [d for d in before if padded[d] != old[d]]
        if not moved:
            continue
        long = [d for d in after if new[d] > 1]
        split = _blocks(before, long, old, new)
        if len(moved) > 1 or split is None:
            return Refusal("a reshape lies between it and its padding")
        if old[moved[0]] == 1:
            return Refusal("a dim of size 1 is padded")
        place, block = split[moved[0]]
        if padded[moved[0]] % block or low[moved[0]] % block:
            return Refusal("its blocks do not lie in whole blocks")
        shape[place], offsets[place] = padded[moved[0]] // block, low[moved[0]] // block
    return tuple(shape), tuple(offsets)


def _blocks(
    before: Sequence[int], long: Sequence[int], old: Shape, new: Shape
) -> dict[int, tuple[int, int]] | None:
    """For each long dim before a reshape, the dim of its blocks behind it and their size.

    Returns:
        None if the reshape does more than split the only dim, or drop dims of size 1.
    """
    kept = [d for d in before if old[d] > 1]
    if [old[d] for d in kept] == [new[d] for d in long]:
        return {d: (place, 1) for d, place in zip(kept, long, strict=True)}
    if len(kept) != 1 or not long:
        return None
    return {kept[0]: (long[0], old[kept[0]] // new[long[0]])}


def uses_beside(value: ir.Value, pad: ir.Operation) -> list[ir.OpOperand]:
    """The uses of ``value`` that do not lead to ``pad`` alone."""
    return [use for use in value.uses if not _leads_to(use.owner.operation, pad)]


def _leads_to(op: ir.Operation, pad: ir.Operation) -> bool:
    if op == pad:
        return True
    uses: Sequence[ir.OpOperand] = list(op.results[0].uses) if op.name in RESHAPES else []
    return bool(uses) and all(_leads_to(use.owner.operation, pad) for use in uses)


def _read_beside(result: ir.Value, pad: ir.Operation) -> list[ir.Value]:
    """The result, or the reshapes of it, as operations that do not lead to the pad read it."""
    return [read_as(use) for use in uses_beside(result, pad)]


def read_as(use: ir.OpOperand) -> ir.Value:
    """What a use reads: the value, or the reshape that uses it."""
    op = use.owner.operation
    value: ir.Value = op.results[0] if op.name in RESHAPES else op.operands[use.operand_number]
    return value
