"""Compute in one operation what contractions read of one tensor.

Rewrites:
  contraction(f(view(x)), view(x, padded))  ->  y = all of both, element by element;
                                                contraction(slice of y, slice of y)

  %q = relu(view of %x); %k = relu(view of %x); %v = view of %x, with a column of ones
    ->
  %y = linalg.generic { by position: relu of an element of %x, an element of %x, or 1 }
  %q, %k, %v = slices of %y

Applies to linear attention, which reads queries, keys and values of one tensor. Why: a padded
view is a kernel that only moves data, and a concat that is read in parts is a copy of each
piece, while a contraction reads a slice in place. On CPUs the rows of the joint tensor are
padded to whole vectors.

Keeps values with other readers, and values of which one element needs more than ``max-loads``
elements. Runs before ``smartmem-eliminate-views``, which puts the slices into the contractions.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.operand_joins import Join, operand_joins
from smartmem.passes.analysis.gathers.elements import loads
from smartmem.passes.base import Pass, PassContext, erase_unused
from smartmem.passes.rewrites.fusion.compute_elements import compute
from smartmem.passes.rewrites.loops.split_loops import view_as


@dataclass(frozen=True)
class JoinOperands(Pass):
    """Makes one tensor of operands that are functions and parts of one tensor."""

    argument = "smartmem-join-operands"
    summary = "Compute in one operation what contractions read of one tensor"

    max_loads: int = 4
    """How many different elements one element of the joint tensor may need."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Joins what ``operand_joins`` finds."""
        for join in context.each(list(operand_joins(module)), _last):
            last = _last(join)
            needed = len(loads(join.element()))
            if needed > self.max_loads:
                reason = f"{needed} elements would be read for each one, not {self.max_loads}"
                context.remark(self.argument, last, False, reason)
                continue
            reason = f"one operation computes {len(join.values)} operands of contractions"
            context.remark(self.argument, last, True, reason)
            _replace(join, context)
        erase_unused(module)


def _last(join: Join) -> ir.Operation:
    return join.values[-1].owner.operation


def _replace(join: Join, context: PassContext) -> None:
    place = join.place
    with ir.InsertionPoint(place), place.location:
        type_ = ir.RankedTensorType.get(join.shape, join.values[0].type.element_type)
        # The operands are slices of rows anyway: the rows may end in what no slice reads.
        last = join.axis == len(join.shape) - 1
        joint = compute(join.element(), type_, context, longer=last)
        for number, value in enumerate(join.values):
            value.replace_all_uses_with(view_as(joint, join.slice_of(number)))
