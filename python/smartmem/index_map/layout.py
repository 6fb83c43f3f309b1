"""How the digits of a mixed-radix form lie in a tensor: one slice of it, permuted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smartmem.index_map.digits import DigitForm
from smartmem.index_map.expr import Dim, Shape
from smartmem.index_map.index_map import IndexMap, extract_slice


@dataclass(frozen=True)
class Layout:
    """A slice of the source, split into digits, permuted and repeated."""

    offsets: list[int]
    sizes: list[int]
    strides: list[int]
    source_digits: list[int]
    digit_shape: Shape

    def is_aligned(self, source: Shape) -> bool:
        """Whether each dim of ``source`` is a whole number of slices, this one of them."""
        return all(
            stride == 1 and extent % size == 0 and offset % size == 0
            for extent, offset, size, stride in zip(
                source, self.offsets, self.sizes, self.strides, strict=True
            )
        )

    def slice_map(self) -> IndexMap:
        """The map that reads just that part."""
        return extract_slice(self.offsets, self.sizes, self.strides)


def layout_of(form: DigitForm, source: Shape) -> Layout | None:
    """How the digits lie in the source, or None where no slice holds just them."""
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
    return Layout(offsets, extents, strides, order, sizes)
