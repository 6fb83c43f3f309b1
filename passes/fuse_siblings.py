"""Make one operation of those that read the same tensor, for contractions.

Rewrites (the horizontal transform of Souffle, ASPLOS 2024):
  x @ a, x @ b, x @ c             ->  x @ stack(a, b, c), then a slice for each
  (x @ a + p) * s, x @ b + q      ->  x @ stack(a, b) * stack(s, 1) + stack(p * s, q),
                                      then a slice for each
  contraction(f(view(x)), view(x, padded))
                                  ->  y = all of both, element by element;
                                      contraction(slice of y, slice of y)

  %q = linalg.matmul ins(%x, %a : tensor<77x768xf32>, tensor<768x768xf32>) ...
  %k = linalg.matmul ins(%x, %b : tensor<77x768xf32>, tensor<768x768xf32>) ...
    ->
  %qk = linalg.generic ... ins(%x, %ab : tensor<77x768xf32>, tensor<2x768x768xf32>) ...
  %q = "smartmem.view"(%qk) {map = affine_map<(d0, d1) -> (0, d0, d1)>}
  %k = "smartmem.view"(%qk) {map = affine_map<(d0, d1) -> (1, d0, d1)>}

The weights of layers are joined now, along a new outermost dim: each part of the result is
contiguous, and elimination makes each slice an offset in its reader. Linear attention reads
queries, keys and values of one tensor, each a part or a function of a part: one operation
computes them by position. Why: a padded view is a kernel that only moves data, and a concat that
is read in parts is a copy of each piece, while a contraction reads a slice in place. On CPUs the
rows of the joint tensor are padded to whole vectors.

Keeps, with a remark, layers on a common operand whose weights are not known, that differ
in shape or form, whose slice would be copied, or whose own kernel computes an
elementwise end (gate and up projections, ReLU on one branch alone); and operands of which one
element needs more than ``max-loads`` elements. Runs when upstream has fused elementwise
operations and views are composed: an end is one operation then, and a common operand one value.
Upstream's fusion must not run later: it would fuse into the loops of the generic.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.horizontal_fusion import siblings
from smartmem.passes.analysis.fusion.operand_joins import Join, operand_joins
from smartmem.passes.analysis.gathers.elements import loads
from smartmem.passes.base import Pass, PassContext, erase_unused
from smartmem.passes.rewrites.fusion.join_operands import join_operands
from smartmem.passes.rewrites.fusion.merge_layers import merge_layers


@dataclass(frozen=True)
class FuseSiblings(Pass):
    """Merges linear layers, and operands of contractions, that read one tensor."""

    argument = "smartmem-fuse-siblings"
    summary = "Make one operation of the layers, and of the operands, that read one tensor"

    max_loads: int = 4
    """How many different elements one element of joint operands may need."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Merges layers first, then operands; what it keeps apart gets a remark."""
        found = siblings(module, context.parameters)
        for op, refusal in found.refused:
            context.remark(self.argument, op, False, refusal.reason)
        for merge in context.each(found.merges, lambda merge: merge.siblings[0].layer.op):
            for sibling in merge.siblings:
                context.remark(self.argument, sibling.layer.op, True, str(merge))
            merge_layers(merge, context.parameters)
        for join in context.each(list(operand_joins(module)), _last):
            self._join(join, context)
        erase_unused(module)

    def _join(self, join: Join, context: PassContext) -> None:
        last, needed = _last(join), len(loads(join.element()))
        if needed > self.max_loads:
            reason = f"{needed} elements would be read for each one, not {self.max_loads}"
            context.remark(self.argument, last, False, reason)
            return
        reason = f"one operation computes {len(join.values)} operands of contractions"
        context.remark(self.argument, last, True, reason)
        join_operands(join, context)


def _last(join: Join) -> ir.Operation:
    return join.values[-1].owner.operation
