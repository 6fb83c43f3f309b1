"""Make one operation of the elementwise operations of a shader.

  %a = linalg.generic ins(%x) { exp }
  %b = linalg.transpose ins(%a)
  %c = linalg.generic ins(%b, %y) { mul }
    ->
  %c = linalg.generic ins(%x, %y) { exp; mul }

What goes from one to the other stays in a register of the thread, whatever loops the two have.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import (
    contracts,
    generic_nest,
    indexing_maps,
    loop_nest,
)
from smartmem.passes.rewrites.builders.generalize import generalize
from smartmem.passes.rewrites.fusion.inline_producer import inline_producer
from smartmem.passes.rewrites.loops.interchange_loops import interchange_loops


def generalized(operations: Sequence[ir.Operation]) -> list[ir.Operation]:
    """The operations, with generics for named elementwise ones."""
    return [generalize(op) if _is_named_elementwise(op) else op for op in operations]


def merge_elementwise(
    operations: Sequence[ir.Operation], *, into_sums: bool = False
) -> list[ir.Operation]:
    """The operations of a kernel without elementwise ones that one elementwise one reads.

    Kept are those that are read in two orders: they would be computed twice.

    Args:
        operations: in program order.
        into_sums: whether a sum that reads one computes it, too.
    """
    kept = list(operations)
    for producer in list(reversed(kept)):
        reader = _only_reader(producer, kept, into_sums)
        if reader is None or (order := _written_order(producer)) is None:
            continue
        number, place = kept.index(reader), kept.index(producer)
        producer = interchange_loops(producer, order)
        looked = list(zip(producer.operands, indexing_maps(producer)[:-1], strict=False))
        kept[number] = inline_producer(reader, producer, looked)
        del kept[place]
        producer.erase()
    return kept


def _is_named_elementwise(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    if op.name == "linalg.generic" or nest is None:
        return False
    return nest.is_elementwise and not nest.is_contraction  # as of one step


def _only_reader(
    producer: ir.Operation, kept: Sequence[ir.Operation], into_sums: bool
) -> ir.Operation | None:
    """The operation of the kernel that alone reads ``producer``, in one order."""
    readers = {use.owner.operation for use in producer.results[0].uses}
    if len(readers) != 1 or not readers <= set(kept):
        return None
    (reader,) = readers
    nest, value = generic_nest(reader), producer.results[0]
    if nest is None or reader.operands[-1] == value:
        return None
    if nest.reductions and (not into_sums or contracts(reader)):
        return None
    read = [k for k, v in enumerate(reader.operands) if v == value]
    maps = indexing_maps(reader)
    in_one_order = len({maps[k] for k in read}) == 1
    return reader if in_one_order and nest.is_projected_permutation(read[0]) else None


def _written_order(producer: ir.Operation) -> tuple[int, ...] | None:
    """The loops of an elementwise generic as its result lies; None if it cannot be moved."""
    nest = generic_nest(producer)
    if nest is None or nest.reductions or not nest.is_projected_permutation(nest.output):
        return None
    reads_output = list(producer.regions[0].blocks[0].arguments[-1].uses)
    written = nest.written
    complete = sorted(written) == list(range(len(nest.domain)))
    return tuple(written) if complete and not reads_output else None
