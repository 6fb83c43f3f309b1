"""Rebuild operations over longer dims; what keeps a dim reads the first elements of it."""

from __future__ import annotations

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
    identity,
)
from smartmem.index_map import expr as ex
from smartmem.parameters import Parameters, numpy_dtype
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.movement import Piece, is_view, shape_of, view_map
from smartmem.passes.analysis.padding.contents import MASK
from smartmem.passes.analysis.padding.dim_classes import DimClass
from smartmem.passes.analysis.padding.masked_readers import IN_ORDER, is_moved_constant
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.base import erase_if_unused
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.loops.split_loops import new_init, view_as
from smartmem.passes.rewrites.padding.pad_views import padded_view


def pad_dims(found: DimClass, parameters: Parameters) -> list[ir.Operation]:
    """Makes everything in ``found`` longer; the operations that are new, or read what is."""
    return _Rebuilding(found, parameters).run()


class _Rebuilding:
    def __init__(self, found: DimClass, parameters: Parameters) -> None:
        self._found = found
        self._parameters = parameters
        self._new: dict[ir.Value, ir.Value] = {}
        self._changed: list[ir.Operation] = []

    def run(self) -> list[ir.Operation]:
        longer = {value for value, _ in self._found.places}
        block = next(iter(self._found.loops)).block
        uses = [use.owner.operation for value in longer for use in value.uses]
        found = {value.owner.operation for value in longer}.union(uses)
        # What is in the body of another operation reads what stays as it was.
        in_order = sorted((op for op in found if op.block == block), key=IN_ORDER)
        made = [op for op in in_order if longer.intersection(op.results)]
        for op in in_order:
            if longer.intersection(op.results):
                with ir.InsertionPoint.after(op), op.location:
                    self._new[op.results[0]] = self._longer(op)
            else:
                self._read_longer(op)
                self._changed.append(op)
        return self._changed + [op for op in reversed(made) if not erase_if_unused(op)]

    def _read_longer(self, op: ir.Operation) -> None:
        """Lets ``op``, whose result stays as it is, read what has become longer."""
        values = [(k, v) for k, v in enumerate(op.operands) if v in self._new]
        # All shapes first: they follow from loops, which change with the operands.
        for number, value, shape in [(k, v, self._found.read_shape(op, k)) for k, v in values]:
            if shape == shape_of(value) and is_moved_constant(value, self._parameters):
                continue  # it is there as it was
            with ir.InsertionPoint(op), op.location:
                op.operands[number] = _part(self._new[value], shape)

    def _longer(self, op: ir.Operation) -> ir.Value:
        """What ``op`` makes, with its padding."""
        old = op.results[0]
        if self._found.zeros is not None and old == self._found.zeros[0]:
            return self._with_zeros(old)
        masked = old in self._found.masked
        moved = op.name == ViewOp.OPERATION_NAME and (masked or op.operands[0] not in self._new)
        if op.name == "arith.constant" or (moved and is_moved_constant(old, self._parameters)):
            return self._longer_constant(old)
        value = self._rebuilt(op)
        return self._masked(old, value) if masked else value

    def _rebuilt(self, op: ir.Operation) -> ir.Value:
        found = self._found
        type_ = build.tensor_type(op.results[0], found.shape(op.results[0]))
        if op.name == ConcatOp.OPERATION_NAME:
            return _longer_concat(op, type_, found, self._parameters)
        inputs = [
            _part(self._new[v], found.read_shape(op, k)) if v in self._new else v
            for k, v in enumerate(op.operands)
        ]
        if op.name == ViewOp.OPERATION_NAME:
            domain = op.attributes.get("domain", None)
            held = None if domain is None else ir.AffineMapAttr(domain).value
            map_ = ir.AffineMapAttr(op.attributes["map"]).value
            return view(inputs[0], map_, type_, held, *inputs[1:])
        init = new_init(op.operands[len(inputs) - 1], tuple(type_.shape))
        attributes = dict(op.attributes.items())
        generic = ir.Operation.create(
            op.name, [type_], [*inputs[:-1], init], attributes, regions=len(op.regions)
        )
        clone_body(op, generic)
        self._changed.append(generic)
        return generic.results[0]

    def _with_zeros(self, value: ir.Value) -> ir.Value:
        """``value``, or what it is a view of, in a tensor of zeros."""
        made, index_map = value, identity(shape_of(value))
        if is_view(value):
            made, index_map = value.owner.operands[0], view_map(value.owner)
        box = [(0, n) for n in shape_of(value)]
        zero = build.zero(value.type.element_type)
        return padded_view(made, index_map, box, self._found.shape(value), zero)

    def _longer_constant(self, old: ir.Value) -> ir.Value:
        found, type_ = self._found, build.tensor_type(old, self._found.shape(old))
        array = constant_value(old, self._parameters)
        assert array is not None, "the search has taken constants of known elements alone"
        padding = [(0, n - m) for n, m in zip(type_.shape, array.shape, strict=True)]
        longer = np.pad(array, padding, mode="edge" if found.repeats else "constant")
        if old in found.masked:
            np.moveaxis(longer, found.masked[old], 0)[found.old :] = MASK
        return constant_tensor("padded", longer, type_, self._parameters)

    def _masked(self, old: ir.Value, value: ir.Value) -> ir.Value:
        """``value``, in the place of ``old``, with the mask added to it."""
        d, shape = self._found.masked[old], shape_of(value)
        type_ = build.tensor_type(value, [shape[d]])
        row = np.zeros(shape[d], numpy_dtype(type_.element_type))
        row[self._found.old :] = MASK
        mask = constant_tensor("mask", row, type_, self._parameters)
        return build.combine(arith.addf, value, mask, [d])


def _part(value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    """The first elements of ``value``; itself if ``shape`` has them all."""
    if shape == shape_of(value):
        return value
    return view_as(value, extract_slice([0] * len(shape), list(shape), [1] * len(shape)))


def _longer_concat(
    op: ir.Operation, type_: ir.RankedTensorType, found: DimClass, parameters: Parameters
) -> ir.Value:
    """The same pieces, and zeros or, where zeros meet them, the last row behind them."""
    shape, old = tuple(type_.shape), shape_of(op.results[0])
    d = next(d for d in range(len(shape)) if shape[d] != old[d])
    behind = ex.add([dim(d), constant(-old[d])], shape)
    within = ex.add([ex.scale(dim(d), -1), constant(old[d] - 1)], shape)
    if found.repeats:
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
