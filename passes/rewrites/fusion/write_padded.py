"""Let a region write into a padded tensor, which others read in part or whole."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import extract_slice
from smartmem.passes.analysis.fusion.padded_writes import (
    PaddedWrite,
    box_of,
    read_as,
    readers_beside,
)
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.read_elements import EXTRACT, extracts, read_element


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
    for value in dict.fromkeys(map(read_as, beside)):
        _read_part(value, [use for use in beside if read_as(use) == value], whole, write)
    _erase_unused(write.pad, root)
    return whole


def _read_part(
    value: ir.Value, uses: list[ir.OpOperand], whole: ir.Value, write: PaddedWrite
) -> None:
    """Lets what reads ``value``, in its dims, read that part of the padded tensor."""
    box = box_of(value, write)
    assert not isinstance(box, Refusal), "the analysis has seen to that"
    shape, offsets = box
    sizes, ones = list(shape_of(value)), [1] * len(shape)
    part = extract_slice(offsets, sizes, ones)
    with ir.InsertionPoint.after(whole.owner), whole.owner.location:
        padded = build.reshape(whole, shape)
    for use in uses:
        op, number = use.owner.operation, use.operand_number
        if op.name == EXTRACT:
            read_element(op, padded, part)
            continue
        with ir.InsertionPoint(op), op.location:
            slice_ = build.extract_slice(padded, list(offsets), sizes, ones)
        if value == op.operands[number]:
            op.operands[number] = slice_
        else:
            for inner in extracts(value):
                read_element(inner, padded, part)
            value.replace_all_uses_with(slice_)
            op.erase()


def _erase_unused(op: ir.Operation, root: ir.Operation) -> None:
    """Erases ``op`` and the reshapes that only it read, up to ``root``."""
    while op != root and not list(op.results[0].uses):
        producer = op.operands[0].owner.operation
        op.erase()
        op = producer
