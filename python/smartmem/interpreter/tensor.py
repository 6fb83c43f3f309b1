"""``tensor``: what nothing has written is NaN, or a number outside of any index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch_mlir import ir

from smartmem.errors import InterpreterError
from smartmem.interpreter.accesses import check_inside, grid
from smartmem.interpreter.attributes import DYNAMIC, integer, integers, numbers, shape_of
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import (
    Array,
    element_type,
    undefined,
)


@evaluates("tensor.empty", "bufferization.alloc_tensor")
def _empty(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    result = op.results[0]
    return [undefined(shape_of(result, iter(operands)), element_type(result.type))]


@evaluates("tensor.splat")
def _splat(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [np.full(shape_of(op.results[0], iter(operands[1:])), operands[0])]


@evaluates("tensor.from_elements")
def _from_elements(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kind, shape = element_type(op.results[0].type), shape_of(op.results[0])
    return [np.array([a.reshape(()) for a in operands], kind.dtype).reshape(shape)]


@evaluates("tensor.cast", "tensor.bitcast")
def _cast(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    dtype = element_type(op.results[0].type).dtype
    return [operands[0] if operands[0].dtype == dtype else operands[0].view(dtype)]


@evaluates("tensor.dim")
def _dim(_: ir.Operation, operands: Sequence[Array], __: Frame) -> list[Array]:
    array, dim = operands
    return [np.asarray(array.shape[int(dim)])]


@evaluates("tensor.rank")
def _rank(_: ir.Operation, operands: Sequence[Array], __: Frame) -> list[Array]:
    return [np.asarray(operands[0].ndim)]


def _known_shape(op: ir.Operation) -> list[int]:
    """The result's shape for NumPy's ``reshape``, which can infer one size."""
    return [-1 if n == DYNAMIC else n for n in op.results[0].type.shape]


@evaluates("tensor.collapse_shape")
def _collapse(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [operands[0].reshape(_known_shape(op))]


@evaluates("tensor.expand_shape")
def _expand(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [operands[0].reshape(numbers(op, "static_output_shape", iter(operands[1:])))]


@evaluates("tensor.reshape")
def _reshape(_: ir.Operation, operands: Sequence[Array], __: Frame) -> list[Array]:
    return [operands[0].reshape([int(n) for n in operands[1]])]


def _slices(
    op: ir.Operation, dynamic: Iterator[Array], shape: Sequence[int]
) -> tuple[slice, ...]:
    """The slices of an operation with offsets, sizes and strides.

    Raises:
        InterpreterError: they are not inside of ``shape``.
    """
    names = ("static_offsets", "static_sizes", "static_strides")
    offsets, sizes, strides = (numbers(op, name, dynamic) for name in names)
    for start, count, step, extent in zip(offsets, sizes, strides, shape, strict=True):
        ends = (start, start + (count - 1) * step)
        if count < 0 or (count and (min(ends) < 0 or max(ends) >= extent)):
            raise InterpreterError(f"{count} elements from {start} leave a dim of {extent}")
    spans = zip(offsets, sizes, strides, strict=True)
    return tuple(slice(start, start + count * step, step) for start, count, step in spans)


@evaluates("tensor.extract_slice")
def _extract_slice(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    source = operands[0]
    part = source[_slices(op, iter(operands[1:]), source.shape)]
    return [part.reshape(_result_shape(op, part.shape))]


def _result_shape(op: ir.Operation, shape: Sequence[int]) -> list[int]:
    """The result's shape, which can lack dims of 1 that ``shape`` has."""
    static = list(op.results[0].type.shape)
    if DYNAMIC not in static or len(static) == len(shape):
        return list(shape) if len(static) == len(shape) else static
    rest = [n for n in shape if n != 1]
    return [1 if n == 1 else rest.pop(0) for n in static]


@evaluates("tensor.insert_slice", "tensor.parallel_insert_slice")
def _insert_slice(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    source, result = operands[0], np.array(operands[1])
    part = result[_slices(op, iter(operands[2:]), result.shape)]
    part[...] = source.reshape(part.shape)
    return [result]


@evaluates("tensor.concat")
def _concat(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [np.concatenate(operands, axis=integer(op, "dim"))]


@evaluates("tensor.pad")
def _pad(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    dynamic = iter(operands[1:])
    low, high = (numbers(op, name, dynamic) for name in ("static_low", "static_high"))
    source = operands[0]
    shape = [a + n + b for a, n, b in zip(low, source.shape, high, strict=True)]
    result = _generated(op, shape, frame)
    # A negative width cuts off: what is left of the source has other places in both.
    begins = zip(low, source.shape, shape, strict=True)
    inside = tuple(slice(max(a, 0), min(a + n, whole)) for a, n, whole in begins)
    kept = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inside, low, strict=True))
    result[inside] = source[kept]
    return [result]


@evaluates("tensor.generate")
def _generate(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    return [_generated(op, shape_of(op.results[0], iter(operands)), frame)]


def _generated(op: ir.Operation, shape: Sequence[int], frame: Frame) -> Array:
    """What the body yields for each index."""
    indices = grid([(0, n) for n in shape])
    (values,) = frame.inner(indices).run(op.regions[0].blocks[0], indices)
    return np.array(np.broadcast_to(values, tuple(shape)))


@evaluates("tensor.extract")
def _extract(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    source, indices = operands[0], list(operands[1:])
    if not indices:
        return [source]
    if not frame.is_masked:
        check_inside(indices, source.shape)
        return [source[tuple(indices)]]
    inside = np.asarray(True)
    for index, size in zip(indices, source.shape, strict=True):
        inside = inside & (index >= 0) & (index < size)
    clipped = (np.clip(i, 0, n - 1) for i, n in zip(indices, source.shape, strict=True))
    nowhere = undefined((), element_type(op.results[0].type))
    return [np.where(inside, source[tuple(clipped)], nowhere)]


@evaluates("tensor.insert")
def _insert(_: ir.Operation, operands: Sequence[Array], __: Frame) -> list[Array]:
    scalar, result, *indices = operands
    check_inside(indices, result.shape)
    result = np.array(result)
    result[tuple(int(i) for i in indices)] = scalar
    return [result]


@evaluates("tensor.gather")
def _gather(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    source, indices = operands
    dims = integers(op, "gather_dims")
    taken = _in_front(source, dims)[_coordinates(indices, source, dims)]
    return [taken.reshape(_known_shape(op))]


@evaluates("tensor.scatter")
def _scatter(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    source, result, indices = operands[0], np.array(operands[1]), operands[2]
    dims = integers(op, "scatter_dims")
    parts = _in_front(result, dims)
    at = _coordinates(indices, result, dims)
    parts[at] = source.reshape([*indices.shape[:-1], *parts.shape[len(dims) :]])
    return [result]


def _in_front(array: Array, dims: Sequence[int]) -> Array:
    """A view with ``dims`` before the others."""
    return array.transpose([*dims, *(d for d in range(array.ndim) if d not in dims)])


def _coordinates(indices: Array, array: Array, dims: Sequence[int]) -> tuple[Array, ...]:
    """The index of each of ``dims``: the last dim of ``indices`` holds one for each."""
    at = tuple(indices[..., n] for n in range(len(dims)))
    check_inside(at, [array.shape[d] for d in dims])
    return at
