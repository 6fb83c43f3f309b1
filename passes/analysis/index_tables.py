"""Index tables: evaluate index arithmetic on constants, and fit index maps to it.

A flip, a roll or a constant gather arrives as a ``linalg.generic`` that reads its
source with ``tensor.extract`` at computed indices. Where those depend on constants and
``linalg.index`` alone, they are a table known at compile time; where the table is
quasi-affine, the read is an index map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.index_map import Expr, IndexMap, Shape, constant, dim, from_affine
from smartmem.index_map import expr as ex
from smartmem.parameters import Array, Parameters

Table = npt.NDArray[np.int64]

_PREDICATES = (
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
)


def _truncating_division(a: Table, b: Table) -> Table:
    return (a - np.fmod(a, b)) // b


# Integer operations that occur in index arithmetic, as NumPy computes them.
_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.divsi": _truncating_division,
    "arith.floordivsi": np.floor_divide,
    "arith.remsi": np.fmod,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.select": np.where,
    "arith.index_cast": np.asarray,
    "arith.extsi": np.asarray,
    "arith.trunci": np.asarray,
}


def constant_value(value: ir.Value, parameters: Parameters) -> Array | None:
    """The elements of a tensor that depends on constants alone, or None.

    Looks through reshapes, ``smartmem.view`` and elementwise integer arithmetic.
    """
    op = value.owner
    if not isinstance(op, ir.Operation | ir.OpView):
        return None
    op = op.operation
    if op.name == "arith.constant":
        return parameters.value(op.attributes["value"].maybe_downcast())
    if not isinstance(value.type, ir.RankedTensorType) or not value.type.has_static_shape:
        return None
    shape = tuple(value.type.shape)
    if op.name in ("tensor.expand_shape", "tensor.collapse_shape", "tensor.cast"):
        source = constant_value(op.operands[0], parameters)
        return None if source is None else source.reshape(shape)
    if op.name == "smartmem.view" and len(op.operands) == 1:
        source = constant_value(op.operands[0], parameters)
        map_ = ir.AffineMapAttr(op.attributes["map"]).value
        return None if source is None else from_affine(map_, shape).take(source)
    if op.name == "linalg.generic" and isinstance(value.type.element_type, ir.IntegerType):
        return _generic_value(op, shape, parameters)
    return None


def _generic_value(op: ir.Operation, shape: Shape, parameters: Parameters) -> Array | None:
    maps = [ir.AffineMapAttr(a).value for a in op.attributes["indexing_maps"]]
    if len(op.results) != 1 or not from_affine(maps[-1], shape).is_identity:
        return None
    yielded = op.regions[0].blocks[0].operations[-1].operands[0]
    table = body_value(op, yielded, shape, parameters)
    return None if table is None else np.broadcast_to(table, shape)


def body_value(
    generic: ir.Operation, value: ir.Value, shape: Shape, parameters: Parameters
) -> Array | None:
    """``value``, defined in the body of ``generic``, at every point of its domain.

    Args:
        shape: the iteration domain of ``generic``.

    Returns:
        An array that broadcasts to ``shape``, or None if ``value`` is not a function
        of constants and ``linalg.index``.
    """
    if isinstance(value.owner, ir.Block):
        return _argument_value(generic, ir.BlockArgument(value).arg_number, shape, parameters)
    op = value.owner.operation
    if op.name == "arith.constant":
        attribute = op.attributes["value"].maybe_downcast()
        is_integer = isinstance(attribute, ir.IntegerAttr | ir.BoolAttr)
        return np.asarray(int(attribute.value)) if is_integer else None
    if op.name == "linalg.index":
        axis = ir.IntegerAttr(op.attributes["dim"]).value
        return np.ogrid[tuple(slice(n) for n in shape)][axis]
    if op.name not in (*_ARITHMETIC, "arith.cmpi", "tensor.extract"):
        return None
    first = 1 if op.name == "tensor.extract" else 0
    operands: list[Any] = [
        body_value(generic, v, shape, parameters) for v in list(op.operands)[first:]
    ]
    if any(o is None for o in operands):
        return None
    if op.name == "tensor.extract":
        source = constant_value(op.operands[0], parameters)
        return None if source is None else _extract(source, operands)
    if op.name == "arith.cmpi":
        predicate = ir.IntegerAttr(op.attributes["predicate"]).value
        return _PREDICATES[predicate](*operands) if predicate < len(_PREDICATES) else None
    return _ARITHMETIC[op.name](*operands)


def _extract(source: Array, indices: list[Any]) -> Array | None:
    inside = all(((i >= 0) & (i < n)).all() for i, n in zip(indices, source.shape, strict=True))
    return source[tuple(indices)] if inside else None


def _argument_value(
    generic: ir.Operation, number: int, shape: Shape, parameters: Parameters
) -> Array | None:
    if number >= len(generic.operands) - len(generic.results):
        return None  # the value of an output operand
    operand = generic.operands[number]
    array = constant_value(operand, parameters)
    if array is None:
        return None
    map_ = ir.AffineMapAttr(generic.attributes["indexing_maps"][number]).value
    return from_affine(map_, shape).take(array)


def fit_table(table: Table, shape: Shape) -> Expr | None:
    """The quasi-affine expression over the box ``shape`` whose values are ``table``.

    Finds sums of one-dimensional terms, each a mixed-radix number with constant
    weights (strides, flips, repeats, tiles, window offsets) or a rotation of one.
    """
    if table.size == 0:
        return None
    table = table.reshape((1,) * (len(shape) - table.ndim) + table.shape)
    base = int(table.flat[0])
    total, parts = np.asarray(base), [constant(base)]
    for axis, n in enumerate(table.shape):  # size 1 where the table does not vary
        line = np.moveaxis(table, axis, 0).reshape(n, -1)[:, 0] - base
        part = _fit_line(line, dim(axis), shape)
        if part is None:
            return None
        parts.append(part)
        along = [1] * table.ndim
        along[axis] = n
        total = total + line.reshape(along)
    return ex.add(parts, shape) if np.array_equal(total, table) else None


def _fit_line(line: Table, position: Expr, shape: Shape) -> Expr | None:
    """An expression of ``position``, which counts 0 .. n - 1, with values ``line``."""
    n = line.size
    if n == 1:
        return constant(int(line[0]))
    if (rotated := _fit_rotation(line, position, shape)) is not None:
        return rotated
    for run in (r for r in range(n // 2, 1, -1) if n % r == 0):
        rows = line.reshape(-1, run)
        step = int(rows[0, 1] - rows[0, 0])
        if np.array_equal(rows, rows[:, :1] + step * np.arange(run)):
            high = _fit_line(rows[:, 0], ex.floordiv(position, run, shape), shape)
            low = ex.scale(ex.mod(position, run, shape), step)
            return None if high is None else ex.add([high, low], shape)
    return None


def _fit_rotation(line: Table, position: Expr, shape: Shape) -> Expr | None:
    """``line[i] = start + step * ((i + shift) mod n)``; shift 0 is a plain stride."""
    n, steps = line.size, np.diff(line)
    for step in dict.fromkeys((int(steps[0]), int(steps[-1]))):
        breaks = np.flatnonzero(steps != step)
        shift = n - int(breaks[0]) - 1 if breaks.size else 0
        start = int(line[0]) - step * shift
        if np.array_equal(line, start + step * ((np.arange(n) + shift) % n)):
            turned = ex.mod(ex.add([position, constant(shift)], shape), n, shape)
            return ex.add([ex.scale(turned, step), constant(start)], shape)
    return None


def runs(table: Table) -> list[tuple[int, int]]:
    """``[low, high)`` of the maximal runs of equal step of a one-dimensional table."""
    bounds, low = [], 0
    while low < table.size:
        high = low + 1
        if high < table.size:
            step = table[high] - table[low]
            while high < table.size and table[high] - table[high - 1] == step:
                high += 1
        bounds.append((low, high))
        low = high
    return bounds


def extract_map(tables: list[Table], shape: Shape) -> IndexMap | None:
    """The index map that reads where ``tables``, one per source dim, point."""
    exprs = [fit_table(t, shape) for t in tables]
    if any(e is None for e in exprs):
        return None
    return IndexMap(tuple(e for e in exprs if e is not None), shape)
