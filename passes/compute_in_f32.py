"""Compute in f32 what the model or its importer computes in f64, f16 or bf16.

torch-mlir accumulates the variance of LayerNorm and evaluates scalars of the model
(epsilons, attention scales) in f64. Mobile GPUs have no f64 or a very slow one, and
the casts split what would be one kernel.

Models in half precision round every result to 11 or 8 bits. Between two kernels that saves
bytes; within one it takes instructions, loses digits, and overflows at 65504. So the passes
behind this one see f32 alone, rewrite a model in half precision as they rewrite it in f32, and
`--smartmem-narrow-tensors` makes narrow what pays when the kernels are known.

Rewrites, f64 in functions whose arguments and results hold no f64:
  tensor<...xf64>, f64                ->  tensor<...xf32>, f32
  tensor<...xf16>, f16                ->  tensor<...xf32>, f32
  arith.extf %x : f32 to f64          ->  %x
  arith.truncf %x : f64 to f32        ->  %x
  f64, f16 and bf16 constants         ->  f32 constants, clamped to finite values

  func @f(%x: tensor<4xf16>) -> tensor<4xf16> { return %y }
    ->
  func @f(%x: tensor<4xf16>) -> tensor<4xf16> { linalg.generic {arith.extf} ...
                                                return linalg.generic {arith.truncf} }

A module in half precision gets the attribute ``smartmem.precision``, the type that most of it has.

Keeps functions that take or return f64: there the user asked for it. Keeps the type of what is
read bit by bit, and of weights in half precision in a model that computes in f32.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Array, Numbers, Parameters, resource_key
from smartmem.passes.analysis.precision.precisions import (
    NARROW,
    element_type,
    precision_of,
    set_precision,
)
from smartmem.passes.base import Pass, PassContext, operations
from smartmem.passes.rewrites.builders.convert_elements import convert_elements, with_element

_CASTS = ("arith.extf", "arith.truncf")
_BY_BITS = ("arith.bitcast", "tensor.bitcast", "func.call")
"""What has the types that it says."""

_ENDS = (*_BY_BITS, "func.return")
_NO_ARITHMETIC = (*_CASTS, *_BY_BITS, "arith.constant")


@dataclass(frozen=True)
class ComputeInF32(Pass):
    """Replaces arithmetic in f64, and in half precision, by f32 arithmetic."""

    argument = "smartmem-compute-in-f32"
    summary = "Compute in f32 what the model or its importer computes in f64, f16 or bf16"
    is_needed = True

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each function, or remarks why its f64 is kept."""
        functions = [op.operation for op in module.regions[0].blocks[0].operations]
        functions = [op for op in functions if op.name == "func.func"]
        # What has a precision has been rewritten: 16 bits are left at its ends alone.
        own = None if precision_of(module) else _own_precision(functions)
        if own is not None:
            set_precision(module, own)
        narrow = NARROW if own else ()
        for op in functions:
            if keeps_f64(op):
                context.remark(self.argument, op, False, "takes or returns f64")
                _compute_in_f32(op, narrow, context.parameters)
            else:
                _compute_in_f32(op, (*narrow, "f64"), context.parameters)


def keeps_f64(function: ir.Operation) -> bool:
    """Whether a function takes or returns f64."""
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    return any(is_f64(t) for t in (*type_.inputs, *type_.results))


def is_f64(type_: ir.Type) -> bool:
    """Whether a scalar or the elements of a tensor are f64."""
    return element_type(type_) == "f64"


def _own_precision(functions: list[ir.Operation]) -> str | None:
    """The half precision in which most of a model computes; None: it stores it at most.

    An f32 model can widen weights that it stores so: these stay as they are.
    """
    values = [v for f in functions for op in operations(f) for v in _computed(op)]
    counts = Counter(e for v in values if (e := element_type(v.type)) in NARROW)
    return counts.most_common(1)[0][0] if counts else None


def _computed(op: ir.Operation) -> list[ir.Value]:
    """What a model takes, and the results of arithmetic."""
    if op.name == "func.func":
        return _block_arguments(op)
    is_arithmetic = op.name.startswith(("arith.", "math.")) and op.name not in _NO_ARITHMETIC
    return list(op.results) if is_arithmetic else []


def _compute_in_f32(
    function: ir.Operation, replaced: tuple[str, ...], parameters: Parameters
) -> None:
    """Args: replaced: the element types that f32 takes the place of."""
    inside = operations(function)[1:]
    ends = [end for op in inside if op.name in _ENDS for end in _ends(op, replaced)]
    begins = [v for op in (function, *inside) for v in _begins(op) if _is(v.type, replaced)]
    for op in inside:
        with op.location:
            _retype(op, replaced, begins, parameters)
    for value in begins:
        _widen(value)
    for op, number, type_ in ends:
        with op.location, ir.InsertionPoint(op):
            element = type_.element_type if isinstance(type_, ir.ShapedType) else type_
            op.operands[number] = convert_elements(op.operands[number], element)
    for op in inside:
        if op.name in _CASTS and op.operands[0].type == op.results[0].type:
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()


def _is(type_: ir.Type, elements: tuple[str, ...]) -> bool:
    return element_type(type_) in elements


def _ends(
    op: ir.Operation, replaced: tuple[str, ...]
) -> list[tuple[ir.Operation, int, ir.Type]]:
    """The operands of ``op`` that keep their type, each with its number."""
    operands = enumerate(op.operands)
    return [(op, number, v.type) for number, v in operands if _is(v.type, replaced)]


def _begins(op: ir.Operation) -> list[ir.Value]:
    """What arithmetic takes from outside, of which the type stays."""
    if op.name == "func.func":
        return _block_arguments(op)
    return list(op.results) if op.name in _BY_BITS else []


def _widen(value: ir.Value) -> None:
    """Lets everything read ``value`` as f32."""
    owner = value.owner
    is_argument = isinstance(owner, ir.Block)
    at = (
        ir.InsertionPoint.at_block_begin(owner)
        if is_argument
        else ir.InsertionPoint.after(owner)
    )
    with value.location, at:
        wide = convert_elements(value, ir.F32Type.get())
    value.replace_all_uses_except(wide, wide.owner.operation)


def _retype(
    op: ir.Operation,
    replaced: tuple[str, ...],
    kept: list[ir.Value],
    parameters: Parameters,
) -> None:
    _replace_constant(op, replaced, parameters)
    for value in (*op.results, *_block_arguments(op)):
        if _is(value.type, replaced) and value not in kept:
            value.set_type(with_element(value.type, ir.F32Type.get()))


def _block_arguments(op: ir.Operation) -> list[ir.Value]:
    return [a for region in op.regions for block in region for a in block.arguments]


def _replace_constant(
    op: ir.Operation, replaced: tuple[str, ...], parameters: Parameters
) -> None:
    if op.name != "arith.constant" or not _is(op.results[0].type, replaced):
        return
    type_ = with_element(op.results[0].type, ir.F32Type.get())
    attribute = op.attributes["value"].maybe_downcast()
    if isinstance(attribute, ir.FloatAttr):
        value = float(_to_f32(np.asarray(attribute.value)))
        op.attributes["value"] = ir.FloatAttr.get(type_, value)
        return
    array = parameters.value(attribute)
    if array is None:
        raise ValueError(f"{op.location}: a constant without a known value")
    op.attributes["value"] = _constant(attribute, _to_f32(array), type_, parameters)


def _constant(
    attribute: ir.Attribute, array: Array, type_: ir.RankedTensorType, parameters: Parameters
) -> ir.Attribute:
    """``array`` as ``attribute`` holds its own: iree-compile folds what is no resource."""
    if (key := resource_key(attribute)) is not None:
        return parameters.add(key, array, type_)
    if ir.DenseElementsAttr(attribute).is_splat:
        value = ir.FloatAttr.get(type_.element_type, float(array.flat[0]))
        return ir.DenseElementsAttr.get_splat(type_, value)
    return ir.DenseElementsAttr.get(np.ascontiguousarray(array), type=type_)


def _to_f32(array: Numbers) -> Numbers:
    """Nearest f32; finite values stay finite (masks use the least f64)."""
    if array.dtype.itemsize <= np.dtype(np.float32).itemsize:
        return array.astype(np.float32)
    largest = np.finfo(np.float32).max
    clamped = np.where(np.isfinite(array), np.clip(array, -largest, largest), array)
    return clamped.astype(np.float32)
