"""The elements that an index map reads of an array, as a view where strides can say it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from smartmem.index_map.digits import digit_form
from smartmem.index_map.expr import Dim, bounds
from smartmem.index_map.index_map import IndexMap

Array = npt.NDArray[np.generic]


def take(index_map: IndexMap, source: Array) -> Array:
    """``result`` with result[i] = source[map(i)]; read-only, as it can be a view of ``source``.

    A weight can be hundreds of megabytes, and the indices that NumPy would need to look its
    elements up are 16 times as large or more.

    Args:
        source: of any dtype; as many dims as the map has expressions.
    """
    strided = _strided(index_map, source)
    if strided is None:
        return index_map.take(source)
    return strided.reshape(index_map.shape)


def _strided(index_map: IndexMap, source: Array) -> Array | None:
    """A view of ``source`` with a dim for each digit of the result; None if there is none."""
    form = None if 0 in index_map.shape else digit_form(index_map)
    if form is None:
        return None
    strides = [0] * len(form.digit_shape)
    for expr, extent, stride in zip(form.exprs, source.shape, source.strides, strict=True):
        low, high = bounds(expr, form.digit_shape)
        if low < 0 or high >= extent:
            return None  # strides would read what is not the array's
        for atom, factor in expr.terms:
            assert isinstance(atom, Dim), "the digit form has no divisions"
            strides[atom.index] += factor * stride
    first = source[tuple(slice(expr.const, None) for expr in form.exprs)]
    return as_strided(first, form.digit_shape, strides, writeable=False)


_BLOCK = 1 << 16
"""Elements of a block that is copied at once: with its source it stays in the cache."""

_NEAR = 1 << 10
"""Lines of memory that are still in the cache when the elements beside theirs are read."""


def contiguous(array: Array) -> Array:
    """``array`` in row-major order; itself, if it is that already.

    NumPy copies in the order of the result. Where elements that lie side by side are far from
    each other in that order, it loads each line of memory anew for each of its elements:
    blocks take half the time or less.
    """
    if array.size <= _BLOCK or _is_near(array):
        return np.ascontiguousarray(array)
    copy = np.empty(array.shape, array.dtype)
    _copy_blocks(copy, array)
    return copy


def _is_near(array: Array) -> bool:
    """Whether elements that lie side by side are soon read one after the other."""
    moving = [axis for axis, stride in enumerate(array.strides) if stride]
    nearest = min(moving, key=lambda axis: abs(array.strides[axis]), default=0)
    return math.prod(array.shape[nearest + 1 :]) <= _NEAR


def _copy_blocks(copy: Array, array: Array) -> None:
    """Halves the longest dim until what is left is a block: squares of any permutation."""
    if array.size <= _BLOCK:
        copy[...] = array
        return
    axis = array.shape.index(max(array.shape))
    half = array.shape[axis] // 2
    for part in (slice(None, half), slice(half, None)):
        at = (*(slice(None),) * axis, part)
        _copy_blocks(copy[at], array[at])
