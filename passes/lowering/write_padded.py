"""Let a region write into a padded tensor, which others read in part or whole."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.movement import Refusal, shape_of
from smartmem.passes.analysis.padding import PaddedWrite, box_of, read_as, readers_beside
from smartmem.passes.lowering import tensor_ops as build


def write_padded(result: ir.Value, write: PaddedWrite) -> ir.Value:
    """Inserts ``result`` into a filled tensor behind its operation; that insert's value.

    The pad's readers get it, and the other readers a slice of it.
    """
    root = result.owner.operation
    beside = readers_beside(result, write)
    with ir.InsertionPoint(root), root.location:
        padded = build.splat(write.fill, build.tensor_type(result, write.shape))
    box = [(o, o + n) for o, n in zip(write.offsets, shape_of(result), strict=True)]
    with ir.InsertionPoint.after(root), root.location:
        whole = build.insert_slice(result, padded, box)
        replacement = build.reshape(whole, shape_of(write.pad.results[0]))
    write.pad.results[0].replace_all_uses_with(replacement)
    for use in beside:
        _read_part(use, whole, write, root.location)
    _erase_unused(write.pad, root)
    return whole


def _read_part(
    use: ir.OpOperand, whole: ir.Value, write: PaddedWrite, location: ir.Location
) -> None:
    """Lets a use of the result read its part of the padded tensor, in the dims it reads."""
    op, number = use.owner.operation, use.operand_number
    value = read_as(use)
    box = box_of(value, write)
    assert not isinstance(box, Refusal), "the analysis has seen to that"
    shape, offsets = box
    with ir.InsertionPoint(op), location:
        sizes = list(shape_of(value))
        padded = build.reshape(whole, shape)
        part = build.extract_slice(padded, list(offsets), sizes, [1] * len(sizes))
    if value == op.operands[number]:
        op.operands[number] = part
    else:
        value.replace_all_uses_with(part)
        op.erase()


def _erase_unused(op: ir.Operation, root: ir.Operation) -> None:
    """Erases ``op`` and the reshapes that only it read, up to ``root``."""
    while op != root and not list(op.results[0].uses):
        producer = op.operands[0].owner.operation
        op.erase()
        op = producer
