"""Let a region write into a larger tensor, which others read in part or whole."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.fusion.insertions import are_apart
from smartmem.passes.analysis.fusion.padded_writes import (
    INSERT,
    PaddedWrite,
    place_in,
    uses_beside,
)
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.fusion.read_parts import read_parts


def write_padded(result: ir.Value, write: PaddedWrite) -> ir.Value:
    """Inserts ``result`` into the larger tensor behind its operation; that insert's value.

    The readers of the larger tensor get it, and the other readers a slice of it.
    """
    root = result.owner.operation
    beside = uses_beside(result, write.pad)
    place = place_in(write.source, write.pad)
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
    versions = [whole]
    if write.fill is None:
        versions += _later_versions(replacement, write.pad)
    read_parts(beside, versions, *place)
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


def _erase_unused(op: ir.Operation, root: ir.Operation) -> None:
    """Erases ``op`` and the reshapes that only it read, up to ``root``."""
    while op != root and not list(op.results[0].uses):
        producer = op.operands[0].owner.operation
        op.erase()
        op = producer
