"""Let the operations of a kernel look elements up themselves.

  %g = linalg.generic ins(%ids) { tensor.extract %table[%id, %d1] }
  %s = linalg.generic ins(%g) { %in + %sum }
    ->
  %s = linalg.generic ins(%ids, %empty) { (tensor.extract %table[%id, %d1]) + %sum }

Indices of 64 bits become their lower halves, by a bitcast, which costs nothing:
  %low = "flow.tensor.bitcast"(%ids) : (tensor<128xi64>) -> tensor<128x2xi32>
A table has fewer than 2^31 rows, and IREE 3.13 loads no vectors of i64 on GPUs without them.

A lookup that several operations of a CPU's kernel read stays: each row of it is looked up once,
and kept, if it is not too long. Element by element, and three times, LayerNorm of 77 x 768 takes
2.2 ms instead of 0.1.

In shaders so do movements, as of a roll, whose places the loops give. Left between, IREE fuses
one into the kernel's last operation, which loses its tile sizes by that; with tile sizes of
its own, IREE makes no SPIR-V of some: "failed to legalize operation 'memref.alloc'".
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.gathers.gathers import (
    is_long_index,
    is_lookup,
    is_movement,
    keeps_row,
)
from smartmem.passes.analysis.ir.chains import readers
from smartmem.passes.analysis.ir.loops import generic_nest, indexing_maps, loop_nest
from smartmem.passes.rewrites.fusion.inline_producer import inline_producer

BITCAST = "flow.tensor.bitcast"
"""IREE's operation that sees the same bytes as elements of another type."""


def inline_lookups(operations: list[ir.Operation], spirv: bool) -> list[ir.Operation]:
    """The operations of a kernel without the lookups that only they read.

    Nor those that compute 64-bit indices: their halves are seen before the kernel.

    Args:
        operations: in program order.
        spirv: the kernel is a shader: without movements, too.
    """
    kept = list(operations)
    inlined = [op for op in operations if is_lookup(op) or (spirv and is_movement(op))]
    for lookup in inlined:
        users = {use.owner.operation for use in lookup.results[0].uses}
        if not all(user in kept and _takes(user, lookup) for user in users):
            continue
        if len(users) > 1 and not spirv and keeps_row(lookup):
            continue
        rest = [(op, op in users) for op in kept if op != lookup]
        inputs = [_index_operand(lookup, k) for k in range(len(lookup.operands) - 1)]
        kept = [inline_producer(op, lookup, inputs) if reads else op for op, reads in rest]
        lookup.erase()
    return _without_indices(kept)


def _without_indices(operations: list[ir.Operation]) -> list[ir.Operation]:
    """Those that are no part of an index of which a bitcast sees the halves."""
    indices: set[ir.Operation] = set()
    for op in reversed(operations):
        found = [reader for result in op.results for reader in readers(result)]
        if any(reader.name == BITCAST or reader in indices for reader in found):
            indices.add(op)
    return [op for op in operations if op not in indices]


def _takes(op: ir.Operation, lookup: ir.Operation) -> bool:
    """Whether each element that ``op`` reads of a lookup is that of its own loops."""
    nest = generic_nest(op)
    if nest is None or op.operands[-1] == lookup.results[0]:
        return False
    read = [k for k, v in enumerate(op.operands) if v == lookup.results[0]]
    return all(map(nest.is_projected_permutation, read)) and _writes_in_order(lookup)


def _writes_in_order(lookup: ir.Operation) -> bool:
    nest = loop_nest(lookup)
    return nest is not None and nest.accesses[-1].is_identity


def _index_operand(lookup: ir.Operation, number: int) -> tuple[ir.Value, ir.AffineMap]:
    """An operand of ``lookup`` and its map; of indices of 64 bits, their lower halves."""
    value, map_ = lookup.operands[number], indexing_maps(lookup)[number]
    argument = lookup.regions[0].blocks[0].arguments[number]
    if not is_long_index(argument):
        return value, map_
    with ir.InsertionPoint(lookup), lookup.location:
        half = ir.IntegerType.get_signless(32)
        type_ = ir.RankedTensorType.get([*value.type.shape, 2], half)
        segments = {"operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 0, 0])}
        low = ir.Operation.create(BITCAST, [type_], [value], segments)
        zero = ir.AffineExpr.get_constant(0)
        halves = ir.AffineMap.get(map_.n_dims, 0, [*map_.results, zero])
    return low.results[0], halves
