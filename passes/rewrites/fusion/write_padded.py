"""Let a region write into a larger tensor, which others read in part or whole."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import extract_slice
from smartmem.passes.analysis.fusion.insertions import are_apart
from smartmem.passes.analysis.fusion.padded_writes import (
    INSERT,
    PaddedWrite,
    box_of,
    read_as,
    readers_beside,
)
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.read_elements import EXTRACT, extracts, read_element


def write_padded(result: ir.Value, write: PaddedWrite) -> ir.Value:
    """Inserts ``result`` into the larger tensor behind its operation; that insert's value.

    The readers of the larger tensor get it, and the other readers a slice of it.
    """
    root = result.owner.operation
    beside = readers_beside(result, write)
    with ir.InsertionPoint(root), root.location:
        if write.fill is None:
            padded = build.reshape(write.pad.operands[1], write.shape)
        else:
            padded = build.splat(write.fill, build.tensor_type(result, write.shape))
    box = [(o, o + n) for o, n in zip(write.offsets, shape_of(result), strict=True)]
    with ir.InsertionPoint.after(root), root.location:
        whole = build.insert_slice(result, padded, box)
        replacement = build.reshape(whole, shape_of(write.pad.results[0]))
    write.pad.results[0].replace_all_uses_with(replacement)
    parts: dict[tuple[ir.Value, ir.Value], list[ir.OpOperand]] = {}
    versions = [whole]
    if write.fill is None:
        versions += _later_versions(replacement, write.pad)
    for use in beside:
        parts.setdefault((read_as(use), _latest(versions, use)), []).append(use)
    for (value, version), uses in parts.items():
        _read_part(value, uses, version, write)
    _erase_unused(write.pad, root)
    return whole


def _later_versions(value: ir.Value, part: ir.Operation) -> list[ir.Value]:
    """What ``value`` becomes as others are inserted beside ``part``, one by one."""
    for use in value.uses:
        op = use.owner.operation
        if op.name == INSERT and use.operand_number == 1 and are_apart((part, op)):
            return [op.results[0], *_later_versions(op.results[0], part)]
        if op.name in RESHAPES and (found := _later_versions(op.results[0], part)):
            return found
    return []


def _latest(versions: list[ir.Value], use: ir.OpOperand) -> ir.Value:
    """The last version before a reader: to read an older one later would keep a copy of it."""
    reader = use.owner.operation
    ready = [v for v in versions[1:] if v.owner.operation.is_before_in_block(reader)]
    return ready[-1] if ready else versions[0]


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
