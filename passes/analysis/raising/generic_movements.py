"""Recognize ``linalg.generic`` operations that only move data.

Copies, transposes and broadcasts yield an input; flips, rolls and gathers at constant
indices yield what ``tensor.extract`` reads at an index table known at compile time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch_mlir import ir

from smartmem.index_map import (
    IndexMap,
    Shape,
    box_domain,
    compose,
    compose_domain,
    constant,
    from_affine,
    identity,
    transpose,
)
from smartmem.index_map import expr as ex
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.index_tables import Table, extract_map, runs
from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.analysis.ir.movement import (
    Movement,
    Outcome,
    Piece,
    Refusal,
    is_static,
    shape_of,
    whole,
)
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.analysis.scalars.constant_values import known_value

# A gather whose table falls into more pieces stays a gather.
MAX_PIECES = 8


def match_generic(op: ir.Operation, parameters: Parameters) -> Outcome:
    """The movement of a ``linalg.generic`` whose body only reads and yields."""
    maps = indexing_maps(op)
    if any("reduction" in str(kind) for kind in op.attributes["iterator_types"]):
        return None
    yielded = op.regions[0].blocks[0].operations[-1].operands[0]
    iteration = _iteration_domain(maps[-1], shape_of(op.results[0]))
    if iteration is None:
        return None
    if isinstance(yielded.owner, ir.Block):
        number = ir.BlockArgument(yielded).arg_number
        if number == len(op.operands) - 1:
            return None  # yields what the output held before
        reads = from_affine(maps[number], iteration.source)
        return whole(op.operands[number], compose(iteration.index_map, reads))
    if yielded.owner.operation.name == "tensor.extract":
        return _match_gather(op, yielded.owner.operation, iteration, parameters)
    return None


@dataclass(frozen=True)
class _Iteration:
    """The loops of an elementwise generic: result index -> iteration index."""

    index_map: IndexMap
    source: Shape


def _iteration_domain(output_map: ir.AffineMap, shape: Shape) -> _Iteration | None:
    writes = from_affine(output_map, (2,) * output_map.n_dims)  # sizes yet unknown
    if not output_map.is_permutation:
        return None
    axes = [expr.terms[0][0].index for expr in writes.exprs]  # type: ignore[union-attr]
    sizes = tuple(shape[axes.index(axis)] for axis in range(len(axes)))
    to_iteration = transpose(sizes, axes)
    return _Iteration(to_iteration, sizes)


def _match_gather(
    op: ir.Operation, extract: ir.Operation, iteration: _Iteration, parameters: Parameters
) -> Outcome:
    source, domain = extract.operands[0], iteration.source
    if not is_static(source):
        return Refusal("it gathers from a tensor whose shape is not static")
    body = body_of(op, parameters)
    if isinstance(body, Refusal):
        return body
    tables = [known_value(body, i) for i in body.root.args[1:]]
    if any(t is None for t in tables):
        return Refusal("it gathers at indices that are known at run time only")
    known = [np.broadcast_to(t, domain).astype(np.int64) for t in tables if t is not None]
    if not _inside(known, shape_of(source)):
        return Refusal("it gathers at indices outside the source")
    if (reads := extract_map(known, domain)) is not None:
        return whole(source, compose(iteration.index_map, reads))
    return _piecewise(source, known, iteration) or Refusal(
        f"its index table is not quasi-affine in at most {MAX_PIECES} pieces"
    )


def _inside(tables: list[Table], extents: Shape) -> bool:
    return all(((t >= 0) & (t < n)).all() for t, n in zip(tables, extents, strict=True))


def _piecewise(source: ir.Value, tables: list[Table], iteration: _Iteration) -> Movement | None:
    """A table cut along one axis into runs that are quasi-affine each."""
    domain = iteration.source
    if 0 in domain:
        return None  # nothing is read
    for axis, n in enumerate(domain):
        lines = [np.moveaxis(t, axis, 0).reshape(n, -1)[:, 0] for t in tables]
        cuts = sorted({low for line in lines for low, _ in runs(line)} | {n})
        if not 2 < len(cuts) <= MAX_PIECES + 1:
            continue
        pieces = [
            _slab(source, tables, iteration, axis, low, high) for low, high in pairwise(cuts)
        ]
        if all(p is not None for p in pieces):
            return Movement(tuple(p for p in pieces if p is not None))
    return None


def _slab(
    source: ir.Value,
    tables: list[Table],
    iteration: _Iteration,
    axis: int,
    low: int,
    high: int,
) -> Piece | None:
    domain = iteration.source
    slab = (*domain[:axis], high - low, *domain[axis + 1 :])
    fitted = extract_map([np.take(t, range(low, high), axis) for t in tables], slab)
    if fitted is None:
        return None
    into = list(identity(domain).exprs)
    into[axis] = ex.add([into[axis], constant(-low)], domain)
    exprs = tuple(ex.substitute(e, into, domain) for e in fitted.exprs)
    box = [(0, n) for n in domain]
    box[axis] = (low, high)
    return Piece(
        source,
        compose(iteration.index_map, IndexMap(exprs, domain)),
        compose_domain(iteration.index_map, box_domain(box, domain)),
    )
