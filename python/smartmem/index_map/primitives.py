"""Layout primitives: the steps in which the layout of a tensor is written.

ALT (EuroSys 2023) writes every layout as a sequence of six primitives. Each takes the shape
before it to the shape behind it; the last shape is the one in memory, row-major:

    split(1, 8, 4)       dim 1 of 32 elements becomes two dims of 8 and 4
    reorder(0, 2, 1)     NumPy's transpose
    fuse(0, 2)           two neighbouring dims from dim 0 on become one
    pad(1, 0, 3)         0 places before and 3 behind those of dim 1 that hold a fill value
    unfold(1, 3, 2)      dim 1 becomes windows of 3 elements, 2 apart; they may overlap
    store_at(0, 8, 12)   dim 0 lies from place 8 on in 12 places, shared with other tensors

``physical_layout`` composes a sequence of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from smartmem.errors import InvalidInputError
from smartmem.index_map import expr as ex
from smartmem.index_map.expr import Expr, Shape, constant, dim
from smartmem.index_map.index_map import (
    Domain,
    IndexMap,
    identity,
    reshape,
    transpose,
)
from smartmem.parameters import Array


@dataclass(frozen=True)
class Step:
    """What one primitive does: place behind it -> index before it, and back."""

    back: IndexMap
    domain: Domain
    places: IndexMap | None


@dataclass(frozen=True)
class Primitive:
    """One step of a layout."""

    @property
    def name(self) -> str:
        """As it is written: ``store_at``."""
        return NAMES[type(self)]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self._arguments()))})"

    def step(self, shape: Shape) -> Step:
        """The step from a tensor of ``shape``.

        Raises:
            InvalidInputError: the primitive does not fit the shape.
        """
        raise NotImplementedError

    def apply(self, array: Array, fill: float = 0) -> Array:
        """``array`` as it lies behind the step, with ``fill`` where nothing of it lies.

        Raises:
            InvalidInputError: the primitive does not fit its shape.
        """
        return array.reshape(self.step(array.shape).back.shape)

    def _arguments(self) -> tuple[int, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def _fault(self, shape: Shape, reason: str) -> InvalidInputError:
        return InvalidInputError(f"{self} does not fit the shape {list(shape)}: {reason}")

    def _checked(self, axis: int, shape: Shape) -> int:
        if not 0 <= axis < len(shape):
            raise self._fault(shape, f"it has no dim {axis}")
        return shape[axis]


@dataclass(frozen=True)
class Split(Primitive):
    """Dim ``axis`` becomes dims of ``factors``, the outermost first."""

    axis: int
    factors: tuple[int, ...]

    def step(self, shape: Shape) -> Step:
        """A reshape; the factors have to make up the dim."""
        extent = self._checked(self.axis, shape)
        if math.prod(self.factors) != extent or min(self.factors, default=0) < 1:
            raise self._fault(shape, f"{extent} is not the product; pad it first")
        return _reshaped(shape, (*shape[: self.axis], *self.factors, *shape[self.axis + 1 :]))

    def _arguments(self) -> tuple[int, ...]:
        return (self.axis, *self.factors)


@dataclass(frozen=True)
class Reorder(Primitive):
    """Dim k behind it is dim ``order[k]`` before it, as NumPy transposes."""

    order: tuple[int, ...]

    def step(self, shape: Shape) -> Step:
        """A permutation of all dims."""
        if sorted(self.order) != list(range(len(shape))):
            raise self._fault(shape, "it does not name each dim once")
        back = transpose(shape, self.order)
        inverse = [self.order.index(d) for d in range(len(shape))]
        return Step(back, Domain(()), transpose(back.shape, inverse))

    def apply(self, array: Array, fill: float = 0) -> Array:
        """A transposed view."""
        self.step(array.shape)
        return array.transpose(self.order)

    def _arguments(self) -> tuple[int, ...]:
        return self.order


@dataclass(frozen=True)
class Fuse(Primitive):
    """``count`` neighbouring dims from ``axis`` on become one."""

    axis: int
    count: int

    def step(self, shape: Shape) -> Step:
        """A reshape."""
        self._checked(self.axis, shape)
        end = self.axis + self.count
        if self.count < 1 or end > len(shape):
            raise self._fault(shape, f"there are no {self.count} dims from dim {self.axis} on")
        fused = math.prod(shape[self.axis : end])
        return _reshaped(shape, (*shape[: self.axis], fused, *shape[end:]))


@dataclass(frozen=True)
class Pad(Primitive):
    """``before`` and ``after`` more places along ``axis``, with a fill value."""

    axis: int
    before: int
    after: int

    def step(self, shape: Shape) -> Step:
        """A longer dim, whose elements lie from place ``before`` on."""
        extent = self._checked(self.axis, shape)
        if min(self.before, self.after) < 0:
            raise self._fault(shape, "it would cut elements off")
        return _embedded(shape, self.axis, self.before, self.before + extent + self.after)

    def apply(self, array: Array, fill: float = 0) -> Array:
        """A longer copy."""
        return _longer(array, self.axis, self.before, self.step(array.shape).back.shape, fill)


@dataclass(frozen=True)
class Unfold(Primitive):
    """Dim ``axis`` becomes windows of ``size`` elements, ``stride`` apart."""

    axis: int
    size: int
    stride: int

    def step(self, shape: Shape) -> Step:
        """Two dims, window and element of it; the last window ends with the dim."""
        extent = self._checked(self.axis, shape)
        if not 1 <= self.stride <= self.size <= extent:
            raise self._fault(shape, "windows skip elements, or are longer than the dim")
        if (extent - self.size) % self.stride:
            raise self._fault(shape, "the last window would be cut off; pad it first")
        windows = (extent - self.size) // self.stride + 1
        after = (*shape[: self.axis], windows, self.size, *shape[self.axis + 1 :])
        index = [_at(d + (d > self.axis), after) for d in range(len(shape))]
        window, element = _at(self.axis, after), _at(self.axis + 1, after)
        index[self.axis] = ex.add([ex.scale(window, self.stride), element], after)
        overlap = self.stride < self.size and windows > 1
        split = None if overlap else _reshaped(shape, after).places
        return Step(IndexMap(tuple(index), after), Domain(()), split)

    def apply(self, array: Array, fill: float = 0) -> Array:
        """The windows, as views that overlap."""
        self.step(array.shape)
        windows = np.lib.stride_tricks.sliding_window_view(array, self.size, self.axis)
        kept = (slice(None),) * self.axis + (slice(None, None, self.stride),)
        return np.moveaxis(windows[kept], -1, self.axis + 1)


@dataclass(frozen=True)
class StoreAt(Primitive):
    """Dim ``axis`` lies from place ``first`` on in ``extent`` places that others share."""

    axis: int
    first: int
    extent: int

    def step(self, shape: Shape) -> Step:
        """A longer dim; what lies in its other places is not said."""
        extent = self._checked(self.axis, shape)
        if self.first < 0 or self.first + extent > self.extent:
            reason = f"{extent} elements from place {self.first} on are more than there are"
            raise self._fault(shape, reason)
        return _embedded(shape, self.axis, self.first, self.extent)

    def apply(self, array: Array, fill: float = 0) -> Array:
        """A longer copy."""
        return _longer(array, self.axis, self.first, self.step(array.shape).back.shape, fill)


NAMES: dict[type[Primitive], str] = {
    Split: "split",
    Reorder: "reorder",
    Fuse: "fuse",
    Pad: "pad",
    Unfold: "unfold",
    StoreAt: "store_at",
}


def _reshaped(before: Shape, after: Shape) -> Step:
    return Step(reshape(before, after), Domain(()), reshape(after, before))


def _embedded(shape: Shape, axis: int, first: int, extent: int) -> Step:
    """Dim ``axis`` from place ``first`` on in ``extent`` places."""
    after = (*shape[:axis], extent, *shape[axis + 1 :])
    back, there = list(identity(after).exprs), list(identity(shape).exprs)
    back[axis] = ex.add([_at(axis, after), constant(-first)], after)
    there[axis] = ex.add([_at(axis, shape), constant(first)], shape)
    last = ex.add([ex.scale(_at(axis, after), -1), constant(first + shape[axis] - 1)], after)
    held = tuple(e for e in (back[axis], last) if ex.bounds(e, after)[0] < 0)
    return Step(IndexMap(tuple(back), after), Domain(held), IndexMap(tuple(there), shape))


def _longer(array: Array, axis: int, first: int, shape: Shape, fill: float) -> Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (first, shape[axis] - first - array.shape[axis])
    return np.pad(array, widths, constant_values=fill)


def _at(axis: int, shape: Shape) -> Expr:
    return constant(0) if shape[axis] == 1 else dim(axis)
