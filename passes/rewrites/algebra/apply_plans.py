"""Carry out a ``Plan``: multiply constants, change bodies."""

from __future__ import annotations

import dataclasses

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.algebra.factor_planner import Plan, Scaling
from smartmem.passes.analysis.algebra.sinking import COMBINERS, NEUTRAL
from smartmem.passes.analysis.ir.movement import Piece
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.builders.rebuild_bodies import Combiner, rebuild


def apply_plan(plan: Plan, parameters: Parameters) -> list[ir.Operation | None]:
    """Multiplies the constants and changes the bodies of ``plan``, the last body first.

    Returns:
        What became of the operations of ``plan.roots``: None where only a movement is left.
    """
    for scaling in plan.scalings:
        _scale(scaling, parameters)
    new: list[ir.Operation | None] = []
    for root in plan.roots:
        combiner = _combiner(root.body.op, root.reduction) if root.reduction else None
        new.append(rebuild(_current(root.body), root.root, combiner))
    return new


def _current(body: Body) -> Body:
    """``body`` with the operands that its operation has now."""
    operands = [
        dataclasses.replace(o, value=v)
        for o, v in zip(body.operands, body.op.operands, strict=False)
    ]
    return dataclasses.replace(body, operands=operands)


def _combiner(op: ir.Operation, reduction: str) -> Combiner:
    """How ``op`` reduces by ``reduction``, started from the neutral element."""
    type_ = op.results[0].type
    with ir.InsertionPoint(op), op.location:
        attribute = ir.FloatAttr.get(type_.element_type, NEUTRAL[reduction])
        neutral = ir.Operation.create(
            "arith.constant", [type_.element_type], [], {"value": attribute}
        )
        init = build.splat(neutral.results[0], type_)
    # Only floats have rules that change the reduction: theirs is the first name.
    return Combiner(COMBINERS[reduction][0], init)


def _scale(scaling: Scaling, parameters: Parameters) -> None:
    op, piece = scaling.reader.op, scaling.piece
    array = constant_value(piece.source, parameters)
    assert array is not None  # else there is no plan
    with ir.InsertionPoint(op), op.location:
        type_ = piece.source.type
        scaled = np.multiply(array, scaling.factor)
        moved = Piece(
            constant_tensor("scaled", scaled, type_, parameters), piece.index_map, piece.domain
        )
        view = build_movement([moved], None, scaling.reader.value.type)
        op.operands[scaling.reader.number] = view
