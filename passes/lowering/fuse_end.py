"""Make one operation of an elementwise operation and the one that alone reads its result."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.loops import indexing_maps
from smartmem.passes.lowering import tensor_ops as build
from smartmem.passes.lowering.clone_bodies import Values, clone_op


def fuse_end(producer: ir.Operation, consumer: ir.Operation) -> ir.Operation | None:
    """The one operation in their place, which computes both bodies; None if there is none.

    Both are generics without reductions over the same loops, and the result of the first is
    written, and read, in their order.
    """
    uses = list(producer.results[0].uses)
    if len(uses) != 1 or uses[0].owner.operation != consumer:
        return None
    number = uses[0].operand_number
    first, second = indexing_maps(producer), indexing_maps(consumer)
    written = producer.regions[0].blocks[0].arguments[-1]
    if number == len(second) - 1 or first[-1] != second[number] or list(written.uses):
        return None
    others = [k for k in range(len(second) - 1) if k != number]
    inputs = [*list(producer.operands)[:-1], *(consumer.operands[k] for k in others)]
    maps = [*first[:-1], *(second[k] for k in others), second[-1]]
    with ir.InsertionPoint(consumer), consumer.location:
        kinds = build.iterators([False] * maps[-1].n_dims)
        fused = build.generic([*inputs, consumer.operands[-1]], maps, kinds)
        _fill(fused, producer, consumer, number)
    consumer.results[0].replace_all_uses_with(fused.results[0])
    consumer.erase()
    producer.erase()
    return fused


def _fill(
    fused: ir.Operation, producer: ir.Operation, consumer: ir.Operation, number: int
) -> None:
    """Gives ``fused`` the body of the producer, then that of the consumer."""
    one, other = (op.regions[0].blocks[0] for op in (producer, consumer))
    new = build.new_body(fused)
    given, rest = list(new.arguments), len(one.arguments) - 1
    values: Values = dict(zip(list(one.arguments)[:-1], given, strict=False))
    with ir.InsertionPoint(new):
        *computing, end = list(one.operations)
        for op in computing:
            clone_op(op.operation, values)
        result = values.get(end.operands[0], end.operands[0])
        read = [k for k in range(len(other.arguments)) if k != number]
        values |= {other.arguments[k]: v for k, v in zip(read, given[rest:], strict=True)}
        values[other.arguments[number]] = result
        for op in list(other.operations):
            clone_op(op.operation, values)
