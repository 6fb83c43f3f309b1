"""Tensors that are written part by part: chains of ``tensor.insert_slice``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.padded_writes import (
    INSERT,
    Box,
    box_in_dims_of,
    constant_fill,
)
from smartmem.passes.analysis.ir.chains import defining_op, uses_of
from smartmem.passes.analysis.ir.movement import Refusal, shape_of


@dataclass(frozen=True)
class Insertions:
    """A tensor whose parts do not overlap.

    Attributes:
        parts: the insertions, in program order.
        pad: the ``tensor.pad`` that alone reads the tensor; None if others do.
        box: shape of what is padded, or of the tensor, in the dims of the tensor; and where
            the tensor begins in it.
    """

    parts: tuple[ir.Operation, ...]
    pad: ir.Operation | None
    box: Box

    @property
    def start(self) -> ir.Value:
        """What the first part is inserted into."""
        return self.parts[0].operands[1]

    @property
    def result(self) -> ir.Value:
        """The tensor with all parts."""
        return (self.parts[-1] if self.pad is None else self.pad).results[0]


def insertions(block: ir.Block) -> list[Insertions]:
    """The tensors of ``block`` that are written in at least two parts."""
    found = []
    for op in (view.operation for view in block.operations):
        if op.name != INSERT or any(map(_is_part, _uses(op))):
            continue
        parts = list(reversed(list(_chain(op))))
        if len(parts) > 1 and are_apart(parts):
            found.append(_insertions(parts))
    return found


def offsets_of(insert: ir.Operation) -> list[int]:
    """Where the inserted tensor begins."""
    return list(ir.DenseI64ArrayAttr(insert.attributes["static_offsets"]))


def sizes_of(insert: ir.Operation) -> list[int]:
    """The shape of the inserted tensor with the dims of size 1 that it may lack."""
    return list(ir.DenseI64ArrayAttr(insert.attributes["static_sizes"]))


def _uses(op: ir.Operation) -> list[ir.OpOperand]:
    return list(op.results[0].uses)


def _is_part(use: ir.OpOperand) -> bool:
    return use.owner.name == INSERT and use.operand_number == 1


def _chain(last: ir.Operation) -> Iterator[ir.Operation]:
    """The insertions from the last to the first, each the only reader of the one before."""
    yield last
    while (op := defining_op(last.operands[1])) is not None and op.name == INSERT:
        if len(_uses(op)) > 1:
            break
        yield op
        last = op


def are_apart(parts: Sequence[ir.Operation]) -> bool:
    """Whether each insertion has a place of its own: their order is free."""
    if len({len(offsets_of(op)) for op in parts}) > 1:
        return False  # a reshape lies between
    boxes = []
    for op in parts:
        steps = set(ir.DenseI64ArrayAttr(op.attributes["static_strides"]))
        if len(op.operands) > 2 or steps - {1}:
            return False
        boxes.append([(o, o + n) for o, n in zip(offsets_of(op), sizes_of(op), strict=True)])
    return not any(_overlap(a, b) for k, a in enumerate(boxes) for b in boxes[:k])


def _overlap(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> bool:
    return all(x[0] < y[1] and y[0] < x[1] for x, y in zip(a, b, strict=True))


def _insertions(parts: list[ir.Operation]) -> Insertions:
    last = parts[-1].results[0]
    pad = _pad(last)
    if pad is not None and not isinstance(box := box_in_dims_of(last, *pad), Refusal):
        return Insertions(tuple(parts), pad[1], box)
    shape = shape_of(last)
    return Insertions(tuple(parts), None, (shape, (0,) * len(shape)))


def _pad(value: ir.Value) -> tuple[ir.Value, ir.Operation] | None:
    """What is padded, ``value`` or a reshape of it, and its padding, if nothing else reads it."""
    uses = uses_of(value)
    if len(uses) != 1:
        return None
    op = uses[0].owner.operation
    if op.name != "tensor.pad" or uses[0].operand_number or constant_fill(op) is None:
        return None
    return op.operands[0], op
