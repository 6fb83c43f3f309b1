"""Pad the columns of contractions to whole vectors, for GPUs.

Rewrites:
  %v = "smartmem.view"(%x, 1.0)   17 columns, the last one of ones
  %a = contraction(%k, %v)        17 columns
  %b = contraction(%q, %a)        17 columns
    ->
  the same with 20 columns, of which nobody reads the last three

A matrix whose rows are no whole vectors is loaded element by element, as no row but the
first begins where a vector can. The columns come from a padding, a concat, or constants;
what reads some of them takes them from the longer rows.

Keeps columns that are summed up, silently; with a remark those that only a copy could make
longer, or that would be much more work.
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
