"""Turn every data movement into ``smartmem.view`` or ``smartmem.concat``.

Those of convolutions are written out first: a bias is an initial value that is repeated, and
windows that do not overlap cut the image into patches.

Rewrites:
  tensor.expand_shape, collapse_shape, reshape      ->  smartmem.view
  tensor.extract_slice, linalg.transpose, broadcast ->  smartmem.view
  tensor.pad, insert_slice into a constant          ->  smartmem.view with a fill value
  tensor.concat, insert_slice                       ->  smartmem.concat
  concat(x, y, z) behind concat(x, y)               ->  concat(concat(x, y), z)
  linalg.pack, unpack, copy                         ->  smartmem.view
  a convolution onto a bias                         ->  onto zeros, then an addition
  a convolution whose stride is its size, or whose
    window is the whole image                       ->  a contraction of views
  linalg.generic that only moves (broadcast, flip,
    roll, gather at constant quasi-affine indices)  ->  smartmem.view or concat

  %t = linalg.transpose ins(%x : tensor<4x8xf32>) ... permutation = [1, 0]
    ->
  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}

Why: an addition fuses with the operations behind it, while a bias as initial value would first
be copied into the result. A contraction (a 1x1 convolution, the cutting of an image into
patches) reads its operands in any order and becomes one kernel with the elementwise operations
behind it. Its channels are innermost, so that they are loaded as vectors.

Keeps convolutions whose windows overlap, and of integers of two widths. Keeps, with a remark,
dynamic shapes, padding with a computed value, gathers at indices known at run time only or
without a quasi-affine form.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.classification import tensor_operations
from smartmem.passes.analysis.raising.convolutions import (
    is_convolution,
    is_patchwise,
    starts_at_zero,
)
from smartmem.passes.analysis.raising.data_movements import movement
from smartmem.passes.analysis.raising.shared_pieces import shared_pieces
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.builders.movement_ops import replace_with_movement
from smartmem.passes.rewrites.raising.begin_concat import begin_with
from smartmem.passes.rewrites.raising.contract_patches import add_bias_behind, contract_patches


@dataclass(frozen=True)
class RaiseViews(Pass):
    """Turns every data movement into a view or a concat with index maps."""

    argument = "smartmem-raise-views"
    summary = "Turn every data movement into smartmem.view or smartmem.concat"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each recognized movement; what it keeps gets a remark."""
        for op in context.each(list(filter(is_convolution, outer_operations(module)))):
            self._convolution(op, context)
        # The last one first: what begins with an operation uses its replacement then.
        for op, known, count in reversed(shared_pieces(outer_operations(module))):
            reason = f"its first {count} pieces are joined before"
            context.remark(self.argument, op, True, reason)
            begin_with(known, op, count)
        # Without bodies: they go with their operation.
        for op in context.each(tensor_operations(module)):
            outcome = movement(op, context.parameters)
            if isinstance(outcome, Refusal):
                context.remark(self.argument, op, False, outcome.reason)
            elif outcome is not None:
                replace_with_movement(op, outcome)

    def _convolution(self, op: ir.Operation, context: PassContext) -> None:
        if not starts_at_zero(op):
            context.remark(self.argument, op, True, "the bias is added behind it")
            op = add_bias_behind(op)
        if is_patchwise(op):
            reason = "no element is under two windows: a contraction"
            context.remark(self.argument, op, True, reason)
            contract_patches(op)
