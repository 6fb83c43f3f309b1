"""Split a contraction in two where one operation reads two parts of its result, for CPUs.

Rewrites:
  f(contraction(a, b)[:, :n], contraction(a, b)[:, n:])
    ->  f(contraction(a, b[:, :n]), contraction(a, b[:, n:]))

  %s = linalg.matmul ins(%q, %kv : tensor<196x16xf32>, tensor<16x17xf32>) ...
  %o = linalg.generic ins(%s[:, :16], %s[:, 16] : ...) { %x / %sum }
    ->
  %n = linalg.generic ins(%q, %kv[:, :16] : ...) { multiply and add }
  %d = linalg.generic ins(%q, %kv[:, 16] : ...) { multiply and add }
  %o = linalg.generic ins(%n, %d : ...) { %x / %sum }

Why: an operation that reads two places of a result cannot be in the kernel of the contraction,
as a block of results lacks the other place. An operation that reads the same place of two
contractions can: the kernel computes one sum after the other. Linear attention reads so: a
column of ones gives the sums that it divides by.

Keeps, with a remark, contractions whose parts would not be one kernel with their reader, whose
parts overlap, or whose split dim both operands have.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.passes.analysis.fusion.contraction_splits import contraction_split
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.rewrites.fusion.split_contraction import split_contraction


@dataclass(frozen=True)
class SplitContractions(Pass):
    """Splits contractions where one kernel can compute the parts and what reads them."""

    argument = "smartmem-split-contractions"
    summary = "Make contractions of the parts that one operation reads, for CPUs"
    runs_on = (Cpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Splits each contraction; what it keeps gets a remark."""
        # Only these: slices go with their contraction.
        for op in context.each([op for op in outer_operations(module) if contracts(op)]):
            found = contraction_split(op, context.vectors)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                columns = " and ".join(str(part.columns) for part in found.parts)
                context.remark(self.argument, op, True, f"{columns} columns: one kernel")
                split_contraction(found)
        erase_unused(module)
