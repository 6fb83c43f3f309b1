"""Turn every data movement into ``smartmem.view`` or ``smartmem.concat``.

Rewrites:
  tensor.expand_shape, collapse_shape, reshape      ->  smartmem.view
  tensor.extract_slice, linalg.transpose, broadcast ->  smartmem.view
  tensor.pad, insert_slice into a constant          ->  smartmem.view with a fill value
  tensor.concat, insert_slice                       ->  smartmem.concat
  linalg.pack, unpack, copy                         ->  smartmem.view
  linalg.generic that only moves (broadcast, flip,
    roll, gather at constant quasi-affine indices)  ->  smartmem.view or concat

  %t = linalg.transpose ins(%x : tensor<4x8xf32>) ... permutation = [1, 0]
    ->
  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}

Keeps, with a remark: dynamic shapes, padding with a computed value, gathers at
indices known at run time only or without a quasi-affine form.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.classification import tensor_operations
from smartmem.passes.analysis.raising.data_movements import movement
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.builders.movement_ops import replace_with_movement


@dataclass(frozen=True)
class RaiseViews(Pass):
    """Turns every data movement into a view or a concat with index maps."""

    argument = "smartmem-raise-views"
    summary = "Turn every data movement into smartmem.view or smartmem.concat"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each recognized movement; what it keeps gets a remark."""
        for op in context.each(
            tensor_operations(module)
        ):  # without bodies: they go with their operation
            outcome = movement(op, context.parameters)
            if isinstance(outcome, Refusal):
                context.remark(self.argument, op, False, outcome.reason)
            elif outcome is not None:
                replace_with_movement(op, outcome)
