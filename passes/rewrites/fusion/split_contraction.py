"""Rebuild a contraction as one contraction for each part of its columns."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import tensor

from smartmem.passes.analysis.fusion.contraction_splits import Part, Split
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body


def split_contraction(found: Split) -> None:
    """Replaces each slice of the result by a contraction that computes it, and the whole."""
    for part in found.parts:
        with ir.InsertionPoint(found.op), found.op.location:
            computed = _contraction(found, part)
        part.slice.results[0].replace_all_uses_with(computed)
        part.slice.erase()
    found.op.erase()


def _contraction(found: Split, part: Part) -> ir.Value:
    nest = part.nest
    values = list(found.op.operands)
    values[found.operand] = _columns(found, part)
    values[-1] = build.splat(found.start, part.slice.results[0].type)
    written = nest.written
    iterators = build.iterators([d not in written for d in range(len(nest.domain))])
    maps = [access.to_affine(found.op.context) for access in nest.accesses]
    generic = build.generic(values, maps, iterators)
    clone_body(found.op, generic)
    return generic.results[0]


def _columns(found: Split, part: Part) -> ir.Value:
    """The part's columns of the operand, without their dim if the part drops it."""
    value = found.op.operands[found.operand]
    offsets, sizes = [0] * len(shape_of(value)), list(shape_of(value))
    offsets[found.axis], sizes[found.axis] = part.offset, part.columns
    read = part.nest.accesses[found.operand].exprs
    shape = [n for k, n in enumerate(sizes) if k != found.axis or len(read) == len(sizes)]
    ones = [1] * len(sizes)
    type_ = build.tensor_type(value, shape)
    return tensor.ExtractSliceOp(type_, value, [], [], [], offsets, sizes, ones).result
