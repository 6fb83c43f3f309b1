"""Sums of products, by matrix multiplication instead of one product at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from smartmem.interpreter.values import Array, wide

_EXACT = 1 << 53
"""Integers up to this are doubles, so that sums below it can be added up as such."""


def sum_of_products(
    factors: Sequence[Array], box: Sequence[int], summed: Iterable[int]
) -> Array:
    """The sum over some loops of the product of arrays that broadcast to all loops.

    Floats are accumulated in their own type, those of 16 bits or fewer in ``f32``, and
    integers as if they wrapped around.

    Args:
        factors: one or more.
        box: the number of iterations of each loop.
        summed: the loops to sum over.

    Returns:
        An array with extent 1 along ``summed``.
    """
    arrays = [_number(factor) for factor in factors]
    while len(arrays) > 2:
        arrays = _join_cheapest(arrays)
    dims = sorted(d for d in summed if box[d] > 1)
    if len(arrays) == 1:
        return _sum(np.broadcast_to(arrays[0], _extended(arrays[0], box, dims)), dims)
    return _contract(arrays[0], arrays[1], box, dims)


def _number(array: Array) -> Array:
    """What NumPy adds up as numbers: its booleans are no numbers of one bit."""
    return array.astype(np.int64) if array.dtype == np.bool_ else wide(array)


def _join_cheapest(arrays: list[Array]) -> list[Array]:
    """Multiplies the two whose product is smallest."""
    pairs = itertools.combinations(range(len(arrays)), 2)
    a, b = min(pairs, key=lambda pair: _size(arrays[pair[0]], arrays[pair[1]]))
    rest = [array for n, array in enumerate(arrays) if n not in (a, b)]
    return [*rest, arrays[a] * arrays[b]]


def _size(a: Array, b: Array) -> int:
    return math.prod(np.broadcast_shapes(a.shape, b.shape))


def _extended(array: Array, box: Sequence[int], dims: Sequence[int]) -> list[int]:
    """The shape with all iterations of ``dims``."""
    return [box[d] if d in dims else n for d, n in enumerate(array.shape)]


def _sum(array: Array, dims: Sequence[int]) -> Array:
    total: Array = array.sum(axis=tuple(dims), keepdims=True, dtype=array.dtype)
    return total


def _contract(x: Array, y: Array, box: Sequence[int], dims: Sequence[int]) -> Array:
    in_x = {d for d in dims if x.shape[d] > 1}
    in_y = {d for d in dims if y.shape[d] > 1}
    x, y = _sum(x, [*(in_x - in_y)]), _sum(y, [*(in_y - in_x)])
    product = _matrix_product(x, y, sorted(in_x & in_y)) if in_x & in_y else x * y
    repeated = math.prod(box[d] for d in dims if d not in in_x | in_y)
    return product if repeated == 1 else product * product.dtype.type(repeated)


def _matrix_product(x: Array, y: Array, summed: Sequence[int]) -> Array:
    kept = [d for d in range(x.ndim) if d not in summed]
    batch = [d for d in kept if x.shape[d] > 1 and y.shape[d] > 1]
    rows = [d for d in kept if x.shape[d] > 1 and d not in batch]
    columns = [d for d in kept if d not in batch and d not in rows]
    left = _matrices(x, batch, rows, summed)
    right = _matrices(y, batch, summed, columns)
    product = _multiply(left, right)
    order = [*batch, *rows, *columns, *summed]
    shape = [x.shape[d] for d in (*batch, *rows)] + [y.shape[d] for d in columns]
    product = product.reshape([*shape, *[1] * len(summed)])
    return product.transpose([order.index(d) for d in range(x.ndim)])


def _matrices(
    array: Array, batch: Sequence[int], rows: Sequence[int], columns: Sequence[int]
) -> Array:
    """Three dims of all, the dims that the array does not have left out."""
    order = [*batch, *rows, *columns]
    rest = [d for d in range(array.ndim) if d not in order]
    moved = array.transpose([*order, *rest])
    sizes = [math.prod(array.shape[d] for d in dims) for dims in (batch, rows, columns)]
    return moved.reshape(sizes)


def _multiply(left: Array, right: Array) -> Array:
    if left.dtype.kind == "f":
        return np.matmul(left, right)
    bound = left.shape[-1] * _magnitude(left) * _magnitude(right)
    if bound < _EXACT:
        exact = np.matmul(left.astype(np.float64), right.astype(np.float64))
        return exact.astype(left.dtype if bound <= np.iinfo(left.dtype).max else np.int64)
    return np.matmul(left, right)


def _magnitude(array: Array) -> int:
    return max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0
