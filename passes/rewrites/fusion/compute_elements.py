"""Compute a tensor by one ``linalg.generic`` from the tree of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.index_map import Shape, dim
from smartmem.index_map.affine import to_affine_map
from smartmem.index_map.expr import evaluate
from smartmem.parameters import Parameters
from smartmem.passes.analysis.gathers.element_loads import constant_loops, slice_of
from smartmem.passes.analysis.gathers.elements import (
    Choose,
    Compute,
    Element,
    Load,
    Scalar,
    loads,
)
from smartmem.passes.analysis.gathers.vectorization import lane_form
from smartmem.passes.base import PassContext
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import inline_body
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.read_through import GatherPiece, element_at, holds_at
from smartmem.passes.rewrites.loops.split_loops import Operand, reshaped, view_as


def compute(
    element: Element, type_: ir.RankedTensorType, context: PassContext, longer: bool = False
) -> ir.Value:
    """The tensor of ``type_`` whose elements ``element`` describes.

    On CPUs it is computed by whole vectors where each is one piece. With ``longer``, the
    last dim of the result may have more elements than ``type_``, which are not to be read.
    """
    on_cpu = context.gpu is None
    form = lane_form(element, tuple(type_.shape), longer) if on_cpu else None
    if form is None:
        return _computed(element, type_, context.parameters)
    split = ir.RankedTensorType.get(form.shape, type_.element_type)
    vectors = _computed(form.element, split, context.parameters)
    *outer, count, lanes = form.shape
    # No view, into which readers would look: their slices of rows are none of vectors.
    return build.reshape(vectors, (*outer, count * lanes))


def _computed(element: Element, type_: ir.RankedTensorType, parameters: Parameters) -> ir.Value:
    """The tensor, computed by one generic over its shape.

    What lies in one slice is read through an indexing map, as vectors; constants are
    brought into such an order now. Only the rest is read element by element.
    """
    shape = tuple(type_.shape)
    operands: dict[Load, Operand] = {}
    for load in loads(element):
        operand = _slice(load, shape) or _constant(load, shape, parameters)
        if operand is not None:
            operands[load] = operand
    maps = [to_affine_map(e, len(shape), type_.context) for _, e in operands.values()]

    def body(arguments: Sequence[ir.Value]) -> ir.Value:
        known: dict[Element, ir.Value] = dict(zip(operands, arguments, strict=True))
        indices = [linalg.IndexOp(d).result for d in range(len(shape))]
        return _Body(shape, indices, known).value(element)

    inputs = [value for value, _ in operands.values()]
    return build.elementwise(inputs, maps, build.empty(type_), body)


def _slice(load: Load, shape: Shape) -> Operand | None:
    """The source as a slice that whole loops index, if the load never leaves it."""
    found = slice_of(load, shape)
    if found is None:
        return None
    layout, loops = found
    part = view_as(reshaped(load.source, layout.source), layout.slice_map())
    digits = layout.source_digits
    part = reshaped(part, [layout.digit_shape[d] for d in digits])
    return part, tuple(dim(loops[d]) for d in digits)


def _constant(load: Load, shape: Shape, parameters: Parameters) -> Operand | None:
    """A known constant in the order in which the loops read it.

    Where the load leaves it, nothing wants the element: the nearest one stands there.
    """
    used = constant_loops(load, shape)
    if used is None:
        return None
    array = parameters.value(load.source.owner.attributes["value"].maybe_downcast())
    if array is None:
        return None
    kept = tuple(shape[d] for d in used)
    grid = np.ogrid[tuple(slice(n if d in used else 1) for d, n in enumerate(shape))]
    places = [
        np.clip(evaluate(e, list(grid)), 0, n - 1)
        for e, n in zip(load.index_map.exprs, array.shape, strict=True)
    ]
    full = tuple(n if d in used else 1 for d, n in enumerate(shape))
    taken = array[tuple(np.broadcast_to(p, full) for p in places)].reshape(kept)
    type_ = build.tensor_type(load.source, kept)
    return constant_tensor("folded", taken, type_, parameters), tuple(dim(d) for d in used)


@dataclass
class _Body:
    """Writes a tree into the body of a generic over ``shape``."""

    shape: Shape
    indices: list[ir.Value]
    known: dict[Element, ir.Value]

    def value(self, element: Element) -> ir.Value:
        if element not in self.known:
            self.known[element] = self._new(element)
        return self.known[element]

    def _new(self, element: Element) -> ir.Value:
        if isinstance(element, Scalar):
            return element.value
        if isinstance(element, Load):
            piece = GatherPiece(element.source, element.index_map, lanes=element.lanes)
            return element_at(piece, self.indices, self.shape)
        if isinstance(element, Compute):
            return inline_body(element.op, [self.value(e) for e in element.operands])
        return self._chosen(element)

    def _chosen(self, choice: Choose) -> ir.Value:
        *pieces, (_, last) = choice.pieces
        value = self.value(last)
        for domain, piece in reversed(pieces):
            if domain.constraints:
                truth = holds_at(domain, self.indices, self.shape)
                value = arith.select(truth, self.value(piece), value)
            else:
                value = self.value(piece)
        return value
