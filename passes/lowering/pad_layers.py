"""Pad layer after layer, as long as an analysis finds one whose rows should be longer."""

from __future__ import annotations

from collections.abc import Callable

from torch_mlir import ir

from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.row_padding import RowPadding
from smartmem.passes.base import PassContext, erase_unused, operations
from smartmem.passes.lowering.pad_rows import pad_rows

Decision = Callable[[ir.Operation], RowPadding | Refusal | None]


def pad_layers(
    module: ir.Operation,
    context: PassContext,
    decide: Decision,
    argument: str,
    rows: str,
    use: str,
) -> None:
    """Makes the rows longer that ``decide`` says; what it refuses to gets a remark.

    Args:
        argument: the pass, for the remarks.
        rows: what is padded, in the plural: ``columns``.
        use: of their new number: ``whole vectors``.
    """
    while _pad_first(module, context, decide, argument, rows, use):
        erase_unused(module)


def _pad_first(
    module: ir.Operation,
    context: PassContext,
    decide: Decision,
    argument: str,
    rows: str,
    use: str,
) -> bool:
    """Pads the first layer that can be; whether there was one. What is behind it has changed."""
    kept = []
    for op in operations(module):
        found = decide(op)
        if isinstance(found, RowPadding):
            reason = f"{found.new} {rows} instead of {found.old}: {use}"
            context.remark(argument, op, True, reason)
            pad_rows(found, context.parameters)
            return True
        if isinstance(found, Refusal):
            kept.append((op, found))
    for op, refusal in kept:
        context.remark(argument, op, False, refusal.reason)
    return False
