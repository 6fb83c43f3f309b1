"""``tm_tensor``: scans, scatters and sorts of torch-mlir."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_mlir import ir

from smartmem.interpreter.accesses import check_inside
from smartmem.interpreter.attributes import integer, integers
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import Array


@evaluates("tm_tensor.scan")
def _scan(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    """output[i] combines all up to i; exclusive: all before i, the accumulator at first."""
    array, output, accumulator = operands[0], np.array(operands[1]), operands[2]
    axis, block = integer(op, "dimension"), op.regions[0].blocks[0]
    is_inclusive = bool(ir.BoolAttr(op.attributes["inclusive"]).value)
    rows = np.moveaxis(array, axis, 0)
    written = np.moveaxis(output, axis, 0)
    total = accumulator
    for number, row in enumerate(rows):
        if not is_inclusive:
            written[number] = total
        first = is_inclusive and number == 0
        total = row if first else _combined(block, total, row, frame)
        if is_inclusive:
            written[number] = total
    return [output, np.array(total)]


def _combined(block: ir.Block, a: Array, b: Array, frame: Frame) -> Array:
    return frame.inner().run(block, [a, b])[0]


@evaluates("tm_tensor.scatter")
def _scatter(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    """One update after the other: original[indices[n]] = body(update[n], original[...])."""
    updates, indices, result = operands[0], operands[1], np.array(operands[2])
    dims = integers(op, "dimension_map")
    block = op.regions[0].blocks[0]
    for update, index in zip(updates, indices.reshape(len(indices), -1), strict=True):
        check_inside(list(index), [result.shape[d] for d in dims])
        at = [slice(0, n) for n in _window(update, result, dims)]
        for dim, place in zip(dims, index, strict=True):
            at[dim] = slice(int(place), int(place) + 1)
        part = result[tuple(at)]
        part[...] = _combined(block, update.reshape(part.shape), part, frame)
    return [result]


def _window(update: Array, result: Array, dims: Sequence[int]) -> list[int]:
    """The extents of what an update covers, those of scattered dims left at 1."""
    sizes = list(update.shape)[-(result.ndim - len(dims)) :] if result.ndim > len(dims) else []
    rest = iter(sizes)
    return [1 if d in dims else next(rest) for d in range(result.ndim)]


@evaluates("tm_tensor.sort")
def _sort(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    """Odd-even transposition: neighbours change places where the body says that the second
    is to come first; so equal ones keep their order."""
    axis, block = integer(op, "dimension"), op.regions[0].blocks[0]
    arrays = [np.array(np.moveaxis(operand, axis, -1)) for operand in operands]
    length = arrays[0].shape[-1]
    for step in range(length):
        first = slice(step % 2, length - 1, 2)
        second = slice(step % 2 + 1, length, 2)
        pairs = [(array[..., first], array[..., second]) for array in arrays]
        swaps = _is_before(block, [(b, a) for a, b in pairs], frame)
        for array, (a, b) in zip(arrays, [(a.copy(), b.copy()) for a, b in pairs], strict=True):
            array[..., first] = np.where(swaps, b, a)
            array[..., second] = np.where(swaps, a, b)
    return [np.moveaxis(array, -1, axis) for array in arrays]


def _is_before(block: ir.Block, pairs: Sequence[tuple[Array, Array]], frame: Frame) -> Array:
    """Whether the body puts the first of each pair before the second, strictly."""
    forward = frame.inner().run(block, [x for pair in pairs for x in pair])[0]
    backward = frame.inner().run(block, [x for a, b in pairs for x in (b, a)])[0]
    return forward & ~backward
