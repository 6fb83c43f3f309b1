"""Unroll the loops over the windows of convolutions and poolings.

Rewrites:
  generic(%x, %w) with %x[h + r, w + q, c]  ->  generic(slice of %x for each (r, q), ...)

  %o[h, w, c] += %x[h + r, w + q, c] * %k[r, q, c]
    ->
  %o[h, w, c] = 0 + %x00[h, w, c] * %k00[c] + %x01[h, w, c] * %k01[c] + ...
  %x01 = tensor.extract_slice %x[0, 1, 0] [H, W, C] [1, 1, 1]

For CPUs, contractions over several loops, such as a convolution whose windows do not overlap,
keep their longest reduction loop; the others are unrolled.

Why: every access becomes a projected permutation, of which code generators make vectors; of an
index that is a sum of loops they make scalar code. A slice in a kernel is an offset. The
products of a window are added up before they are added to the result, as chained additions are
not vectorized.

Keeps, with a remark, windows of more elements than ``max-elements``: the code would be too
long.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.sliding_windows import (
    Windows,
    many_reductions_of,
    windows_of,
)
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.layout.unroll_window import combination, unroll_window


@dataclass(frozen=True)
class UnrollWindows(Pass):
    """Makes sums of slices of operations that slide a window."""

    argument = "smartmem-unroll-windows"
    summary = "Make convolutions and poolings sums of slices of their image"

    max_elements: int = 64
    """The largest window that is unrolled."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Unrolls each window; what it keeps gets a remark."""
        # All first: a body goes with its operation.
        generics = [op for op in outer_operations(module) if op.name == "linalg.generic"]
        decided = [(op, _windows(op, context)) for op in context.each(generics)]
        seen = [(op, found) for op, found in decided if found is not None]
        for op, found in context.each(seen, itemgetter(0)):
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found.extent("window") > self.max_elements:
                reason = f"a window of more than {self.max_elements} elements"
                context.remark(self.argument, op, False, reason)
            elif (combined := combination(op)) is None:
                reason = "its reduction is no operation on the output and one value"
                context.remark(self.argument, op, False, reason)
            else:
                taps = found.extent("window")
                context.remark(self.argument, op, True, f"a sum of {taps} slices")
                unroll_window(found, combined)


def _windows(op: ir.Operation, context: PassContext) -> Windows | Refusal | None:
    """The window of ``op``; on a GPU, tiles of 1 serve for reductions that do not slide."""
    found = windows_of(op)
    return found if found is not None or context.gpu else many_reductions_of(op)
