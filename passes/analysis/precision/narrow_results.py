"""Which tensors between kernels are stored in 16 bits, and why others are not.

Sums stay in f32: what a kernel computes element by element it can round at its end.
"""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of

_VIEWS = ("tensor.extract_slice", "tensor.expand_shape", "tensor.collapse_shape")


def refuse_result(result: ir.Value, fewest: int) -> Refusal | None:
    """Why the result of a region stays in f32.

    Args:
        fewest: elements of which it pays to store fewer bytes.
    """
    if math.prod(shape_of(result)) < fewest:
        return Refusal("it takes few bytes")
    return _refuse_readers(result) or _refuse_writer(_returned(result))


def _returned(result: ir.Value) -> ir.Value:
    region = ir.OpResult(result).owner.operation
    *_, end = region.regions[0].blocks[0].operations
    return end.operation.operands[ir.OpResult(result).result_number]


def _refuse_readers(value: ir.Value) -> Refusal | None:
    for use in value.uses:
        op = use.owner.operation
        if op.name == "func.return":
            return Refusal("the model returns it")
        if op.name in _VIEWS:
            if found := _refuse_readers(op.results[0]):
                return found
        elif not op.name.startswith(("linalg.", "tensor.extract", "flow.")):
            return Refusal(f"{op.name} reads it")
    return None


def _refuse_writer(value: ir.Value) -> Refusal | None:
    if isinstance(value.owner, ir.Block):
        return Refusal("its kernel does not compute it")
    op = value.owner.operation
    if op.name == "tensor.insert_slice":
        return _refuse_writer(op.operands[0]) or _refuse_target(op.operands[1])
    if op.name in _VIEWS:
        return _refuse_writer(op.operands[0])
    if op.name == "linalg.fill":
        return Refusal("it is one number")
    nest = loop_nest(op)
    if op.name != "linalg.generic" or nest is None or nest.reductions:
        return Refusal(f"{op.name} writes it, which rounds nothing")
    *_, out = op.regions[0].blocks[0].arguments
    return Refusal("it is added to what is there") if list(out.uses) else None


def _refuse_target(value: ir.Value) -> Refusal | None:
    """Of what others are inserted into."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "linalg.fill":
        return _refuse_writer(value)
    number = value.owner.operands[0].owner
    is_constant = not isinstance(number, ir.Block) and number.name == "arith.constant"
    return None if is_constant else Refusal("it is filled with a number that is computed")
