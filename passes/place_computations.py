"""Place elementwise computations: in their reader, in each reader, or where they are kept.

Rewrites:
  elementwise(view(x, f)), where f repeats elements of x in order  ->  the same reading x at f
  elementwise(elementwise(...)) that is not to be one operation
    ->  the same with an identity view in the middle, which fusion does not look through
  an elementwise operation behind a reduction that a reduction and others read
    ->  one copy of it for each reader, where that costs less than to keep it

  %m = "smartmem.view"(%mean) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<8xf32>) -> ...
  %d = %x - %m; %v = sum(%d * %d); %r = %d / sqrt(%v)
    ->
  %v = sum((%x - %mean) * (%x - %mean)); %r = (%x - %mean) / sqrt(%v), in which %mean is read at
  affine_map<(d0, d1) -> (d0)>

Upstream fuses an operation with its only reader, if no view lies between. Reads repetitions in
place: some importers write them as a broadcast. Dims of size 1 are dropped from the indices of
gathers for the same reason: the operation that computes an index then fuses with the gather.
Keeps a function or quotient that the kernel of a contraction can end with, instead of computing it
for each element of a larger operation: the sigmoid of squeeze-excite. Cuts chains of more than
``max-operations``, as upstream's fusion, the vectorizer and register allocation take time quadratic
in the size of a body. ``smartmem-compose-views`` removes the views again. Recomputes the
difference to a mean on all targets, and an exponential on targets whose shared memory does not
hold the rows of a tile.

Runs before each upstream fusion; sums and their ends are one operation only behind the first.
Keeps views that permute: their place is not chosen yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import view
from smartmem.index_map import IndexMap
from smartmem.index_map.affine import projection, to_affine_map
from smartmem.passes.analysis.fusion.recomputation import (
    flops_of,
    reason_to_keep,
    reason_to_recompute,
)
from smartmem.passes.analysis.fusion.repetitions import repetitions
from smartmem.passes.analysis.ir.chains import users
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations

_MAPS = "indexing_maps"


@dataclass(frozen=True)
class PlaceComputations(Pass):
    """Decides which elementwise operations upstream's fusion computes in their readers."""

    argument = "smartmem-place-computations"
    summary = "Compute elementwise operations in their readers, or keep them"

    max_operations: int = 128
    """Scalar operations in one fused body, but where one operation has more by itself."""

    shared_memory: int = 0
    """Bytes of a workgroup's shared memory; 0: what the target has."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Goes along the operations in program order; then copies, the last one first."""
        found = [op for op in outer_operations(module) if _is_elementwise(op)]
        fused: dict[ir.Value, _Fused] = {}
        for op in context.each(found):
            for number, source, access in list(repetitions(op)):
                repeated = op.operands[number].owner.operation
                context.remark(self.argument, repeated, True, "repeated as it is read")
                _read_at(op, number, source, access)
            fused[op.results[0]] = self._place(op, fused, context)
        shared = None if context.gpu is None else context.gpu.shared_memory
        available = self.shared_memory or shared
        for op in context.each(reversed(found)):
            if (reason := reason_to_recompute(op, available)) is not None:
                context.remark(self.argument, op, True, reason)
                _copy_for_each_reader(op)
        erase_unused(module)

    def _place(
        self, op: ir.Operation, fused: Mapping[ir.Value, _Fused], context: PassContext
    ) -> _Fused:
        """What fusion makes of ``op``, when what is kept before it is cut off."""
        inputs = {v: fused[v] for v in op.operands if v in fused and len(users(v)) == 1}
        own = _Fused(len(op.regions[0].blocks[0].operations), flops_of(op))
        for value, computed in list(inputs.items()):
            if (reason := reason_to_keep(op, value, computed.flops)) is not None:
                context.remark(self.argument, op, True, reason)
                _cut(op, value)
                del inputs[value]
        while inputs and sum(inputs.values(), own).operations > self.max_operations:
            longest = max(inputs, key=lambda value: inputs[value].operations)
            del inputs[longest]
            reason = f"more than {self.max_operations} operations in one body"
            context.remark(self.argument, op, True, reason)
            _cut(op, longest)
        return sum(inputs.values(), own)


@dataclass(frozen=True)
class _Fused:
    """What fusion makes of an operation and what it reads.

    Attributes:
        operations: scalar operations in its body.
        flops: of one element.
    """

    operations: int
    flops: int

    def __add__(self, other: _Fused) -> _Fused:
        return _Fused(self.operations + other.operations, self.flops + other.flops)


def _is_elementwise(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and nest.is_elementwise


def _read_at(op: ir.Operation, number: int, source: ir.Value, access: IndexMap) -> None:
    maps = list(ir.ArrayAttr(op.attributes[_MAPS]))
    index_map = to_affine_map(access.exprs, len(access.shape), op.context)
    maps[number] = ir.AffineMapAttr.get(index_map)
    op.operands[number] = source
    op.attributes[_MAPS] = ir.ArrayAttr.get(maps, op.context)


def _cut(op: ir.Operation, value: ir.Value) -> None:
    with ir.InsertionPoint(op), op.location:
        rank = value.type.rank
        kept = view(value, projection(rank, range(rank)), value.type)
    for number, operand in enumerate(op.operands):
        if operand == value:
            op.operands[number] = kept


def _copy_for_each_reader(op: ir.Operation) -> None:
    for use in list(op.results[0].uses)[1:]:
        with ir.InsertionPoint(op):
            copy = op.clone()
        use.owner.operands[use.operand_number] = copy.results[0]
