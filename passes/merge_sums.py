"""Collapse neighbouring reduction dims into one, for GPUs.

Rewrites:
  sum over h and w of x[h, w, c]  ->  sum over p of y[p, c], where y is a reshape of x

  %s = linalg.generic {iterator_types = ["parallel", "reduction", "reduction"]} ins(%x)
    ->
  %y = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0 floordiv 56, d0 mod 56, d1)>}
  %s = linalg.generic {iterator_types = ["parallel", "reduction"]} ins(%y)

Applies when the dims are contiguous in every operand. Why: a reduction over one loop has tile
sizes and can be a kernel, while IREE 3.13 makes wrong SPIR-V of one over several loops without
tile sizes. The reductions of a normalization then have the loops of the contraction behind it,
and fuse with it.

Keeps, with a remark:
- reductions over dims that are not contiguous in an operand;
- reductions that already have the loops of the elementwise operations on the same rows: they
  are one kernel;
- reductions of a value that is also padded: its kernel writes it into the padding.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.dialect import ViewOp
from smartmem.passes.analysis.elimination.loop_coalescing import merged_sum
from smartmem.passes.analysis.fusion.kernel_limits import sums_several_dims
from smartmem.passes.analysis.ir.chains import readers
from smartmem.passes.analysis.ir.loops import loop_nest, reduces
from smartmem.passes.analysis.ir.movement import Refusal, is_free, shape_of
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.rewrites.loops.coalesce_loops import merge_loops
from smartmem.passes.rewrites.loops.split_loops import reshaped


@dataclass(frozen=True)
class MergeSums(Pass):
    """Makes one loop of those of a sum that run along neighbouring dims."""

    argument = "smartmem-merge-sums"
    summary = "Sum along one loop where several run along neighbouring dims, for GPUs"
    runs_on = (Gpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each sum over several loops, but contractions."""
        generics = [op for op in outer_operations(module) if op.name == "linalg.generic"]
        for op in context.each(generics):
            found = _refuse(op) or merged_sum(op)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                context.remark(self.argument, op, True, "one loop along neighbouring dims")
                _read_sources(merge_loops(found))
        erase_unused(module)


def _refuse(op: ir.Operation) -> Refusal | None:
    """Why the loops must stay: what stands beside the sum could not share them."""
    if not sums_several_dims(op):
        return None
    if any(_pads(reader) for value in op.operands for reader in readers(value)):
        # Where it is written into the padding, neighbouring dims of it are no longer one.
        return Refusal("what it reads is padded, too")
    extents = _extents(op)
    for reader in readers(op.results[0]):
        if extents == _extents(reader) and not reduces(reader):
            return Refusal("what is made of its rows runs over the same loops")
    return None


def _pads(op: ir.Operation) -> bool:
    return op.name == ViewOp.OPERATION_NAME and len(op.operands) > 1


def _extents(op: ir.Operation) -> list[int]:
    nest = loop_nest(op)
    return [] if nest is None else sorted(n for n in nest.domain if n > 1)


def _read_sources(op: ir.Operation) -> None:
    """Lets ``op`` read reshapes of reshapes as reshapes of their sources, as others do."""
    for number, value in enumerate(list(op.operands)[:-1]):
        source = value
        while (view := _reshape(source)) is not None:
            source = view.operands[0]
        if source != value:
            with ir.InsertionPoint(op), op.location:
                op.operands[number] = reshaped(source, shape_of(value))


def _reshape(value: ir.Value) -> ir.Operation | None:
    op = None if isinstance(value.owner, ir.Block) else value.owner.operation
    return op if op is not None and op.name == ViewOp.OPERATION_NAME and is_free(op) else None
