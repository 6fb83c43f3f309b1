"""Whether a kernel can write its result into a padded tensor itself.

A ``tensor.pad`` behind a region is a kernel that copies. A region that ends with
``tensor.insert_slice`` into a filled tensor writes in place; only the fill is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Shape
from smartmem.passes.analysis.movement import Refusal, is_static, shape_of
from smartmem.passes.analysis.rows import RESHAPES


@dataclass(frozen=True)
class PaddedWrite:
    """Where a result goes in the padded tensor.

    Attributes:
        pad: the ``tensor.pad``.
        fill: its scalar, a constant.
        shape: of the padded tensor, in the dims of the result.
        offsets: where the result begins in it.
    """

    pad: ir.Operation
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
    fill = _fill(pad)
    if fill is None:
        return Refusal("the padding is computed")
    if _long(source) != _long(result):
        return Refusal("a reshape lies between it and its padding")
    write = _in_dims_of(result, source, pad, fill)
    if isinstance(write, PaddedWrite) and not all(map(_reads_box, _beside(result, write.pad))):
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


def _fill(pad: ir.Operation) -> ir.Value | None:
    end = pad.regions[0].blocks[0].operations[0]
    if len(pad.operands) > 1 or end.operation.name != "tensor.yield":
        return None
    return end.operands[0] if is_static(pad.results[0]) else None


def _in_dims_of(
    result: ir.Value, source: ir.Value, pad: ir.Operation, fill: ir.Value
) -> PaddedWrite | Refusal:
    low = list(ir.DenseI64ArrayAttr(pad.attributes["static_low"]))
    padded = shape_of(pad.results[0])
    long = [d for d, n in enumerate(shape_of(source)) if n > 1]
    if any(padded[d] != 1 for d in range(len(padded)) if d not in long):
        return Refusal("a dim of size 1 is padded")
    places = iter(long)
    shape, offsets = [], []
    for extent in shape_of(result):
        d = next(places) if extent > 1 else None
        shape.append(1 if d is None else padded[d])
        offsets.append(0 if d is None else low[d])
    return PaddedWrite(pad, fill, tuple(shape), tuple(offsets))


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


def _reads_box(use: ir.OpOperand) -> bool:
    op = use.owner.operation
    return op.name not in RESHAPES or _long(op.results[0]) == _long(op.operands[0])


def _long(value: ir.Value) -> list[int]:
    return [extent for extent in shape_of(value) if extent > 1]
