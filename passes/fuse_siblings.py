"""Make one linear layer of those that read the same operand.

Rewrites (the horizontal transform of Souffle, ASPLOS 2024):
  x @ a, x @ b, x @ c             ->  x @ stack(a, b, c), then a slice for each
  (x @ a + p) * s, x @ b + q      ->  x @ stack(a, b) * stack(s, 1) + stack(p * s, q),
                                      then a slice for each

  %q = linalg.matmul ins(%x, %a : tensor<77x768xf32>, tensor<768x768xf32>) ...
  %k = linalg.matmul ins(%x, %b : tensor<77x768xf32>, tensor<768x768xf32>) ...
    ->
  %qk = linalg.generic ... ins(%x, %ab : tensor<77x768xf32>, tensor<2x768x768xf32>) ...
  %q = "smartmem.view"(%qk) {map = affine_map<(d0, d1) -> (0, d0, d1)>}
  %k = "smartmem.view"(%qk) {map = affine_map<(d0, d1) -> (1, d0, d1)>}

The weights are joined now, along a new outermost dim: each part of the result is
contiguous, and elimination makes each slice an offset in its reader.

Keeps, with a remark, layers on a common operand whose weights are not known, that differ
in shape or form, whose slice would be copied, or whose own kernel computes an
elementwise end (gate and up projections, ReLU on one branch alone). Runs when upstream
has fused elementwise operations and views are composed: an end is one operation then, and
a common operand one value. Upstream's fusion must not run later: it would fuse into the
loops of the generic.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.horizontal_fusion import siblings
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.fusion.merge_layers import merge_layers


@dataclass(frozen=True)
class FuseSiblings(Pass):
    """Merges linear layers that read the same operand."""

    argument = "smartmem-fuse-siblings"
    summary = "Make one linear layer of those that read the same operand"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Merges what ``siblings`` finds; what it keeps apart gets a remark."""
        found = siblings(module, context.parameters)
        for op, refusal in found.refused:
            context.remark(self.argument, op, False, refusal.reason)
        for merge in context.each(found.merges, lambda merge: merge.siblings[0].layer.op):
            for sibling in merge.siblings:
                context.remark(self.argument, sibling.layer.op, True, str(merge))
            merge_layers(merge, context.parameters)
