"""Compute the window of a convolution slice by slice, for GPUs.

Rewrites, in a kernel:
  %r[h, w, o] += %x00[h, w, c] * %k00[c, o] + %x01[h, w, c] * %k01[c, o] + ...
    ->
  %0[h, w, o] += %x00[h, w, c] * %k00[c, o]
  %1[h, w, o] += %x01[h, w, c] * %k01[c, o]      and so on, from %0 to %1 to %r

Why: SPIR-V code generation makes vectors of a contraction of two operands, and scalar code of a
sum of several products. On CPUs it is the other way round.

Keeps, with a remark, sums whose contractions have no fitting tiles: each of them would be
scalar code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.product_sums import Product, contraction_of, products_of
from smartmem.passes.analysis.tiling.gpu_tiles import gpu_tiles
from smartmem.passes.base import REGION, Pass, PassContext, outer_operations
from smartmem.passes.rewrites.layout.chain_products import chain_products


@dataclass(frozen=True)
class ChainWindows(Pass):
    """Makes contractions, each added to the one before, of sums of products."""

    argument = "smartmem-chain-windows"
    summary = "Compute the window of a convolution slice by slice, for GPUs"
    runs_on = (Gpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each sum of products of a kernel for a GPU."""
        gpu = context.gpu
        assert gpu is not None
        for region in context.each(
            [op for op in outer_operations(module) if op.name == REGION]
        ):
            for op in [inner.operation for inner in region.regions[0].blocks[0].operations]:
                found = products_of(op)
                if len(found) > 1:
                    self._chain(op, found, context, gpu)

    def _chain(
        self,
        op: ir.Operation,
        found: Sequence[Product],
        context: PassContext,
        gpu: Gpu,
    ) -> None:
        tiles = gpu_tiles(contraction_of(op, found[0]), gpu)
        if isinstance(tiles, Refusal):
            context.remark(self.argument, op, False, tiles.reason)
            return
        reason = f"{len(found)} contractions, each added to the one before"
        context.remark(self.argument, op, True, reason)
        chain_products(op, found)
