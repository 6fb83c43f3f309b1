"""Operands of elementwise operations that repeat a tensor: indexing maps can do the same.

Some importers write the repetition of a row's mean as an indexing map, others as a broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import Expr, IndexMap, Shape, compose, dim
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, indexing_maps
from smartmem.passes.analysis.ir.movement import Piece, shape_of


def repetitions(op: ir.Operation) -> Iterator[tuple[int, ir.Value, IndexMap]]:
    """The inputs that repeat a tensor: their number, the tensor, and how the loops read it.

    Args:
        op: any operation; one that is no elementwise ``linalg.generic`` has none.
    """
    nest = generic_nest(op)
    if nest is None or not nest.is_elementwise:
        return
    for number, value in enumerate(list(op.operands)[: nest.output]):
        if isinstance(value.owner, ir.Block) or value.owner.name != ViewOp.OPERATION_NAME:
            continue
        piece = reading(value).single
        if piece is None or not (nest.uses_index or _repeats(piece, value)):
            continue
        access = compose(nest.accesses[number], piece.index_map)
        if not _repeats_in_order(access, nest, shape_of(piece.source)):
            continue
        exprs = _naming(_lost_loops(op, number), access.exprs)
        if exprs is not None:
            yield number, piece.source, IndexMap(exprs, access.shape)


def _lost_loops(op: ir.Operation, number: int) -> list[int]:
    """The loops that no other operand's map than that of ``number`` names.

    They are of one iteration: what is repeated in order has the others.
    """
    maps = [m for k, m in enumerate(indexing_maps(op)) if k != number]
    named = {e.position for m in maps for e in m.results if isinstance(e, ir.AffineDimExpr)}
    return [d for d in range(maps[0].n_dims) if d not in named]


def _naming(loops: list[int], exprs: tuple[Expr, ...]) -> tuple[Expr, ...] | None:
    """``exprs`` with ``loops`` in the place of 0: a loop's length follows from some map.

    None if there are too few such places.
    """
    places = [k for k, e in enumerate(exprs) if not e.terms]
    lost = [d for d in loops if dim(d) not in exprs]
    if len(places) < len(lost):
        return None
    new = {place: dim(loop) for place, loop in zip(places, lost, strict=False)}
    return tuple(new.get(k, e) for k, e in enumerate(exprs))


def _repeats(piece: Piece, value: ir.Value) -> bool:
    return math.prod(shape_of(piece.source)) < math.prod(shape_of(value))


def _repeats_in_order(access: IndexMap, nest: LoopNest, shape: Shape) -> bool:
    """Whether each dim of a tensor of ``shape`` is read by a loop of its own, in order."""
    over = LoopNest(nest.domain, (access, nest.accesses[-1]), frozenset(), False, False)
    if not over.is_projected_permutation(0) or not over.reads_in_order(0):
        return False
    loops = iter(over.loops_of(0))
    return shape == tuple(nest.domain[next(loops)] if e.terms else 1 for e in access.exprs)
