"""Random layouts: sequences of primitives of which each fits what the last one made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from smartmem.index_map import Shape
from smartmem.index_map.primitives import Fuse, Pad, Primitive, Reorder, Split, StoreAt, Unfold

_MOST_ELEMENTS = 4000
_MOST_DIMS = 6

Kind = Callable[[st.DrawFn, Shape, int], Primitive]
"""Draws a primitive for a dim of a shape."""


def split(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """Two dims of one."""
    factor = draw(st.sampled_from([f for f in range(1, 7) if shape[axis] % f == 0]))
    return Split(axis, (shape[axis] // factor, factor))


def reorder(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """Any permutation."""
    return Reorder(tuple(draw(st.permutations(range(len(shape))))))


def fuse(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """One dim of some."""
    return Fuse(axis, draw(st.integers(1, len(shape) - axis)))


def pad(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """A few more places."""
    return Pad(axis, draw(st.integers(0, 2)), draw(st.integers(0, 3)))


def unfold(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """Windows that end with the dim."""
    size = draw(st.integers(1, shape[axis]))
    whole = [s for s in range(1, size + 1) if (shape[axis] - size) % s == 0]
    return Unfold(axis, size, draw(st.sampled_from(whole)))


def store_at(draw: st.DrawFn, shape: Shape, axis: int) -> Primitive:
    """Some of the places of a longer dim."""
    first = draw(st.integers(0, 3))
    return StoreAt(axis, first, first + shape[axis] + draw(st.integers(0, 3)))


ALL: tuple[Kind, ...] = (split, reorder, fuse, pad, unfold, store_at)
READ_BY_INDEX: tuple[Kind, ...] = (split, reorder, fuse, pad, store_at)
"""Those behind which each element has one place."""


@st.composite
def sequences(
    draw: st.DrawFn, shape: Shape, kinds: Sequence[Kind] = ALL
) -> tuple[Primitive, ...]:
    """A layout of a tensor of ``shape``."""
    found: list[Primitive] = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=4)):
        primitive = kind(draw, shape, draw(st.integers(0, len(shape) - 1)))
        after = primitive.step(shape).back.shape
        if math.prod(after) <= _MOST_ELEMENTS and len(after) <= _MOST_DIMS:
            found.append(primitive)
            shape = after
    return tuple(found)
