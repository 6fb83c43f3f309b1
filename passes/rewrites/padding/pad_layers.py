"""Pad layer after layer, as long as an analysis finds one whose rows should be longer."""

from __future__ import annotations

from collections.abc import Callable

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.classification import tensor_operations
from smartmem.passes.analysis.padding.row_padding import RowPadding
from smartmem.passes.base import PassContext, erase_unused
from smartmem.passes.rewrites.padding.pad_rows import pad_rows

Found = RowPadding | Refusal | None
Decision = Callable[[ir.Operation], Found]

MAX_SWEEPS = 16
"""Times that all operations are looked at: where one is padded, others may be next."""


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

    def pad(op: ir.Operation, found: RowPadding) -> None:
        reason = f"{found.new} {rows} instead of {found.old}: {use}"
        context.remark(argument, op, True, reason)
        pad_rows(found, context.parameters)
        erase_unused(module)

    for _ in range(MAX_SWEEPS):
        decided: dict[ir.Value, tuple[ir.Operation, Found]] = {}
        while _pad_next(module, context, decide, decided, pad):
            pass
        if not any(isinstance(found, RowPadding) for _, found in decided.values()):
            break
    else:
        return  # what is kept may have been replaced, and each sweep left a right program
    for op, kept in decided.values():
        if isinstance(kept, Refusal):
            context.remark(argument, op, False, kept.reason)


def _pad_next(
    module: ir.Operation,
    context: PassContext,
    decide: Decision,
    decided: dict[ir.Value, tuple[ir.Operation, Found]],
    pad: Callable[[ir.Operation, RowPadding], None],
) -> bool:
    """Pads the next layer that can be; whether there was one. What is behind it has changed.

    Args:
        decided: the operations of this sweep, with what came of them, by result.
    """
    left = [op for op in tensor_operations(module) if op.results[0] not in decided]
    for op in context.each(left):
        decided[op.results[0]] = op, (found := decide(op))
        if isinstance(found, RowPadding):
            pad(op, found)
            return True
    return False
