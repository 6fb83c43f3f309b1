"""Index tables: fit index maps to them.

A flip, a roll or a constant gather arrives as a ``linalg.generic`` that reads its
source with ``tensor.extract`` at computed indices. Where those depend on constants and
``linalg.index`` alone, they are a table known at compile time; where the table is
quasi-affine, the read is an index map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smartmem.index_map import Expr, IndexMap, Shape, constant, dim
from smartmem.index_map import expr as ex

Table = npt.NDArray[np.int64]


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
