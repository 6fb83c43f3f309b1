"""The ``smartmem`` dialect, and the operations of IREE that the last stage holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_mlir import ir

from smartmem.interpreter.accesses import access_of, check_inside, grid
from smartmem.interpreter.attributes import shape_of
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import Array, element_type, undefined


@evaluates("smartmem.view")
def _view(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    """result[i] = source[map(i)] where the domain holds, elsewhere the fill value."""
    shape, source = shape_of(op.results[0]), operands[0]
    loops = grid([(0, n) for n in shape])
    indices = _indices(op.attributes["map"], loops)
    if "domain" not in op.attributes:
        check_inside(indices, source.shape[: len(indices)])
        taken = source[tuple(np.broadcast_arrays(*indices))] if indices else source
        return [np.broadcast_to(taken.reshape(_broadcast(taken, len(shape))), shape)]
    inside = _holds(op.attributes["domain"], loops, shape)
    indices = [np.where(inside, i, 0) for i in indices] if inside.any() else []
    check_inside(indices, source.shape[: len(indices)])
    if len(operands) > 1:
        fill = operands[1]
    else:
        fill = undefined((), element_type(op.results[0].type))
    if not inside.any():
        return [np.full(shape, fill)]
    return [np.where(inside, source[tuple(indices)], fill)]


def _broadcast(taken: Array, rank: int) -> tuple[int, ...]:
    return taken.shape if taken.ndim == rank else (1,) * rank


def _indices(attribute: ir.Attribute, loops: Sequence[Array]) -> list[Array]:
    return [np.asarray(i) for i in access_of(ir.AffineMapAttr(attribute).value).indices(loops)]


def _holds(attribute: ir.Attribute, loops: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Where every result of a domain is at least 0."""
    inside: Array = np.asarray(True)
    for constraint in _indices(attribute, loops):
        inside = inside & (constraint >= 0)
    return np.broadcast_to(inside, shape)


@evaluates("smartmem.concat")
def _concat(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    """Each element from the first source whose domain holds its index."""
    shape = shape_of(op.results[0])
    loops = grid([(0, n) for n in shape])
    result = undefined(shape, element_type(op.results[0].type))
    left = np.ones(shape, np.bool_)
    for source, domain in zip(operands, ir.ArrayAttr(op.attributes["domains"]), strict=True):
        here = left & _holds(domain, loops, shape)
        result = np.where(here, source, result)
        left &= ~here
    return [result]


@evaluates("smartmem.relayout")
def _relayout(_: ir.Operation, operands: Sequence[Array], __: Frame) -> list[Array]:
    """Indices keep their meaning: where an element lies is no part of its value."""
    return [operands[0]]


@evaluates("flow.dispatch.region")
def _region(op: ir.Operation, _: Sequence[Array], frame: Frame) -> list[Array]:
    return frame.inner().run(op.regions[0].blocks[0], [], frees=True)


@evaluates("flow.tensor.bitcast")
def _bitcast(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    dtype = element_type(op.results[0].type).dtype
    return [np.ascontiguousarray(operands[0]).view(dtype).reshape(shape_of(op.results[0]))]
