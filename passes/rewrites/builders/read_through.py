"""Read a tensor through an index map, with upstream operations.

Best first: nothing, a reshape, slice + expand_shape + transpose + broadcast + reshape
(any map with a mixed-radix form), and last a ``linalg.generic`` that computes each
source index and reads it with ``tensor.extract`` (rolls, flips, odd slices).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg, tensor

from smartmem.index_map import (
    Domain,
    IndexMap,
    Layout,
    Shape,
    bounds,
    digit_form,
    is_reshape,
    layout_of,
    transpose,
)
from smartmem.index_map import expr as ex
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.index_arithmetic import compute_index, index_constant


def read(source: ir.Value, index_map: IndexMap) -> ir.Value:
    """``result[i] = source[index_map(i)]``, for a map that stays inside the source."""
    shape = index_map.shape
    if is_reshape(index_map, shape_of(source)):
        return build.reshape(source, shape)
    permutation = _permutation(index_map, shape_of(source))
    if permutation is not None:
        return build.transpose(source, permutation)
    form = digit_form(index_map)
    plan = layout_of(form, shape_of(source)) if form else None
    if plan is None:
        return gather([GatherPiece(source, index_map)], None, build.tensor_type(source, shape))
    return _apply(plan, source, shape)


def _permutation(index_map: IndexMap, source: Shape) -> list[int] | None:
    """The source dim of each result dim, if the map only permutes whole dims."""
    moved = {
        expr.terms[0][0].index: axis
        for axis, expr in enumerate(index_map.exprs)
        if len(expr.terms) == 1 and isinstance(expr.terms[0][0], ex.Dim)
    }
    units = [axis for axis, n in enumerate(source) if n == 1]
    if len(moved) + len(units) != len(source) or len(source) != len(index_map.shape):
        return None
    permutation = [moved[k] if k in moved else units.pop(0) for k in range(len(source))]
    expected = transpose(source, permutation)
    return permutation if expected == index_map else None


def _apply(plan: Layout, source: ir.Value, shape: Shape) -> ir.Value:
    source = build.reshape(source, plan.source)
    if math.prod(shape) == 1 and len(shape) > len(plan.sizes):
        return _one_element(plan, source, shape)
    value = build.extract_slice(source, plan.offsets, plan.sizes, plan.strides)
    if plan.source_digits == list(range(len(plan.digit_shape))):
        return build.reshape(value, shape)
    value = build.reshape(value, tuple(plan.digit_shape[d] for d in plan.source_digits))
    present = sorted(plan.source_digits)
    value = build.transpose(value, [plan.source_digits.index(d) for d in present])
    added = [d for d in range(len(plan.digit_shape)) if d not in present]
    return build.reshape(build.broadcast(value, plan.digit_shape, added), shape)


def _one_element(plan: Layout, source: ir.Value, shape: Shape) -> ir.Value:
    # iree-compile 3.13 fails where it folds an expand_shape of one element into its slice.
    added = [0] * (len(shape) - len(plan.sizes))
    value = build.reshape(source, (*shape_of(source), *(1 for _ in added)))
    return build.extract_slice(value, [*plan.offsets, *added], list(shape), [1] * len(shape))


@dataclass(frozen=True)
class GatherPiece:
    """One source of a gather; the first whose domain holds an index gives it.

    Attributes:
        source: the tensor.
        index_map: index of the result -> index of the source.
        domain: where the result wants it.
        lanes: where the last index leaves the source, it is clamped to a multiple of it, and
            keeps its distance from one.
    """

    source: ir.Value
    index_map: IndexMap
    domain: Domain = Domain(())  # noqa: RUF009 - immutable
    lanes: int = 1


def gather(
    pieces: Sequence[GatherPiece], fill: ir.Value | None, type_: ir.RankedTensorType
) -> ir.Value:
    """A generic that computes the source indices of each element.

    Without ``fill`` the last piece gives what no domain holds.
    """
    shape = tuple(type_.shape)

    def compute(_: Sequence[ir.Value]) -> ir.Value:
        indices = [linalg.IndexOp(d).result for d in range(len(shape))]
        return _pick(pieces, fill, indices, shape)

    return build.elementwise([], [], build.empty(type_), compute)


def _pick(
    pieces: Sequence[GatherPiece], fill: ir.Value | None, indices: list[ir.Value], shape: Shape
) -> ir.Value:
    value = fill
    for piece in reversed(pieces):
        element = element_at(piece, indices, shape)
        if value is None or not piece.domain.constraints:
            value = element
            continue
        value = arith.select(holds_at(piece.domain, indices, shape), element, value)
    assert value is not None
    return value


def element_at(piece: GatherPiece, indices: list[ir.Value], shape: Shape) -> ir.Value:
    """The element read, with indices clamped where they can leave the source."""
    at: list[ir.Value] = []
    exprs, extents = piece.index_map.exprs, shape_of(piece.source)
    for axis, (expr, extent) in enumerate(zip(exprs, extents, strict=True)):
        low, high = bounds(expr, shape)
        steps = piece.lanes if axis == len(extents) - 1 else 1
        if 0 <= low and high < extent:
            at.append(compute_index(expr, indices, shape))
            continue
        index = _clamped(ex.floordiv(expr, steps, shape), extent // steps, indices, shape)
        if steps > 1:
            # Added last: IREE sees neighbours where all but the innermost index is fixed.
            lane = compute_index(ex.mod(expr, steps, shape), indices, shape)
            index = arith.addi(arith.muli(index, index_constant(steps)), lane)
        at.append(index)
    return tensor.ExtractOp(piece.source, at).result


def _clamped(expr: ex.Expr, extent: int, indices: list[ir.Value], shape: Shape) -> ir.Value:
    index = compute_index(expr, indices, shape)
    low, high = bounds(expr, shape)
    if low < 0:
        index = arith.maxsi(index, index_constant(0))
    return index if high < extent else arith.minsi(index, index_constant(extent - 1))


def holds_at(domain: Domain, indices: list[ir.Value], shape: Shape) -> ir.Value:
    """Whether the domain, which has constraints, holds the index."""
    truth: ir.Value | None = None
    for constraint in domain.constraints:
        value = compute_index(constraint, indices, shape)
        holds = arith.cmpi(arith.CmpIPredicate.sge, value, index_constant(0))
        truth = holds if truth is None else arith.andi(truth, holds)
    assert truth is not None
    return truth
