"""Index maps as permutations of digits: the mixed-radix form.

Each dimension of the iteration domain is split into digits (``d = 12*d' + d''`` with
0 <= d'' < 12) until every ``floordiv`` and ``mod`` is gone and each source index is a
weighted sum of digits. Reshapes, transposes, slices, broadcasts and all their chains
have such a form; it gives their inverse, their contiguity, and the shapes by which
they become a projected permutation of the split iteration domain. A roll has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from smartmem.index_map.expr import (
    Atom,
    Dim,
    Expr,
    FloorDiv,
    Mod,
    Shape,
    add,
    constant,
    dim,
    floordiv,
    mod,
    scale,
    substitute,
)
from smartmem.index_map.index_map import (
    IndexMap,
    divisions,
    linearize,
    row_major_strides,
)

Radices = list[list[int]]


@dataclass(frozen=True)
class DigitForm:
    """A map over the split iteration domain, free of divisions.

    Attributes:
        radices: sizes of the digits of each dimension, most significant first. Digits
            are numbered through all dimensions; a dimension of size 1 has none.
        exprs: the source indices as linear expressions of the digits.
    """

    radices: tuple[tuple[int, ...], ...]
    exprs: tuple[Expr, ...]

    @property
    def digit_shape(self) -> Shape:
        """Sizes of all digits: the shape of the split iteration domain."""
        return tuple(n for radix in self.radices for n in radix)

    def digits_of(self, dimension: int) -> range:
        """The numbers of the digits of a dimension, most significant first."""
        return digits_of(self.radices, dimension)


def digits_of(radices: Sequence[Sequence[int]], dimension: int) -> range:
    """The numbers of the digits of a dimension that is split by ``radices``."""
    first = sum(map(len, radices[:dimension]))
    return range(first, first + len(radices[dimension]))


@lru_cache(maxsize=1 << 14)
def digit_form(index_map: IndexMap) -> DigitForm | None:
    """The mixed-radix form of ``index_map``, or None if it has none."""
    radices: Radices = [[n] if n > 1 else [] for n in index_map.shape]
    while True:
        split = _substitute_digits(index_map, radices)
        atom = _first_division(split)
        if atom is None:
            return DigitForm(tuple(map(tuple, radices)), split.exprs)
        if not _split_for(atom, radices):
            return None


def _substitute_digits(index_map: IndexMap, radices: Radices) -> IndexMap:
    digit_shape = tuple(n for radix in radices for n in radix)
    values, first = [], 0
    for radix in radices:
        digits = [dim(first + k) for k in range(len(radix))]
        values.append(linearize(digits, radix))
        first += len(radix)
    exprs = tuple(substitute(e, values, digit_shape) for e in index_map.exprs)
    return IndexMap(exprs, digit_shape)


def _first_division(index_map: IndexMap) -> FloorDiv | Mod | None:
    """An innermost division: its operand is linear."""

    def search(expr: Expr) -> FloorDiv | Mod | None:
        for atom, _ in expr.terms:
            if not isinstance(atom, Dim):
                return search(atom.operand) or atom
        return None

    found = (search(expr) for expr in index_map.exprs)
    return next((atom for atom in found if atom is not None), None)


def _split_for(atom: FloorDiv | Mod, radices: Radices) -> bool:
    """Splits one digit so that ``atom`` can simplify; False if no split helps."""
    k = atom.divisor if isinstance(atom, FloorDiv) else atom.modulus
    sizes = [n for radix in radices for n in radix]
    for inner, c in atom.operand.terms:
        if not isinstance(inner, Dim) or c <= 0 or k % c:
            continue
        low, size = k // c, sizes[inner.index]
        if 1 < low < size and size % low == 0:
            _split_digit(radices, inner.index, low)
            return True
    return False


def _split_digit(radices: Radices, digit: int, low: int) -> None:
    for radix in radices:
        if digit < len(radix):
            radix[digit : digit + 1] = [radix[digit] // low, low]
            return
        digit -= len(radix)


@lru_cache(maxsize=1 << 14)
def inverse(index_map: IndexMap, source: Shape) -> IndexMap | None:
    """The map from source to result indices, or None if ``index_map`` is no bijection.

    ``compose(inverse(m), m)`` is the identity on the box ``source``.
    """
    form = digit_form(index_map)
    if form is None:
        return None
    where = _digit_places(form, source)
    if where is None:
        return None
    exprs, first = [], 0
    for radix in form.radices:
        digits = where[first : first + len(radix)]
        parts = [scale(e, s) for e, s in zip(digits, row_major_strides(radix), strict=True)]
        exprs.append(add(parts, source))
        first += len(radix)
    return IndexMap(tuple(exprs), source)


def _digit_places(form: DigitForm, source: Shape) -> list[Expr] | None:
    """Each digit as an expression of the source indices, if all are determined."""
    sizes = form.digit_shape
    places: list[Expr | None] = [None] * len(sizes)
    for axis, (expr, extent) in enumerate(zip(form.exprs, source, strict=True)):
        if not _covers(expr, extent, sizes):
            return None
        index = constant(0) if extent == 1 else dim(axis)
        for atom, c in expr.terms:
            assert isinstance(atom, Dim)
            if places[atom.index] is not None:
                return None
            places[atom.index] = mod(floordiv(index, c, source), sizes[atom.index], source)
    determined = [p for p in places if p is not None]
    return determined if len(determined) == len(places) else None


def _covers(expr: Expr, extent: int, sizes: Shape) -> bool:
    """Whether the digits of ``expr`` count through [0, extent) without a gap."""
    run = 1
    for atom, c in sorted(expr.terms, key=lambda term: term[1]):
        assert isinstance(atom, Dim)
        if c != run:
            return False
        run *= sizes[atom.index]
    return expr.const == 0 and run == extent


@dataclass(frozen=True)
class MapCost:
    """What reading through a map costs, apart from the bytes.

    Attributes:
        divisions: floordiv and mod operations per element that are left.
        contiguous_run: the largest n such that each aligned group of n results, in
            row-major order, reads n adjacent source elements.
        elements: number of result elements.
    """

    divisions: int
    contiguous_run: int
    elements: int

    @property
    def is_free(self) -> bool:
        """Whether the map only renames: no element moves."""
        return self.contiguous_run == self.elements


def cost(index_map: IndexMap, source: Shape) -> MapCost:
    """Cost of reading a row-major tensor of shape ``source`` through ``index_map``."""
    run = contiguous_run(index_map, source)
    return MapCost(divisions(index_map), run, math.prod(index_map.shape))


@lru_cache(maxsize=1 << 14)
def contiguous_run(index_map: IndexMap, source: Shape) -> int:
    """See ``MapCost.contiguous_run``; 1 for an empty result."""
    form = digit_form(index_map)
    if form is None:
        return _enumerated_run(index_map, source)
    linear = linearize(form.exprs, source)
    stride: dict[Atom, int] = {}
    for atom, c in linear.terms:
        stride[atom] = stride.get(atom, 0) + c
    run = 1
    for digit in reversed(range(len(form.digit_shape))):
        if stride.get(Dim(digit), 0) != run:
            break
        run *= form.digit_shape[digit]
    return run


def is_reshape(index_map: IndexMap, source: Shape) -> bool:
    """Whether all of ``source`` is read in its row-major order: nothing moves."""
    elements = math.prod(index_map.shape)
    return math.prod(source) == elements and contiguous_run(index_map, source) == elements


def _enumerated_run(index_map: IndexMap, source: Shape) -> int:
    strides = row_major_strides(source)
    address = np.zeros(index_map.shape, dtype=np.int64)
    for index, stride in zip(index_map.indices(), strides, strict=True):
        address = address + index * stride
    breaks = np.flatnonzero(np.diff(address.ravel()) != 1) + 1
    return int(np.gcd.reduce(breaks, initial=address.size)) or 1


__all__ = [
    "DigitForm",
    "MapCost",
    "contiguous_run",
    "cost",
    "digit_form",
    "inverse",
    "is_reshape",
]
