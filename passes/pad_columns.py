"""Pad the columns of contractions to whole vectors, for GPUs.

Rewrites:
  %v = "smartmem.view"(%x, 1.0)   17 columns, the last one of ones
  %a = contraction(%k, %v)        17 columns
  %b = contraction(%q, %a)        17 columns
    ->
  the same with 20 columns, the last three of which are not read

Why: where a row is no multiple of a vector, only the first row is aligned, and the matrix is
loaded element by element. Applies where the columns come from a padding, a concat or constants.
Readers of some columns read them from the longer rows.

Keeps columns that are reduction dims, silently. Keeps, with a remark, columns that only a copy
could make longer, and those whose padding would add much work.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.fitting_rows import column_padding
from smartmem.passes.analysis.padding.row_padding import RowPadding
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.padding.pad_layers import pad_layers


@dataclass(frozen=True)
class PadColumns(Pass):
    """Gives contractions a number of columns that are whole vectors."""

    argument = "smartmem-pad-columns"
    summary = "Pad the columns of contractions to whole vectors, for GPUs"
    runs_on = (Gpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the columns of each contraction; what it keeps gets a remark."""

        def decide(op: ir.Operation) -> RowPadding | Refusal | None:
            return column_padding(op, context.lanes, context.parameters)

        pad_layers(module, context, decide, self.argument, "columns", "whole vectors")
