"""Loads that a ``linalg.generic`` over some box has no index arithmetic for.

What lies in one slice, and constants in any order, are operands with indexing maps.
Anything else is read by ``tensor.extract``.
"""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.index_map import Dim, Layout, Shape, atoms, bounds, digit_form, layout_of
from smartmem.passes.analysis.gathers.elements import Load
from smartmem.passes.analysis.ir.movement import shape_of

# A constant that is read at other places is written anew up to this many elements.
_CONSTANT_LIMIT = 1 << 20


def is_operand(load: Load, shape: Shape) -> bool:
    """Whether a generic over ``shape`` reads ``load`` through an indexing map."""
    return slice_of(load, shape) is not None or constant_loops(load, shape) is not None


def slice_of(load: Load, shape: Shape) -> tuple[Layout, list[int]] | None:
    """How the load lies in a slice, and the loops of its digits, if it never leaves it."""
    extents = shape_of(load.source)
    ranges = (bounds(e, shape) for e in load.index_map.exprs)
    if any(low < 0 or high >= n for (low, high), n in zip(ranges, extents, strict=True)):
        return None
    form = digit_form(load.index_map)
    if form is None or any(len(radix) > 1 for radix in form.radices):
        return None
    layout = layout_of(form, extents)
    if layout is None or any(stride != 1 for stride in layout.strides):
        return None
    return layout, [loop for loop, radix in enumerate(form.radices) if radix]


def constant_loops(load: Load, shape: Shape) -> list[int] | None:
    """The loops that a load of a constant depends on, if it can be written anew for them."""
    owner = load.source.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant":
        return None
    exprs = load.index_map.exprs
    used = sorted({a.index for e in exprs for a in atoms(e) if isinstance(a, Dim)})
    return used if math.prod(shape[d] for d in used) <= _CONSTANT_LIMIT else None
