"""Compute a row again for each reader where shared memory cannot hold it.

Rewrites:
  an elementwise operation behind a reduction that a reduction and others read
    ->  one copy of it for each reader, which upstream's elementwise fusion takes in

  %e = exp(%x - %max); %s = sum(%e); %r = %e / %s
    ->
  %s = sum(exp(%x - %max)); %r = exp(%x - %max) / %s

In one kernel IREE 3.13 keeps the rows of ``%e`` of a tile in shared memory: 64 rows of
197 f32 are 50 KB, where an Adreno has 32. Does nothing for targets without shared memory:
on a CPU the row stays in the cache and the exponential costs more than its load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.loops import LoopNest, generic_nest, loop_nest
from smartmem.passes.analysis.rows import origin, readers
from smartmem.passes.base import Pass, PassContext, operations

TILE_ROWS = 64
"""Rows of a workgroup's tile, at most, in IREE's SPIR-V reductions."""


@dataclass(frozen=True)
class RecomputeRows(Pass):
    """Copies elementwise operations between the reductions of long rows."""

    argument = "smartmem-recompute-rows"
    summary = "Compute rows again that shared memory cannot hold"

    shared_memory: int = 0
    """Bytes of a workgroup's shared memory; 0: what the target has."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Copies what it can, with a remark on each operation."""
        available = self.shared_memory or context.shared_memory
        if available is None:
            return
        for op in reversed(operations(module)):
            size = _tile_bytes(op)
            if size is not None and size > available:
                reason = f"a tile of its rows takes {size} bytes of {available} shared"
                context.remark(self.argument, op, True, reason)
                _copy_for_each_reader(op)


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
