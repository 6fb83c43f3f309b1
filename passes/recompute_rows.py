"""Compute a row again for each reader where that is cheap, or shared memory cannot hold it.

Rewrites:
  an elementwise operation behind a reduction that a reduction and others read
    ->  one copy of it for each reader, which upstream's elementwise fusion takes in

  %d = %x - %mean; %v = sum(%d * %d); %r = %d / sqrt(%v)
    ->
  %v = sum((%x - %mean) * (%x - %mean)); %r = (%x - %mean) / sqrt(%v)

Recomputes the difference to a mean on all targets. Why: a subtraction costs less than a store
and a load, and a view of the stored row would split the kernel.

Recomputes an exponential on targets whose shared memory does not hold the rows of a tile. Why:
IREE 3.13 keeps them in shared memory, and 64 rows of 197 f32 are 50 KB, where an Adreno has 32
KB. On CPUs the row stays in the cache, and an exponential costs more than a load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.algebra.costs import FLOPS
from smartmem.passes.analysis.ir.chains import origin, readers
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest
from smartmem.passes.base import Pass, PassContext, outer_operations

TILE_ROWS = 64
"""Rows of a workgroup's tile, at most, in IREE's SPIR-V reductions."""

CHEAP = 8
"""FLOPs of an element that cost no more than to store and load it: a quotient and a few more."""


@dataclass(frozen=True)
class RecomputeRows(Pass):
    """Copies elementwise operations between the reductions of long rows."""

    argument = "smartmem-recompute-rows"
    summary = "Compute rows again that are cheap, or too long for shared memory"

    shared_memory: int = 0
    """Bytes of a workgroup's shared memory; 0: what the target has."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Copies what it can, with a remark on each operation."""
        shared = None if context.gpu is None else context.gpu.shared_memory
        available = self.shared_memory or shared
        for op in context.each(reversed(outer_operations(module))):
            reason = _reason(op, available)
            if reason is not None:
                context.remark(self.argument, op, True, reason)
                _copy_for_each_reader(op)


def _reason(op: ir.Operation, available: int | None) -> str | None:
    """Why each reader of ``op`` is to compute it; None if it is not to."""
    size = _tile_bytes(op)
    if size is None:
        return None
    if (flops := _flops(op)) <= CHEAP:
        return f"to keep an element costs more than its {flops} FLOPs"
    if available is not None and size > available:
        return f"a tile of its rows takes {size} bytes of {available} shared"
    return None


def _flops(op: ir.Operation) -> int:
    """FLOPs of one element."""
    *computing, _ = op.regions[0].blocks[0].operations
    return sum(FLOPS.get(inner.operation.name, 1) for inner in computing)


def _tile_bytes(op: ir.Operation) -> int | None:
    """Bytes of a tile of the rows of ``op``; None unless it lies between reductions."""
    nest = generic_nest(op)
    if nest is None or nest.reductions or nest.uses_index:
        return None
    along = _along_rows(op, nest)
    found = list(readers(op.results[0]))
    if not along or len(found) < 2 or not any(map(_is_reduction, found)):
        return None
    element = op.results[0].type.element_type
    row = math.prod(nest.domain[d] for d in along)
    return TILE_ROWS * row * getattr(element, "width", 64) // 8


def _along_rows(op: ir.Operation, nest: LoopNest) -> set[int]:
    """The loops along which a reduction ran whose result ``op`` reads."""
    along: set[int] = set()
    for number, value in enumerate(list(op.operands)[:-1]):
        producer = origin(value)
        if producer is not None and _is_reduction(producer):
            along |= set(range(len(nest.domain))) - set(nest.loops_of(number))
    return along


def _is_reduction(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and bool(nest.reductions) and not nest.is_contraction


def _copy_for_each_reader(op: ir.Operation) -> None:
    for use in list(op.results[0].uses)[1:]:
        with ir.InsertionPoint(op):
            copy = op.clone()
        use.owner.operands[use.operand_number] = copy.results[0]
