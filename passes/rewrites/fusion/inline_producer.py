"""Compute an elementwise operation in the body of the operation that reads its result."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.index_map.affine import projection
from smartmem.passes.analysis.gathers.gathers import CAST
from smartmem.passes.analysis.ir.loops import LoopNest, indexing_maps, loop_nest
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_op, inline_body
from smartmem.passes.rewrites.builders.index_arithmetic import index_constant

Looked = Sequence[tuple[ir.Value, ir.AffineMap]]
"""What a producer reads, each with its map over the producer's loops."""


def inline_producer(op: ir.Operation, producer: ir.Operation, looked: Looked) -> ir.Operation:
    """Replaces ``op`` by an operation that computes ``producer`` from ``looked`` in its body.

    The producer writes its result in the order of its loops, and ``op`` reads it by single
    loops. Where several operands of ``op`` are read alike, it is computed once.
    """
    nest = loop_nest(op)
    assert nest is not None  # who asks has seen it
    (*values, init), (*maps, written) = list(op.operands), indexing_maps(op)
    read = [k for k, v in enumerate(values) if v == producer.results[0]]
    kept = [k for k in range(len(values)) if k not in read]
    inputs = [values[k] for k in kept]
    new_maps = [maps[k] for k in kept]
    alike = list(dict.fromkeys(maps[k] for k in read))
    for at in alike:
        inputs += [value for value, _ in looked]
        new_maps += [_composed(m, at) for _, m in looked]
    with ir.InsertionPoint(op), op.location:
        for loop in _lost_loops(nest, [*new_maps, written]):
            shape = [nest.domain[loop]]
            inputs.append(build.empty(build.tensor_type(init, shape)))
            new_maps.append(projection(written.n_dims, [loop]))
        iterators = ir.ArrayAttr(op.attributes["iterator_types"])
        new = build.generic([*inputs, init], [*new_maps, written], iterators)
        _write_body(op, new, producer, kept, [(k, alike.index(maps[k])) for k in read], alike)
    op.results[0].replace_all_uses_with(new.results[0])
    op.erase()
    return new


def _composed(inner: ir.AffineMap, outer: ir.AffineMap) -> ir.AffineMap:
    return ir.AffineMap.get(outer.n_dims, 0, [e.compose(outer) for e in inner.results])


def _lost_loops(nest: LoopNest, maps: list[ir.AffineMap]) -> list[int]:
    """The loops whose extent no operand gives any more."""
    exprs = [e for m in maps for e in m.results]
    known = {e.position for e in exprs if isinstance(e, ir.AffineDimExpr)}
    return [loop for loop in range(len(nest.domain)) if loop not in known]


def _write_body(
    op: ir.Operation,
    new: ir.Operation,
    producer: ir.Operation,
    kept: Sequence[int],
    reads: Sequence[tuple[int, int]],
    alike: Sequence[ir.AffineMap],
) -> None:
    """Fills ``new``: ``reads`` has operands of ``op``, each with the number of its map."""
    old, block = op.regions[0].blocks[0], build.new_body(new)
    arguments = list(block.arguments)
    values = {old.arguments[k]: arguments[n] for n, k in enumerate(kept)}
    values[old.arguments[-1]] = arguments[-1]
    count = len(producer.operands) - 1
    with ir.InsertionPoint(block):
        computed = []
        for n, map_ in enumerate(alike):
            first = len(kept) + n * count
            given = _widened(producer, arguments[first : first + count])
            computed.append(_looked_up(producer, given, map_))
        for number, n in reads:
            values[old.arguments[number]] = computed[n]
        for inner in old.operations:
            clone_op(inner.operation, values)


def _widened(producer: ir.Operation, given: list[ir.Value]) -> list[ir.Value]:
    """What ``producer`` gets in its body; a lower half is made whole where it is computed with."""
    arguments = list(producer.regions[0].blocks[0].arguments)[: len(given)]
    return [
        value
        if value.type == argument.type or all(use.owner.name == CAST for use in argument.uses)
        else arith.extsi(argument.type, value)
        for value, argument in zip(given, arguments, strict=True)
    ]


def _looked_up(producer: ir.Operation, given: list[ir.Value], map_: ir.AffineMap) -> ir.Value:
    """An element of ``producer`` at the loops that ``map_`` gives."""

    def index(loop: int) -> ir.Value:
        at = map_.results[loop]
        if isinstance(at, ir.AffineDimExpr):
            return linalg.IndexOp(at.position).result
        return index_constant(0)

    return inline_body(producer, given, index)
