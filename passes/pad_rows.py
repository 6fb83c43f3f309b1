"""Pad rows whose number no block of a kernel divides.

Rewrites:
  %t = smartmem.concat(%class, %patches)   of 197 rows
  contraction(normalization(%t), W)
    ->
  %t = smartmem.concat(%zeros, %class, %patches)   of 208 rows, 16 blocks of 13
  contraction(normalization(%t), W)                over 208 rows

All values with these rows get them. Reductions over the rows, and readers of single rows, read
the first 197. Constants get zeros behind their rows when compiling, so nothing is copied at run
time.

  softmax(%scores : 197x197) x %values
    ->
  softmax(%scores + [0 ... 0, -inf ...] : 200x200) x %values   on GPUs, whose vectors divide 200

On GPUs the columns of a softmax over these rows are padded, too, and masked. The new rows repeat
the last row: softmax gives them a weight of 0, and their values are as finite as those of the
last row. Of a row of zeros an operation could make an infinity, and 0 times infinity is NaN.

Keeps, with a remark, rows of arguments, and rows that only a copy could make longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.fitting_rows import row_padding
from smartmem.passes.analysis.padding.row_padding import RowPadding
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.padding.pad_layers import pad_layers


@dataclass(frozen=True)
class PadRows(Pass):
    """Gives linear layers a number of rows that blocks of registers divide."""

    argument = "smartmem-pad-rows"
    summary = "Pad rows whose number no block of a kernel divides"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the rows of each layer; what it keeps gets a remark."""
        # Shaders load the columns of a softmax as vectors only where vectors divide them.
        masks = context.gpu is not None

        def decide(op: ir.Operation) -> RowPadding | Refusal | None:
            return row_padding(op, context.vectors, context.parameters, masks=masks)

        pad_layers(module, context, decide, self.argument, "rows", "whole blocks")
