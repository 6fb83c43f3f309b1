"""Pad rows whose number no block of a kernel divides.

Rewrites:
  %t = smartmem.concat(%class, %patches)   of 197 rows
  contraction(normalization(%t), W)
    ->
  %t = smartmem.concat(%zeros, %class, %patches)   of 208 rows, 16 blocks of 13
  contraction(normalization(%t), W)                over 208 rows

and everything between that has these rows. What sums over the rows, or reads one of them,
takes the first 197. Constants get zeros behind their rows now; nothing is copied when the
model runs.

  softmax(%scores : 197x197) x %values
    ->
  softmax(%scores + [0 ... 0, -inf ...] : 200x200) x %values   on GPUs, whose vectors divide 200

There the new rows repeat the last one: the zeros of the softmax meet numbers as finite as it.

Keeps, with a remark: rows of arguments, and what only a padding could make longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.row_padding import RowPadding, row_padding
from smartmem.passes.base import Pass, PassContext, erase_unused, operations
from smartmem.passes.lowering.pad_rows import pad_rows


@dataclass(frozen=True)
class PadRows(Pass):
    """Gives linear layers a number of rows that blocks of registers divide."""

    argument = "smartmem-pad-rows"
    summary = "Pad rows whose number no block of a kernel divides"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the rows of each layer; what it keeps gets a remark."""
        while self._pad(module, context):
            erase_unused(module)

    def _pad(self, module: ir.Operation, context: PassContext) -> bool:
        """Pads the rows of the first layer that can have more; whether there was one."""
        # Shaders load the columns of a softmax as vectors only where vectors divide them.
        masks = context.shared_memory is not None
        kept = []
        for op in operations(module):
            found = row_padding(op, context.vectors, context.parameters, masks=masks)
            if isinstance(found, RowPadding):
                reason = f"{found.new} rows instead of {found.old}: whole blocks"
                context.remark(self.argument, op, True, reason)
                pad_rows(found, context.parameters)
                return True
            if isinstance(found, Refusal):
                kept.append((op, found))
        for op, refusal in kept:
            context.remark(self.argument, op, False, refusal.reason)
        return False
