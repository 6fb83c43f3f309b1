"""How the digits of a mixed-radix form lie in a tensor: one slice of it, permuted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smartmem.index_map.digits import DigitForm
from smartmem.index_map.expr import Dim, Expr, Shape
from smartmem.index_map.index_map import IndexMap, extract_slice


@dataclass(frozen=True)
class Layout:
    """A slice of the source, split into digits, permuted and repeated.

    Attributes:
        source: shape in which the slice lies: that of the source, or of a reshape of it
            that splits dims.
        offsets: where the slice begins in each dim of it.
        sizes: how many indices of each dim it has.
        strides: the distance of those.
        source_digits: the digits in the order in which they lie in the slice.
        digit_shape: sizes of all digits.
    """

    source: Shape
    offsets: list[int]
    sizes: list[int]
    strides: list[int]
    source_digits: list[int]
    digit_shape: Shape

    def is_aligned(self) -> bool:
        """Whether each dim of the source is a whole number of slices, this one of them."""
        return all(
            stride == 1 and extent % size == 0 and offset % size == 0
            for extent, offset, size, stride in zip(
                self.source, self.offsets, self.sizes, self.strides, strict=True
            )
        )

    def slice_map(self) -> IndexMap:
        """The map that reads just that part."""
        return extract_slice(self.offsets, self.sizes, self.strides)


def layout_of(form: DigitForm, source: Shape) -> Layout | None:
    """How the digits lie in the source, or None where no slice holds just them.

    ``x[48 * h + d]`` with d < 16 reads a slice of x only where x is split into (.., 48).
    """
    layout = _slice_of(form, source)
    if layout is not None:
        return layout
    split = [
        part
        for expr, extent in zip(form.exprs, source, strict=True)
        for part in _split(expr, extent, form.digit_shape)
    ]
    exprs, shape = tuple(e for e, _ in split), tuple(n for _, n in split)
    return _slice_of(DigitForm(form.radices, exprs), shape)


def _split(expr: Expr, extent: int, sizes: Shape) -> list[tuple[Expr, int]]:
    """The dim that ``expr`` indexes, in two or more where it reads with gaps."""
    gap = _first_gap(expr, sizes)
    if gap is None or extent % gap:
        return [(expr, extent)]
    high = Expr(tuple((a, c // gap) for a, c in expr.terms if c >= gap), expr.const // gap)
    low = Expr(tuple((a, c) for a, c in expr.terms if c < gap), expr.const % gap)
    return [*_split(high, extent // gap, sizes), (low, gap)]


def _first_gap(expr: Expr, sizes: Shape) -> int | None:
    """The smallest coefficient that is more than the terms below it cover."""
    terms = sorted(expr.terms, key=lambda term: term[1])
    if any(c < 1 for _, c in terms) or len(terms) < 2:
        return None
    run = terms[0][1]
    for atom, c in terms:
        if c != run:
            divides = all(other % c == 0 for _, other in terms if other > c)
            fits = expr.const % c + run - terms[0][1] < c
            return c if divides and fits else None
        run *= sizes[atom.index] if isinstance(atom, Dim) else 1
    return None


def _slice_of(form: DigitForm, source: Shape) -> Layout | None:
    sizes = form.digit_shape
    offsets, extents, strides, order = [], [], [], []
    for expr in form.exprs:
        terms = sorted(expr.terms, key=lambda term: -term[1])
        if any(c < 0 for _, c in terms):
            return None
        stride = math.gcd(*(c for _, c in terms)) if terms else 1
        run = 1
        for atom, c in reversed(terms):
            assert isinstance(atom, Dim)
            if c != run * stride:
                return None
            run *= sizes[atom.index]
        offsets.append(expr.const)
        extents.append(run)
        strides.append(stride)
        order += [atom.index for atom, _ in terms if isinstance(atom, Dim)]
    if len(set(order)) != len(order):
        return None
    return Layout(source, offsets, extents, strides, order, sizes)
