"""Factors, and how they are carried from one place to another.

A factor is what the elements of a tensor, or the iterations of an operation, are
multiplied by: an array with a dim for each dim of the tensor or each loop, of size 1 along
those that it does not vary along. NaN stands where no factor is asked for.

Multiplying an operand of a contraction, its other operand, or its result is the same where
the factor varies along loops of both (``to_loops``, then ``to_operand``). Through movements
a factor goes to the elements that are moved (``to_source``, ``to_reader``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smartmem.index_map import Dim, Shape, atoms, bounds
from smartmem.index_map.expr import evaluate
from smartmem.parameters import Array
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import Piece, Refusal, shape_of
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node, arguments

# Index tuples that may be enumerated to carry a factor through a movement.
ENUMERATION_LIMIT = 1 << 22


def to_loops(nest: LoopNest, factor: Array, operand: int) -> Array | Refusal:
    """A factor of an operand's elements, as one of the iterations."""
    axes: list[int | None] = [None] * len(nest.domain)
    for axis, n in enumerate(factor.shape):
        loop = _plain_loop(nest, operand, axis)
        if n > 1 and (loop is None or axes[loop] is not None):
            return Refusal("its factor varies along a sum of loops")
        if n > 1 and loop is not None:
            axes[loop] = axis
    return _rearranged(factor, axes)


def to_operand(nest: LoopNest, factor: Array, operand: int) -> Array | Refusal:
    """A factor of the iterations, as one of an operand's elements: the inverse."""
    rank = len(nest.accesses[operand].exprs)
    loops = [_plain_loop(nest, operand, axis) for axis in range(rank)]
    if {loop for loop, n in enumerate(factor.shape) if n > 1} - set(loops):
        return Refusal("its factor varies along a loop that does not index the operand")
    return _rearranged(factor, loops)


def _plain_loop(nest: LoopNest, operand: int, axis: int) -> int | None:
    """The loop that alone indexes an axis of an operand."""
    expr = nest.accesses[operand].exprs[axis]
    if expr.const or len(expr.terms) != 1:
        return None
    atom, coefficient = expr.terms[0]
    return atom.index if isinstance(atom, Dim) and coefficient == 1 else None


def _rearranged(factor: Array, axes: Sequence[int | None]) -> Array:
    """``factor`` with these axes in this order; None is a new axis of size 1.

    Axes that are not named have size 1.
    """
    named = [a for a in axes if a is not None]
    rest = [a for a in range(factor.ndim) if a not in named]
    shape = [1 if a is None else factor.shape[a] for a in axes]
    return factor.transpose([*named, *rest]).reshape(shape)


def source_dims(piece: Piece, shape: Shape, factor: Array) -> set[int]:
    """The dims of the source that tell which elements, and which factor, a piece reads.

    Args:
        shape: of the tensor that the piece is part of.
        factor: of that tensor.
    """
    varying = {d for d, n in enumerate(factor.shape) if n > 1}
    dims = set()
    for axis, (expr, n) in enumerate(
        zip(piece.index_map.exprs, shape_of(piece.source), strict=True)
    ):
        used = {a.index for a in atoms(expr) if isinstance(a, Dim)}
        if used & varying or bounds(expr, shape) != (0, n - 1):
            dims.add(axis)
    return dims


def to_source(
    piece: Piece, shape: Shape, factor: Array, dims: Sequence[int]
) -> Array | Refusal:
    """A factor of a tensor, as one of the source of a piece of it.

    Args:
        shape: of the tensor.
        dims: dims of the source that the result may vary along.

    Returns:
        NaN at elements that the piece does not read.
    """
    extents = shape_of(piece.source)
    grid = list(np.ogrid[tuple(slice(n) for n in shape)]) if shape else []
    indices = [evaluate(piece.index_map.exprs[d], grid) for d in dims]
    inside = piece.domain.mask(shape)
    if np.broadcast(inside, factor, *indices).size > ENUMERATION_LIMIT:
        return Refusal("its factor goes through too large a movement")
    inside, factor, *indices = np.broadcast_arrays(inside, factor, *indices)
    wanted = factor[inside]
    kept = [extents[d] for d in dims]
    place = np.zeros(wanted.shape, np.int64)
    for index, n in zip(indices, kept, strict=True):
        place = place * n + index[inside]
    result = np.full(int(np.prod(kept)), np.nan)
    result[place] = wanted
    if not (result[place] == wanted).all():
        return Refusal("one element would need several factors")
    return result.reshape([n if d in dims else 1 for d, n in enumerate(extents)])


def to_reader(piece: Piece, factor: Array) -> Array:
    """A factor of the source of a piece, as one of the tensor that is only this piece."""
    place = [
        np.asarray(index if n > 1 else 0)
        for index, n in zip(piece.index_map.indices(), factor.shape, strict=True)
    ]
    rank = len(piece.index_map.shape)
    result = factor[tuple(np.broadcast_arrays(*place))] if place else factor
    return result.reshape((1,) * (rank - result.ndim) + result.shape)


@dataclass(frozen=True)
class Scaled:
    """``root`` is the factor times the old expression once operands are multiplied by it.

    Attributes:
        root: differs from the old expression in its constants.
        operands: the numbers of those operands.
    """

    root: Node
    operands: frozenset[int]


# Operation -> its operands that take a factor of the result.
_LINEAR: Mapping[str, tuple[int, ...]] = {
    "arith.addf": (0, 1),
    "arith.subf": (0, 1),
    "arith.negf": (0,),
    "arith.divf": (0,),
    "arith.extf": (0,),
    "arith.truncf": (0,),
}


def scaled(body: Body, node: Node, factor: Array) -> Scaled | Refusal:
    """How ``node`` is multiplied by ``factor``, one of the loops of ``body``.

    Sums take it on both sides, products and quotients on one, unknown sides first.
    """
    scaler = _Scaler(body, factor)
    root = scaler.scale(node)
    if isinstance(root, Refusal):
        return root
    if scaler.scaled & scaler.kept:
        return Refusal("it is not linear in its operand")
    return Scaled(root, frozenset(scaler.scaled))


class _Scaler:
    def __init__(self, body: Body, factor: Array) -> None:
        self.scaled: set[int] = set()
        self.kept: set[int] = set()
        self._body = body
        self._factors = np.unique(factor)

    def scale(self, node: Node) -> Node | Refusal:
        if node.kind == ARGUMENT:
            self.scaled.add(node.number)
            return node
        if node.kind == CONSTANT:
            return self._constant(node)
        takes = _LINEAR.get(node.kind)
        if node.kind == "arith.mulf":
            takes = (1,) if self._body.is_known(node.args[0]) else (0,)
        if takes is None:
            return Refusal(f"it is not linear: {node.kind}")
        args = []
        for place, arg in enumerate(node.args):
            new = self.scale(arg) if place in takes else arg
            if isinstance(new, Refusal):
                return new
            if place not in takes:
                self.kept |= set(arguments(arg))
            args.append(new)
        return self._body.pool.with_args(node, args)

    def _constant(self, node: Node) -> Node | Refusal:
        if node.payload == 0:
            return node
        if self._factors.size > 1:
            return Refusal("it adds a constant, and its factor varies")
        assert isinstance(node.payload, float)
        return self._body.pool.constant(node.payload * float(self._factors[0]), node.type)
