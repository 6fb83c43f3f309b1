"""Slices that a kernel can read in place: each dim with a fixed stride."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch_mlir import ir

from smartmem.index_map import Dim, Expr, IndexMap, Shape, compose, identity, indexes
from smartmem.index_map.expr import simplify
from smartmem.index_map.index_map import linearize
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import Movement, shape_of
from smartmem.passes.analysis.raising.data_movements import movement

SLICE = "tensor.extract_slice"


@dataclass(frozen=True)
class Slice:
    """A part of a tensor seen in another shape.

    Attributes:
        shape: the shape, a reshape of the tensor's.
        offsets, sizes, strides: of the slice, in the dims of ``shape``.
    """

    shape: Shape
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def has_strides(chain: Sequence[ir.Operation]) -> bool:
    """Whether slices and reshapes, each of the one before, read their source with fixed strides.

    7 of 9 rows of each of 8 pictures have them; not so all 56 rows as one dim, which a
    buffer has to be made for: behind every eighth row is a gap.
    """
    read = _read(chain)
    if read is None:
        return False
    place = _place(read, shape_of(chain[0].operands[0]))
    return all(isinstance(atom, Dim) for atom, _ in place.terms)


@lru_cache(maxsize=1 << 12)
def _place(read: IndexMap, source: Shape) -> Expr:
    """Where in memory a row-major tensor of shape ``source`` is read."""
    return simplify(linearize(read.exprs, source), read.shape)


def merged_slice(chain: Sequence[ir.Operation]) -> Slice | None:
    """The one slice of its source that slices and reshapes are; None if there is none."""
    read, source = _read(chain), shape_of(chain[0].operands[0])
    if read is None:
        return None
    return slice_of(read, source) or _slice_by_strides(read, source)


def _slice_by_strides(read: IndexMap, source: Shape) -> Slice | None:
    """The slice of a reshaped source in which each dim of the result is a dim.

    Also where a dim of the result is several of the source: 7 of 8 columns of 2 x 4 rows are
    7 columns of 8 rows.
    """
    place = _place(read, source)
    if not all(isinstance(atom, Dim) for atom, _ in place.terms):
        return None
    strides = {a.index: f for a, f in place.terms if isinstance(a, Dim)}
    kept = [d for d, n in enumerate(read.shape) if n > 1]
    if any(strides.get(d, 0) < 1 for d in kept):
        return None
    steps = [math.prod(source), *(strides[d] for d in kept)]
    if steps[-1] > 1:
        kept, steps = [*kept, -1], [*steps, 1]  # one of the elements between two
    parts: list[tuple[int, int, int, int]] = []
    for loop, above, step in zip(kept, steps, steps[1:], strict=False):
        size = 1 if loop < 0 else read.shape[loop]
        extent, offset = above // step, place.const % above // step
        if above % step or offset + size > extent:
            return None
        parts.append((extent, offset, size, 1))
    return Slice(*(tuple(column) for column in zip(*parts, strict=True)))


def slice_of(read: IndexMap, source: Shape) -> Slice | None:
    """What ``read`` takes of ``source``, as one slice of it with some dims split.

    The first 60 of 64 channels, in groups of 4: 15 of 16 groups. Of 62 channels there are
    none: rows of groups would begin anywhere.

    Returns:
        None if no slice takes its elements in their order; dims of size 1 aside.
    """
    parts: list[tuple[int, int, int, int]] = []
    order: list[int] = []
    for expr, extent in zip(read.exprs, source, strict=True):
        digits = [(a.index, f) for a, f in expr.terms if isinstance(a, Dim)]
        digits = [(loop, factor) for loop, factor in digits if read.shape[loop] > 1]
        split = _split(expr, [(read.shape[loop], f) for loop, f in digits], extent)
        if split is None or not all(isinstance(atom, Dim) for atom, _ in expr.terms):
            return None
        parts += split
        order += [loop for loop, _ in digits]
    if order != [d for d, n in enumerate(read.shape) if n > 1]:
        return None
    return Slice(*(tuple(column) for column in zip(*parts, strict=True)))


def whole_read(read: IndexMap, source: Shape, fixed: Sequence[bool]) -> IndexMap:
    """``read`` with dims as long as its source has elements for them, but for ``fixed`` ones.

    The first 72 of 80 columns become 80; 17 groups of 24 that are the first 408 of 432, 18.
    """
    sizes = list(read.shape)
    for expr, extent in zip(read.exprs, source, strict=True):
        digits = [(f, a.index) for a, f in expr.terms if isinstance(a, Dim)]
        if not digits or len(digits) < len(expr.terms) or expr.const:
            continue
        step, outer = max(digits)
        elsewhere = sum(indexes(other, outer) for other in read.exprs) > 1
        most = sum(f * (read.shape[loop] - 1) for f, loop in digits)
        if most < step * read.shape[outer] and extent % step == 0:
            sizes[outer] = sizes[outer] if fixed[outer] or elsewhere else extent // step
    return IndexMap(read.exprs, tuple(sizes))


def _split(
    expr: Expr, digits: Sequence[tuple[int, int]], extent: int
) -> list[tuple[int, int, int, int]] | None:
    """A dim that ``digits``, each of a size and factor, index, as dims, of which they are a slice.

    All but the first are taken whole. Each dim is its extent, offset, size and stride.
    """
    sizes = [size for size, _ in digits] or [1]
    inner = math.prod(sizes[1:])
    steps = [factor for _, factor in digits] or [inner]
    whole = [math.prod(sizes[k + 1 :]) for k in range(1, len(sizes))]
    if steps[1:] != whole or steps[0] < 1:
        return None
    if any(n % inner for n in (extent, expr.const, steps[0])):
        return None
    first = (extent // inner, expr.const // inner, sizes[0], steps[0] // inner)
    return [first, *((n, 0, n, 1) for n in sizes[1:])]


def _read(chain: Sequence[ir.Operation]) -> IndexMap | None:
    """Where in its source a chain reads; None where that is more than a change of indices."""
    read = identity(shape_of(chain[0].operands[0]))
    for op in chain:
        found = movement(op, Parameters())
        if not isinstance(found, Movement):
            return None
        read = compose(found.pieces[0].index_map, read)
    return read


def reads_slice(value: ir.Value) -> bool:
    """Whether ``value`` is a slice, seen through reshapes, that is read in place."""
    chain: list[ir.Operation] = []
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        chain.insert(0, op)
        if op.name == SLICE:
            return has_strides(chain)
        if op.name not in RESHAPES:
            return False
        value = op.operands[0]
    return False
