"""Pad the channels of linear layers to whole vectors, for CPUs.

Rewrites:
  %a = end(contraction(%x, W))        1512 channels: blocks whose last vector is cut off
  %b = contraction(%a, V)             that sums them up
    ->
  %a = end(contraction(%x, W'))       1536 channels: 48 blocks of 32, zeros behind the 1512th
  %b = contraction(%a[.., 0:1512], V)

The bias, other operands of elementwise operations, and paddings of rows get the longer rows,
too. Operations that sum the channels, split them into groups or read some of them read the
first ones in place, with a gap behind each row. Nothing is copied.

Keeps, with a remark, channels that are returned or come from an argument, channels whose
padding would add much work, and channels that only a copy could cut off again.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.block_padding import block_padding
from smartmem.passes.analysis.padding.row_padding import RowPadding
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.padding.pad_layers import pad_layers


@dataclass(frozen=True)
class PadBlocks(Pass):
    """Gives linear layers a number of channels that blocks of whole vectors divide."""

    argument = "smartmem-pad-blocks"
    summary = "Pad the channels of linear layers to whole vectors, for CPUs"
    runs_on = (Cpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the channels of each layer; what it keeps gets a remark."""

        def decide(op: ir.Operation) -> RowPadding | Refusal | None:
            return block_padding(op, context.lanes, context.parameters)

        pad_layers(module, context, decide, self.argument, "channels", "whole vectors")
