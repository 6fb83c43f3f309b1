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

Keeps, with a remark: rows of arguments, and what only a padding could make longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.row_padding import row_padding
from smartmem.passes.base import Pass, PassContext, erase_unused, operations
from smartmem.passes.lowering.pad_rows import pad_rows


@dataclass(frozen=True)
class PadRows(Pass):
    """Gives linear layers a number of rows that blocks of registers divide."""

    argument = "smartmem-pad-rows"
    summary = "Pad rows whose number no block of a kernel divides"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the rows of each layer for CPUs; what it keeps gets a remark."""
        if context.shared_memory is not None:
            return
        refused: set[ir.Operation] = set()
        while (layer := self._next(module, context, refused)) is not None:
            found = row_padding(layer, context.lanes, context.parameters)
            assert not isinstance(found, Refusal) and found is not None
            reason = f"{found.new} rows instead of {found.old}: whole blocks"
            context.remark(self.argument, layer, True, reason)
            pad_rows(found, context.parameters)
            erase_unused(module)

    def _next(
        self, module: ir.Operation, context: PassContext, refused: set[ir.Operation]
    ) -> ir.Operation | None:
        for op in operations(module):
            if op in refused or not isinstance(linear_layer(op), LinearLayer):
                continue
            found = row_padding(op, context.lanes, context.parameters)
            if isinstance(found, Refusal):
                refused.add(op)
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                return op
        return None
