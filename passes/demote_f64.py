"""Compute in f32 what the importer computes in f64.

torch-mlir accumulates the variance of LayerNorm and evaluates scalars of the model
(epsilons, attention scales) in f64. Mobile GPUs have no f64 or a very slow one, and
the casts split what would be one kernel.

Rewrites, in functions whose arguments and results hold no f64:
  tensor<...xf64>, f64                ->  tensor<...xf32>, f32
  arith.extf %x : f32 to f64          ->  %x
  arith.truncf %x : f64 to f32        ->  %x
  f64 constants                       ->  f32 constants, clamped to finite values

Keeps functions that take or return f64: there the user asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.base import Pass, PassContext, operations

_CASTS = ("arith.extf", "arith.truncf")


@dataclass(frozen=True)
class DemoteF64(Pass):
    """Replaces f64 arithmetic inside functions on f32 by f32 arithmetic."""

    argument = "smartmem-demote-f64"
    summary = "Compute in f32 what the importer computes in f64"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Demotes each function, or remarks why it is kept."""
        for op in list(module.regions[0].blocks[0].operations):
            if op.operation.name != "func.func":
                continue
            if keeps_f64(op.operation):
                context.remark(self.argument, op.operation, False, "takes or returns f64")
                continue
            _demote(op.operation, context.parameters)


def keeps_f64(function: ir.Operation) -> bool:
    """Whether a function takes or returns f64."""
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    return any(is_f64(t) for t in (*type_.inputs, *type_.results))


def is_f64(type_: ir.Type) -> bool:
    """Whether a scalar or the elements of a tensor are f64."""
    element = type_.element_type if isinstance(type_, ir.ShapedType) else type_
    return isinstance(element, ir.F64Type)


def _f32_like(type_: ir.Type) -> ir.Type:
    f32 = ir.F32Type.get()
    if isinstance(type_, ir.RankedTensorType):
        return ir.RankedTensorType.get(type_.shape, f32, type_.encoding)
    return f32


def _demote(function: ir.Operation, parameters: Parameters) -> None:
    found = operations(function)
    for op in found:
        with op.location:
            _demote_op(op, parameters)
    for op in found:
        if op.name in _CASTS and op.operands[0].type == op.results[0].type:
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()


def _demote_op(op: ir.Operation, parameters: Parameters) -> None:
    _demote_constant(op, parameters)
    for value in (*op.results, *_block_arguments(op)):
        if is_f64(value.type):
            value.set_type(_f32_like(value.type))


def _block_arguments(op: ir.Operation) -> list[ir.Value]:
    return [a for region in op.regions for block in region for a in block.arguments]


def _demote_constant(op: ir.Operation, parameters: Parameters) -> None:
    if op.name != "arith.constant" or not is_f64(op.results[0].type):
        return
    type_ = _f32_like(op.results[0].type)
    attribute = op.attributes["value"].maybe_downcast()
    if isinstance(attribute, ir.FloatAttr):
        value = float(_to_f32(np.asarray(attribute.value)))
        op.attributes["value"] = ir.FloatAttr.get(type_, value)
        return
    array = parameters.value(attribute)
    if array is None:
        raise ValueError(f"{op.location}: an f64 constant without a known value")
    op.attributes["value"] = parameters.add("demoted", _to_f32(array), type_)


def _to_f32(array: np.ndarray) -> np.ndarray:
    """Nearest f32; finite values stay finite (masks use the least f64)."""
    largest = np.finfo(np.float32).max
    clamped = np.where(np.isfinite(array), np.clip(array, -largest, largest), array)
    return clamped.astype(np.float32)
