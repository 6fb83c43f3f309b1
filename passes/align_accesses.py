"""Keep vectors from being loaded and stored between two vectors of memory.

Rewrites, for GPUs, slices and paddings of which a row can begin between two vectors:
  tensor.extract_slice %x[o]             ->  tensor.expand_shape %x to [..., n, 1],
                                             tensor.extract_slice of it
  tensor.insert_slice %r into %x[o]      ->  tensor.expand_shape %x to [..., n, 1],
                                             tensor.insert_slice into it, tensor.collapse_shape
  tensor.pad %r                          ->  linalg.fill, tensor.insert_slice as above

  %s = tensor.extract_slice %x[0, 2] [16, 64] [1, 1] : tensor<16x68xf32>
    ->
  %e = tensor.expand_shape %x : tensor<16x68x1xf32>
  %s = tensor.extract_slice %e[0, 2, 0] [16, 64, 1] [1, 1, 1]

iree-compile 3.13 gives a buffer the element type ``vector<4xf32>`` where all accesses are
vectors and the innermost dim is a multiple of four. It rounds down where an access begins,
without a word: ``exp(x[:, 2:66])`` reads ``x[:, 0:64]``. A buffer whose innermost dim is 1 keeps
its scalars, and vectors are made of them in registers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import tensor

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.fusion.padded_writes import constant_fill
from smartmem.passes.analysis.ir.movement import is_static, shape_of
from smartmem.passes.analysis.ir.vector_bounds import begins_between_vectors
from smartmem.passes.base import REGION, RETURN, Pass, PassContext, operations
from smartmem.passes.rewrites.builders import tensor_ops as build

_SLICE, _INSERT, _PAD = "tensor.extract_slice", "tensor.insert_slice", "tensor.pad"


@dataclass(frozen=True)
class AlignAccesses(Pass):
    """Reads and writes by scalars what begins between two vectors of memory."""

    argument = "smartmem-align-accesses"
    summary = "Keep vectors from being loaded and stored between two vectors of memory"
    runs_on = (Gpu,)
    is_needed = True

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the slices and paddings of functions, and of the regions in them."""
        found = operations(module)
        regions = [op for op in found if op.name == REGION]
        inside = [op for region in regions for op in operations(region)[1:]]
        for op in context.each([*found, *inside]):
            rewrite = _REWRITES.get(op.name)
            if rewrite is not None and _begins_between_vectors(op):
                context.remark(self.argument, op, True, "its rows begin between two vectors")
                rewrite(op)


def _begins_between_vectors(op: ir.Operation) -> bool:
    if op.name == _PAD:
        padded, offsets = op.results[0], op.attributes["static_low"]
        if constant_fill(op) is None:
            return False
    else:
        padded = op.operands[0] if op.name == _SLICE else op.operands[1]
        offsets = op.attributes["static_offsets"]
    if not is_static(padded) or not _is_dense(op):
        return False
    return begins_between_vectors(padded, list(ir.DenseI64ArrayAttr(offsets)))


def _is_dense(op: ir.Operation) -> bool:
    """Whether neighbours along the innermost dim are neighbours in memory."""
    return (
        op.name == _PAD or list(ir.DenseI64ArrayAttr(op.attributes["static_strides"]))[-1] == 1
    )


def _read_scalars(op: ir.Operation) -> None:
    source = op.operands[0]
    with _outside(op, source), op.location:
        seen = _with_unit_dim(source)
    with ir.InsertionPoint(op), op.location:
        part = tensor.ExtractSliceOp(
            op.results[0].type, seen, *_dynamic(op, 1), *_static_with_unit_dim(op)
        )
    op.results[0].replace_all_uses_with(part.result)
    op.erase()


def _write_scalars(op: ir.Operation) -> None:
    value, into = op.operands[0], op.operands[1]
    with _outside(op, into), op.location:
        seen = _with_unit_dim(into)
    with ir.InsertionPoint(op), op.location:
        whole = tensor.InsertSliceOp(
            value, seen, *_dynamic(op, 2), *_static_with_unit_dim(op)
        ).result
    _replace(op, whole)


def _pad_scalars(op: ir.Operation) -> None:
    fill, result = constant_fill(op), op.results[0]
    assert fill is not None, "the analysis has seen to that"
    sizes = shape_of(op.operands[0])
    low = [*ir.DenseI64ArrayAttr(op.attributes["static_low"]), 0]
    static = (low, [*sizes, 1], [1] * len(low))
    with ir.InsertionPoint(op), op.location:
        filled = build.splat(fill, build.tensor_type(result, (*shape_of(result), 1)))
        whole = tensor.InsertSliceOp(
            op.operands[0], filled, [], [], [], *map(_array, static)
        ).result
    _replace(op, whole)


def _replace(op: ir.Operation, whole: ir.Value) -> None:
    """Lets what reads ``op`` read ``whole`` without its innermost dim, which a region returns."""
    old = op.results[0]
    shape = shape_of(old)
    region = op.parent if op.parent.name == REGION else None
    if region is None or not _is_returned(old):
        with ir.InsertionPoint.after(whole.owner), op.location:
            old.replace_all_uses_with(build.reshape(whole, shape))
    else:
        old.replace_all_uses_with(whole)
        result = region.results[0]
        readers = list(result.uses)
        result.set_type(whole.type)
        with ir.InsertionPoint.after(region), op.location:
            seen = build.reshape(result, shape)
        for use in readers:
            use.owner.operands[use.operand_number] = seen
    op.erase()


def _is_returned(value: ir.Value) -> bool:
    return all(use.owner.operation.name == RETURN for use in value.uses)


def _outside(op: ir.Operation, value: ir.Value) -> ir.InsertionPoint:
    """Before ``op``, or before its region if ``value`` comes from outside."""
    region = op.parent
    made_here = not isinstance(value.owner, ir.Block) and value.owner.parent == region
    return ir.InsertionPoint(op if made_here or region.name != REGION else region)


def _with_unit_dim(value: ir.Value) -> ir.Value:
    return build.reshape(value, (*shape_of(value), 1))


def _dynamic(op: ir.Operation, tensors: int) -> tuple[list[ir.Value], ...]:
    """The operands that are offsets, sizes and strides, behind ``tensors`` others."""
    segments = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))[tensors:]
    values = iter(list(op.operands)[tensors:])
    return tuple([next(values) for _ in range(count)] for count in segments)


def _static_with_unit_dim(op: ir.Operation) -> list[ir.Attribute]:
    names = (("static_offsets", 0), ("static_sizes", 1), ("static_strides", 1))
    return [_array([*ir.DenseI64ArrayAttr(op.attributes[name]), one]) for name, one in names]


def _array(values: Iterable[int]) -> ir.Attribute:
    return ir.DenseI64ArrayAttr.get(list(values))


_REWRITES = {_SLICE: _read_scalars, _INSERT: _write_scalars, _PAD: _pad_scalars}
