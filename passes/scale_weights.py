"""Scale a contraction's weights in its kernel instead of its rows before it.

Rewrites:
  %y = x * s; flow.dispatch.region { contraction(%y, w) }
    ->  flow.dispatch.region { contraction(x, s * w) }

  %y[m, k] = %x[m, k] * %s[k]; region { %r[m, n] = sum over k of %y[m, k] * %w[k, n] }
    ->
  region { %v[k, n] = %s[k] * %w[k, n]
           %r = linalg.contract %x, %v }

Applies to the scale of squeeze-excite, on CPUs, behind ``smartmem-form-regions``. Why: the
scale is no kernel of its own, and the scaled rows are not stored. The contraction becomes a
named operation, as iree-compile 3.13 puts the factor into the body of a generic contraction and
then does not vectorize it.

Keeps, with a remark, scales of few rows, rows with other readers, and scales of kernels that
compute several sums or that have no tile sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.passes.analysis.fusion.row_scales import RowScale, row_scale
from smartmem.passes.analysis.ir.loops import contracts, reduces
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.cpu_tiles import tile_sizes
from smartmem.passes.base import REGION, Pass, PassContext, operations, outer_operations
from smartmem.passes.rewrites.fusion.scale_weights import scale_weights


@dataclass(frozen=True)
class ScaleWeights(Pass):
    """Takes the scale of a contraction's rows into its kernel."""

    argument = "smartmem-scale-weights"
    summary = "Scale a contraction's weights in its kernel, not its rows before it"
    runs_on = (Cpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the contractions of regions."""
        for region in context.each(
            [op for op in outer_operations(module) if op.name == REGION]
        ):
            sums = [op for op in operations(region) if reduces(op)]
            for contraction in [op for op in sums if contracts(op)]:
                self._scale(contraction, alone=len(sums) == 1, context=context)

    def _scale(self, contraction: ir.Operation, alone: bool, context: PassContext) -> None:
        found = row_scale(contraction)
        if found is None:
            return
        if isinstance(found, RowScale):
            found = self._refuse(contraction, alone, context) or found
        if isinstance(found, Refusal):
            context.remark(self.argument, contraction, False, found.reason)
            return
        reason = "its kernel scales the weights instead of reading scaled rows"
        context.remark(self.argument, contraction, True, reason)
        scale_weights(found)

    def _refuse(
        self, contraction: ir.Operation, alone: bool, context: PassContext
    ) -> Refusal | None:
        if not alone:
            # iree-compile 3.13: wrong by order one where two contractions are combined.
            return Refusal("its kernel takes up other sums, too")
        # IREE's own tiles exceed the stack with the weights of a whole kernel.
        tiles = tile_sizes(contraction, context.vectors)
        return tiles if isinstance(tiles, Refusal) else None
