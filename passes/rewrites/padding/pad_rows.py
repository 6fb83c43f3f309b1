"""Rebuild operations with more rows; what reads the rows alone takes the first of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.dialect import ConcatOp, ViewOp, view
from smartmem.index_map import (
    Domain,
    Expr,
    IndexMap,
    bounds,
    compose,
    compose_domain,
    constant,
    dim,
    extract_slice,
)
from smartmem.index_map import expr as ex
from smartmem.parameters import Parameters, numpy_dtype
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.movement import Piece, shape_of
from smartmem.passes.analysis.padding.row_padding import RowPadding, is_moved_constant
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.loops.split_loops import new_init, view_as

Make = Callable[[Callable[[], ir.Value]], ir.Value]
"""Makes a longer value, given what makes it without."""


def pad_rows(
    found: RowPadding, parameters: Parameters, made: Mapping[ir.Value, Make] | None = None
) -> None:
    """Makes everything in ``found`` longer; the old operations have no readers then.

    ``made`` makes some values itself: it gets what makes them longer without.
    """
    made = made or {}
    block = next(iter(found.loops)).block
    longer = {value for value, _ in found.places}
    new: dict[ir.Value, ir.Value] = {}
    for op in [op.operation for op in block.operations]:
        if len(op.results) == 1 and op.results[0] in longer:
            with ir.InsertionPoint.after(op), op.location:
                plain = functools.partial(_longer, op, found, new, parameters)
                make = made.get(op.results[0])
                value = plain() if make is None else make(plain)
                new[op.results[0]] = _masked(op.results[0], value, found, parameters)
            continue
        _read_longer(op, found, new)


def _read_longer(op: ir.Operation, found: RowPadding, new: Mapping[ir.Value, ir.Value]) -> None:
    """Lets ``op``, whose result stays as it is, read what has become longer."""
    values = [(k, value) for k, value in enumerate(op.operands) if value in new]
    # All shapes first: they follow from loops, which change with the operands.
    for number, value, shape in [(k, v, found.read_shape(op, k)) for k, v in values]:
        if shape == shape_of(value) and is_moved_constant(value):
            continue  # it is there as it was
        with ir.InsertionPoint(op), op.location:
            op.operands[number] = _part(new[value], shape)


def _longer(
    op: ir.Operation, found: RowPadding, new: dict[ir.Value, ir.Value], parameters: Parameters
) -> ir.Value:
    type_ = build.tensor_type(op.results[0], found.shape(op.results[0]))
    if op.name == "arith.constant" or _views_constant(op, new):
        return _longer_constant(op, type_, found, parameters)
    if op.name == ConcatOp.OPERATION_NAME:
        return _longer_concat(op, type_, found, parameters)
    inputs = [
        _part(new[v], found.read_shape(op, k)) if v in new else v
        for k, v in enumerate(op.operands)
    ]
    if op.name == ViewOp.OPERATION_NAME:
        domain = op.attributes.get("domain", None)
        held = None if domain is None else ir.AffineMapAttr(domain).value
        return view(
            inputs[0], ir.AffineMapAttr(op.attributes["map"]).value, type_, held, *inputs[1:]
        )
    init = new_init(op.operands[len(inputs) - 1], tuple(type_.shape))
    attributes = dict(op.attributes.items())
    generic = ir.Operation.create(
        op.name, [type_], [*inputs[:-1], init], attributes, regions=len(op.regions)
    )
    clone_body(op, generic)
    return generic.results[0]


def _views_constant(op: ir.Operation, new: Mapping[ir.Value, ir.Value]) -> bool:
    """Whether ``op`` moves a constant that does not get longer itself."""
    if op.name != ViewOp.OPERATION_NAME or op.operands[0] in new:
        return False
    return is_moved_constant(op.results[0])


def _part(value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    """The first rows of ``value``; itself if ``shape`` has them all."""
    if shape == shape_of(value):
        return value
    return view_as(value, extract_slice([0] * len(shape), list(shape), [1] * len(shape)))


def _masked(
    old: ir.Value, value: ir.Value, found: RowPadding, parameters: Parameters
) -> ir.Value:
    """``value``, in the place of ``old``, with its new elements masked where they have to be."""
    if old not in found.masked:
        return value
    shape, d = shape_of(value), found.masked[old]
    type_ = build.tensor_type(value, [shape[d]])
    row = np.zeros(shape[d], numpy_dtype(type_.element_type))
    row[found.old :] = -np.inf
    mask = constant_tensor("mask", row, type_, parameters)
    return build.combine(arith.addf, value, mask, [d])


def _longer_constant(
    op: ir.Operation, type_: ir.RankedTensorType, found: RowPadding, parameters: Parameters
) -> ir.Value:
    array = constant_value(op.results[0], parameters)
    assert array is not None, "the search has taken constants of known elements alone"
    padding = [(0, n - old) for n, old in zip(type_.shape, array.shape, strict=True)]
    # Zeros of a masked softmax meet the new rows: these are as finite as the last one.
    longer = np.pad(array, padding, mode="edge" if found.masked else "constant")
    return constant_tensor("rows", longer, type_, parameters)


def _longer_concat(
    op: ir.Operation, type_: ir.RankedTensorType, found: RowPadding, parameters: Parameters
) -> ir.Value:
    """The same pieces, and zeros or, where something is masked, the last row behind them."""
    shape, old = tuple(type_.shape), shape_of(op.results[0])
    d = next(d for d in range(len(shape)) if shape[d] != old[d])
    behind = ex.add([dim(d), constant(-old[d])], shape)
    within = ex.add([ex.scale(dim(d), -1), constant(old[d] - 1)], shape)
    if found.masked:
        pieces = _last_row(op, d, behind, shape)
    else:
        zeros = build.tensor_type(
            op.results[0], [shape[d] - old[d] if k == d else n for k, n in enumerate(shape)]
        )
        zero = np.zeros(zeros.shape, numpy_dtype(zeros.element_type))
        value = constant_tensor("zeros", zero, zeros, parameters)
        exprs = tuple(behind if k == d else dim(k) for k in range(len(shape)))
        pieces = [Piece(value, IndexMap(exprs, shape), Domain((behind,)))]
    for piece in reading(op.results[0]).pieces:
        domain = Domain((*piece.domain.constraints, within))
        pieces.append(Piece(piece.source, IndexMap(piece.index_map.exprs, shape), domain))
    return build_movement(pieces, None, type_)


def _last_row(op: ir.Operation, d: int, behind: Expr, shape: tuple[int, ...]) -> list[Piece]:
    """The pieces of a concat's last row along ``d``, repeated where ``behind`` is not negative."""
    last = shape_of(op.results[0])[d] - 1
    exprs = tuple(constant(last) if k == d else dim(k) for k in range(len(shape)))
    row = IndexMap(exprs, shape)
    found = []
    for piece in reading(op.results[0]).pieces:
        domain = compose_domain(row, piece.domain)
        if any(bounds(e, shape)[1] < 0 for e in domain.constraints):
            continue  # it has no part of the last row
        constraints = (behind, *domain.constraints)
        found.append(Piece(piece.source, compose(row, piece.index_map), Domain(constraints)))
    return found
