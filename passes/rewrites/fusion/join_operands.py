"""Compute operands of contractions in one operation, and read slices of it."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.fusion.operand_joins import Join
from smartmem.passes.base import PassContext
from smartmem.passes.rewrites.fusion.compute_elements import compute
from smartmem.passes.rewrites.loops.split_loops import view_as


def join_operands(join: Join, context: PassContext) -> None:
    """Replaces each operand by a slice of one tensor that holds them all."""
    place = join.place
    with ir.InsertionPoint(place), place.location:
        type_ = ir.RankedTensorType.get(join.shape, join.values[0].type.element_type)
        # The operands are slices of rows anyway: the rows may end in what no slice reads.
        last = join.axis == len(join.shape) - 1
        joint = compute(join.element(), type_, context, longer=last)
        for number, value in enumerate(join.values):
            value.replace_all_uses_with(view_as(joint, join.slice_of(number)))
