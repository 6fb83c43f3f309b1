"""Let what reads a tensor read a larger one instead, of which it is a part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch_mlir import ir

from smartmem.index_map import Shape, extract_slice
from smartmem.passes.analysis.fusion.padded_writes import Box, box_in_dims, read_as
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.read_elements import EXTRACT, extracts, read_element


def read_parts(
    uses: Iterable[ir.OpOperand], versions: Sequence[ir.Value], sizes: Shape, larger: Box
) -> None:
    """Lets each use read the part of the last version before it.

    To read an older version later would keep a copy of it.

    Args:
        versions: the larger tensor as more of it is written, in program order; the part is
            in all of them.
        sizes: the shape of the part in the dims of the larger tensor.
        larger: the shape of the larger tensor, and where the part begins in it.
    """
    grouped: dict[tuple[ir.Value, ir.Value], list[ir.OpOperand]] = {}
    for use in uses:
        grouped.setdefault((read_as(use), _latest(versions, use)), []).append(use)
    for (value, version), found in grouped.items():
        box = box_in_dims(shape_of(value), sizes, larger)
        assert not isinstance(box, Refusal), "the analysis has seen to that"
        _read_part(value, found, version, box)


def _latest(versions: Sequence[ir.Value], use: ir.OpOperand) -> ir.Value:
    reader = use.owner.operation
    while reader.block != versions[0].owner.operation.block:  # an element that a body reads
        reader = reader.parent.operation
    ready = [v for v in versions[1:] if v.owner.operation.is_before_in_block(reader)]
    return ready[-1] if ready else versions[0]


def _read_part(
    value: ir.Value, uses: Sequence[ir.OpOperand], whole: ir.Value, box: Box
) -> None:
    """Lets what reads ``value``, in its dims, read that part of the larger tensor."""
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
