"""Let upstream's fusion of elementwise operations fuse what pays, and no more.

Rewrites:
  elementwise(view(x, f)), where f repeats elements of x in order  ->  the same reading x at f
  elementwise(elementwise(...)) of more operations than ``max-operations``
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
Cuts long chains, as upstream's fusion, the vectorizer and register allocation take time
quadratic in the size of a body; ``smartmem-compose-views`` removes the views again, and the plan
of kernels has a bound of its own. Recomputes the difference to a mean on all targets, and an
exponential on targets whose shared memory does not hold the rows of a tile.

Runs before each upstream fusion; sums and their ends are one operation only behind the first.
Keeps views that permute: their place is not chosen yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import view
from smartmem.index_map import IndexMap
from smartmem.index_map.affine import projection, to_affine_map
from smartmem.passes.analysis.fusion.recomputation import reason_to_recompute
from smartmem.passes.analysis.fusion.repetitions import repetitions
from smartmem.passes.analysis.ir.chains import users
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations

_MAPS = "indexing_maps"


@dataclass(frozen=True)
class GuideFusion(Pass):
    """Decides between which elementwise operations upstream's fusion sees an edge."""

    argument = "smartmem-guide-fusion"
    summary = "Let elementwise operations be fused that pay, and no more"

    max_operations: int = 128
    """Scalar operations in one fused body, but where one operation has more by itself."""

    shared_memory: int = 0
    """Bytes of a workgroup's shared memory; 0: what the target has."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Opens and cuts edges in program order; then copies, the last operation first."""
        found = [op for op in outer_operations(module) if _is_elementwise(op)]
        sizes: dict[ir.Value, int] = {}
        for op in context.each(found):
            for number, source, access in list(repetitions(op)):
                repeated = op.operands[number].owner.operation
                context.remark(self.argument, repeated, True, "repeated as it is read")
                _read_at(op, number, source, access)
            self._bound(op, sizes, context)
        shared = None if context.gpu is None else context.gpu.shared_memory
        available = self.shared_memory or shared
        for op in context.each(reversed(found)):
            if (reason := reason_to_recompute(op, available)) is not None:
                context.remark(self.argument, op, True, reason)
                _copy_for_each_reader(op)
        erase_unused(module)

    def _bound(
        self, op: ir.Operation, sizes: dict[ir.Value, int], context: PassContext
    ) -> None:
        """Counts what fusion would make of ``op``, and cuts the longest off if that is too much."""
        own = len(op.regions[0].blocks[0].operations)
        fused = {v for v in op.operands if v in sizes and len(users(v)) == 1}
        while fused and own + sum(sizes[v] for v in fused) > self.max_operations:
            longest = max(fused, key=sizes.__getitem__)
            fused.remove(longest)
            reason = f"more than {self.max_operations} operations in one body"
            context.remark(self.argument, op, True, reason)
            _cut(op, longest)
        sizes[op.results[0]] = own + sum(sizes[v] for v in fused)


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
