"""Whether a kernel can write its result into a padded tensor itself.

A ``tensor.pad`` behind a region is a kernel that copies. A region that ends with
``tensor.insert_slice`` into a filled tensor writes in place; only the fill is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Shape, reassociation
from smartmem.passes.analysis.ir.movement import Refusal, is_static, shape_of
from smartmem.passes.analysis.operators.row_reductions import RESHAPES

Box = tuple[Shape, tuple[int, ...]]
"""Shape of a padded tensor, and where what it pads begins in it."""


@dataclass(frozen=True)
class PaddedWrite:
    """Where a result goes in the padded tensor.

    Attributes:
        pad: the ``tensor.pad``.
        source: what it pads, the result or a reshape of it.
        fill: its scalar, a constant.
        shape: of the padded tensor, in the dims of the result.
        offsets: where the result begins in it.
    """

    pad: ir.Operation
    source: ir.Value
    fill: ir.Value
    shape: Shape
    offsets: tuple[int, ...]


def padded_write(result: ir.Value) -> PaddedWrite | Refusal | None:
    """How ``result`` can be written into the one padded tensor made of it.

    Returns:
        None if nothing pads it.
    """
    pads = list(_pads(result))
    if not pads:
        return None
    if len(pads) > 1:
        return Refusal("it is padded in several ways")
    pad, source = pads[0]
    fill = constant_fill(pad)
    if fill is None:
        return Refusal("the padding is computed")
    box = _box_in_dims_of(result, source, pad)
    if isinstance(box, Refusal):
        return box
    write = PaddedWrite(pad, source, fill, *box)
    if any(isinstance(box_of(value, write), Refusal) for value in _read_beside(result, pad)):
        return Refusal("others read it in other dims, in which a part is no box")
    return write


def _pads(value: ir.Value) -> list[tuple[ir.Operation, ir.Value]]:
    """The pads of ``value``, also behind a reshape, each with what it pads."""
    found = []
    for use in value.uses:
        op = use.owner.operation
        if op.name == "tensor.pad" and use.operand_number == 0:
            found.append((op, value))
        elif op.name in RESHAPES:
            found += _pads(op.results[0])
    return found


def constant_fill(pad: ir.Operation) -> ir.Value | None:
    """The scalar that a ``tensor.pad`` of static shape pads with; None if it is computed."""
    end = pad.regions[0].blocks[0].operations[0]
    if len(pad.operands) > 1 or end.operation.name != "tensor.yield":
        return None
    return end.operands[0] if is_static(pad.results[0]) else None


def box_of(value: ir.Value, write: PaddedWrite) -> Box | Refusal:
    """The padded tensor in the dims of ``value``, a reshape of the result, and its place."""
    return _box_in_dims_of(value, write.source, write.pad)


def _box_in_dims_of(value: ir.Value, source: ir.Value, pad: ir.Operation) -> Box | Refusal:
    low = list(ir.DenseI64ArrayAttr(pad.attributes["static_low"]))
    padded, old, new = shape_of(pad.results[0]), shape_of(source), shape_of(value)
    shape, offsets = list(new), [0] * len(new)
    for before, after in reassociation(old, new):
        moved = [d for d in before if padded[d] != old[d]]
        if not moved:
            continue
        long = [d for d in after if new[d] > 1]
        if len(moved) > 1 or [old[d] for d in before if old[d] > 1] != [new[d] for d in long]:
            return Refusal("a reshape lies between it and its padding")
        if old[moved[0]] == 1:
            return Refusal("a dim of size 1 is padded")
        place = long[[d for d in before if old[d] > 1].index(moved[0])]
        shape[place], offsets[place] = padded[moved[0]], low[moved[0]]
    return tuple(shape), tuple(offsets)


def readers_beside(result: ir.Value, write: PaddedWrite) -> list[ir.OpOperand]:
    """The uses of ``result`` that do not lead to the pad alone."""
    return _beside(result, write.pad)


def _beside(result: ir.Value, pad: ir.Operation) -> list[ir.OpOperand]:
    return [use for use in result.uses if not _leads_to(use.owner.operation, pad)]


def _leads_to(op: ir.Operation, pad: ir.Operation) -> bool:
    if op == pad:
        return True
    uses: Sequence[ir.OpOperand] = list(op.results[0].uses) if op.name in RESHAPES else []
    return bool(uses) and all(_leads_to(use.owner.operation, pad) for use in uses)


def _read_beside(result: ir.Value, pad: ir.Operation) -> list[ir.Value]:
    """The result, or the reshapes of it, as operations that do not lead to the pad read it."""
    return [read_as(use) for use in _beside(result, pad)]


def read_as(use: ir.OpOperand) -> ir.Value:
    """What a use reads: the value, or the reshape that uses it."""
    op = use.owner.operation
    value: ir.Value = op.results[0] if op.name in RESHAPES else op.operands[use.operand_number]
    return value
