"""Index maps between boxes: which source element each result element reads.

An ``IndexMap`` maps the indices of a result of shape ``shape`` to source indices,
``result[i] = source[map(i)]``. Every data movement of a network is one of these (with
a domain and a fill value where it pads), so that chains of them compose into one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.index_map import affine
from smartmem.index_map.expr import (
    Dim,
    Expr,
    Shape,
    add,
    atoms,
    bounds,
    constant,
    dim,
    evaluate,
    floordiv,
    mod,
    scale,
    simplify,
    substitute,
)
from smartmem.mlir.memo import remembered

# Largest box that is enumerated to decide what interval arithmetic leaves open.
ENUMERATION_LIMIT = 1 << 24


@dataclass(frozen=True)
class IndexMap:
    """Maps each index of the box ``shape`` to the indices ``exprs`` of a source."""

    exprs: tuple[Expr, ...]
    shape: Shape

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: the functions of maps that are remembered ask again and again."""
        return hash((self.exprs, self.shape))

    def __str__(self) -> str:
        dims = ", ".join(f"d{i}" for i in range(len(self.shape)))
        return f"({dims}) -> ({', '.join(map(str, self.exprs))})"

    @property
    def is_identity(self) -> bool:
        """Whether every index is mapped to itself."""
        return self.exprs == identity(self.shape).exprs

    def to_affine(self, context: ir.Context) -> ir.AffineMap:
        """This map as an MLIR affine map."""
        return _to_affine(self, context)

    def indices(self) -> list[npt.NDArray[np.int64]]:
        """Source indices of every result element: one array for each source dimension.

        Each array broadcasts to ``shape``; dimensions that an expression does not use
        have size 1.
        """
        grid = np.ogrid[tuple(slice(n) for n in self.shape)] if self.shape else []
        return [evaluate(e, list(grid)) for e in self.exprs]

    def take(self, source: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """``result`` with result[i] = source[map(i)], by enumeration: the reference semantics.

        For large arrays ``smartmem.index_map.taking.take`` is many times faster.
        """
        indices = tuple(np.broadcast_to(i, self.shape) for i in self.indices())
        return source[indices] if indices else np.broadcast_to(source, self.shape)


def from_affine(affine_map: ir.AffineMap, shape: Sequence[int]) -> IndexMap:
    """The index map of ``affine_map`` over the box ``shape``, simplified.

    Raises:
        UnsupportedError: symbols, or a divisor that is not a positive constant.
    """
    return _from_affine(affine_map, tuple(shape))


@remembered
def _from_affine(affine_map: ir.AffineMap, shape: Shape) -> IndexMap:
    return IndexMap(affine.from_affine_map(affine_map, shape), shape)


@remembered
def _to_affine(index_map: IndexMap, context: ir.Context) -> ir.AffineMap:
    return affine.to_affine_map(index_map.exprs, len(index_map.shape), context)


def _index(i: int, shape: Shape) -> Expr:
    """``d<i>``, or 0 where the dimension has a single index."""
    return constant(0) if shape[i] == 1 else dim(i)


def identity(shape: Sequence[int]) -> IndexMap:
    """result[i] = source[i]."""
    return _identity(tuple(shape))


@lru_cache(maxsize=1 << 12)
def _identity(shape: Shape) -> IndexMap:
    return IndexMap(tuple(_index(i, shape) for i in range(len(shape))), shape)


def transpose(source: Sequence[int], permutation: Sequence[int]) -> IndexMap:
    """NumPy's transpose: result dimension k is source dimension permutation[k]."""
    shape = tuple(source[p] for p in permutation)
    exprs = [constant(0)] * len(shape)
    for k, p in enumerate(permutation):
        exprs[p] = _index(k, shape)
    return IndexMap(tuple(exprs), shape)


def reshape(source: Sequence[int], result: Sequence[int]) -> IndexMap:
    """Row-major reshape: the linearized index is kept.

    Raises:
        ValueError: the shapes hold different numbers of elements.
    """
    return _reshape(tuple(source), tuple(result))


@lru_cache(maxsize=1 << 14)
def _reshape(source: Shape, shape: Shape) -> IndexMap:
    if math.prod(source) != math.prod(shape):
        raise ValueError(f"cannot reshape {source} to {shape}: element counts differ")
    return IndexMap(delinearize(linearize(identity(shape).exprs, shape), source, shape), shape)


def reassociation(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Smallest groups of neighbouring dims with equal products on both sides.

    Empty if one side has rank 0: then all dims of the other have size 1.
    """
    if not old or not new:
        return []
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        left, right = [i], [j]
        a, b = old[i], new[j]
        while a != b:
            if a < b:
                i += 1
                left.append(i)
                a *= old[i]
            else:
                j += 1
                right.append(j)
                b *= new[j]
        i, j = i + 1, j + 1
        groups.append((left, right))
    groups[-1][0].extend(range(i, len(old)))
    groups[-1][1].extend(range(j, len(new)))
    return groups


def linearize(indices: Sequence[Expr], extents: Sequence[int]) -> Expr:
    """Row-major linear index of ``indices`` in a box of ``extents``."""
    strides = row_major_strides(extents)
    terms = [scale(e, s) for e, s in zip(indices, strides, strict=True)]
    return Expr(tuple(t for e in terms for t in e.terms), sum(e.const for e in terms))


def delinearize(index: Expr, extents: Sequence[int], shape: Shape) -> tuple[Expr, ...]:
    """Row-major indices in a box of ``extents`` of the linear ``index``."""
    index = simplify(index, shape)
    strides = row_major_strides(extents)
    return tuple(
        mod(floordiv(index, max(s, 1), shape), max(n, 1), shape)
        for s, n in zip(strides, extents, strict=True)
    )


def row_major_strides(extents: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides of a box, in elements."""
    return tuple(math.prod(extents[i + 1 :]) for i in range(len(extents)))


def extract_slice(
    offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> IndexMap:
    """result[i] = source[offsets + i * strides]; a negative stride flips."""
    return _extract_slice(tuple(offsets), tuple(sizes), tuple(strides))


@lru_cache(maxsize=1 << 14)
def _extract_slice(offsets: Shape, shape: Shape, strides: Shape) -> IndexMap:
    exprs = (
        add([scale(_index(k, shape), s), constant(o)], shape)
        for k, (o, s) in enumerate(zip(offsets, strides, strict=True))
    )
    return IndexMap(tuple(exprs), shape)


def broadcast(source_dims: Sequence[int], shape: Sequence[int]) -> IndexMap:
    """Source dimension k is read at result dimension source_dims[k], others repeat."""
    shape = tuple(shape)
    return IndexMap(tuple(_index(d, shape) for d in source_dims), shape)


@lru_cache(maxsize=1 << 14)
def compose(outer: IndexMap, inner: IndexMap) -> IndexMap:
    """First ``outer``, then ``inner``: result -> middle -> source, simplified.

    ``inner.shape`` is the shape of the middle tensor, whose indices ``outer`` gives.
    """
    exprs = (substitute(e, outer.exprs, outer.shape) for e in inner.exprs)
    return IndexMap(tuple(exprs), outer.shape)


def restrict(index_map: IndexMap, box: Sequence[tuple[int, int]]) -> IndexMap:
    """``index_map`` over the part ``box``, ``[low, high)`` each, of its domain, from 0."""
    lows, sizes = [low for low, _ in box], [high - low for low, high in box]
    return compose(extract_slice(lows, sizes, [1] * len(sizes)), index_map)


def divisions(index_map: IndexMap) -> int:
    """Number of distinct floordiv and mod operations left in the map."""
    return len({a for e in index_map.exprs for a in atoms(e) if not isinstance(a, Dim)})


def merge_dims(index_map: IndexMap, source: Shape) -> tuple[IndexMap, Shape]:
    """The map into ``source`` with those neighbouring dims merged that a loop runs through.

    ``(d0 floordiv 8, d0 mod 8)`` into 4 x 8 is ``d0`` into 32.
    """
    exprs, shape = list(index_map.exprs[:1]), list(source[:1])
    for expr, extent in zip(index_map.exprs[1:], source[1:], strict=True):
        joined = add([scale(exprs[-1], extent), expr], index_map.shape)
        if _divided(joined) < _divided(exprs[-1]) + _divided(expr):
            exprs[-1], shape[-1] = joined, shape[-1] * extent
        else:
            exprs.append(expr)
            shape.append(extent)
    return IndexMap(tuple(exprs), index_map.shape), tuple(shape)


def _divided(expr: Expr) -> int:
    return sum(not isinstance(atom, Dim) for atom, _ in expr.terms)


def is_within(index_map: IndexMap, source: Sequence[int], domain: Domain | None = None) -> bool:
    """Whether every index read lies in the box ``source``.

    Interval arithmetic decides most maps; the others are enumerated, exactly.
    """
    ranges = (bounds(e, index_map.shape) for e in index_map.exprs)
    if all(low >= 0 and high < n for (low, high), n in zip(ranges, source, strict=True)):
        return True
    inside = domain.mask(index_map.shape) if domain else np.asarray(True)
    return all(
        bool(np.all(~inside | ((i >= 0) & (i < n))))
        for i, n in zip(index_map.indices(), source, strict=True)
    )


@dataclass(frozen=True)
class Domain:
    """The indices of a box at which every expression of ``constraints`` is >= 0."""

    constraints: tuple[Expr, ...]

    def mask(self, shape: Shape) -> npt.NDArray[np.bool_]:
        """Truth of membership, broadcastable to ``shape``."""
        grid = list(np.ogrid[tuple(slice(n) for n in shape)]) if shape else []
        inside = np.asarray(True)
        for constraint in self.constraints:
            inside = inside & (evaluate(constraint, grid) >= 0)
        return inside

    def box(self, shape: Shape) -> list[tuple[int, int]] | None:
        """``[low, high)`` for each dimension if the domain is a box, else None."""
        box = [(0, n) for n in shape]
        for constraint in self.constraints:
            if constraint.is_constant and constraint.const >= 0:
                continue
            half_space = _half_space(constraint)
            if half_space is None:
                return None
            axis, low, high = half_space
            box[axis] = (max(box[axis][0], low), min(box[axis][1], high))
        return box


def _half_space(constraint: Expr) -> tuple[int, int, int] | None:
    """``(axis, low, high)`` of a constraint on one dimension, else None."""
    if len(constraint.terms) != 1 or not isinstance(constraint.terms[0][0], Dim):
        return None
    atom, c = constraint.terms[0]
    assert isinstance(atom, Dim)
    if c > 0:  # c*d + const >= 0
        return atom.index, -(constraint.const // c), 1 << 62
    return atom.index, -(1 << 62), constraint.const // -c + 1


def box_domain(box: Iterable[tuple[int, int]], shape: Sequence[int]) -> Domain:
    """The domain of a box given as ``[low, high)`` for each dimension of ``shape``."""
    constraints: list[Expr] = []
    for axis, ((low, high), n) in enumerate(zip(box, shape, strict=True)):
        if low > 0:
            constraints.append(Expr(((Dim(axis), 1),), -low))
        if high < n:
            constraints.append(Expr(((Dim(axis), -1),), high - 1))
    return Domain(tuple(constraints))


@lru_cache(maxsize=1 << 14)
def compose_domain(outer: IndexMap, domain: Domain) -> Domain:
    """The indices of ``outer.shape`` that ``outer`` maps into ``domain``."""
    exprs = (substitute(e, outer.exprs, outer.shape) for e in domain.constraints)
    open_ = (e for e in exprs if bounds(e, outer.shape)[0] < 0)
    return Domain(tuple(dict.fromkeys(open_)))
