"""Concats that begin with all pieces of another one, as each layer of a DenseNet block has."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

_CONCAT = "tensor.concat"


def shared_pieces(
    operations: Sequence[ir.Operation],
) -> list[tuple[ir.Operation, ir.Operation, int]]:
    """Each concat that begins with the pieces of one before it; that one; how many they are.

    Args:
        operations: of one block, in program order.
    """
    found = []
    before: dict[tuple[int, ir.Value], list[tuple[ir.Operation, list[ir.Value]]]] = {}
    for op in operations:
        if op.name != _CONCAT:
            continue
        pieces = list(op.operands)
        others = before.setdefault((_axis(op), pieces[0]), [])
        fitting = [o for o in others if o[1] == pieces[: len(o[1])] and o[0].block == op.block]
        if len(pieces) > 1 and fitting:
            longest, known = max(fitting, key=lambda other: len(other[1]))
            found.append((op, longest, len(known)))
        others.append((op, pieces))
    return found


def _axis(concat: ir.Operation) -> int:
    return ir.IntegerAttr(concat.attributes["dim"]).value
