"""Where an elementwise computation is placed: in each reader, or where its result is kept.

To keep an element costs as much as ``CHEAP`` FLOPs. Rows between reductions are computed again by
each reader where they are cheap, or long. A subtraction costs less than a store and a load, and a view of the stored row would split the
kernel. IREE 3.13 keeps rows in shared memory, and 64 rows of 197 f32 are 50 KB, where an Adreno
has 32 KB. On CPUs a row stays in the cache, and an exponential costs more than a load.
"""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.passes.analysis.algebra.costs import FLOPS
from smartmem.passes.analysis.ir.accesses import ends_contraction
from smartmem.passes.analysis.ir.chains import defining_op, origin, readers
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of

TILE_ROWS = 64
"""Rows of a workgroup's tile, at most, in IREE's SPIR-V reductions."""

CHEAP = 8
"""FLOPs of an element that cost no more than to store and load it: a quotient and a few more."""


def reason_to_recompute(op: ir.Operation, available: int | None) -> str | None:
    """Why each reader of ``op`` is to compute it; None if it is not to.

    Args:
        available: bytes of a workgroup's shared memory; None: rows stay in a cache.
    """
    size = _tile_bytes(op)
    if size is None:
        return None
    if (flops := flops_of(op)) <= CHEAP:
        return f"to keep an element costs more than its {flops} FLOPs"
    if available is not None and size > available:
        return f"a tile of its rows takes {size} bytes of {available} shared"
    return None


def reason_to_keep(op: ir.Operation, value: ir.Value, flops: int) -> str | None:
    """Why ``op`` is to read ``value``, which it could compute; None if it is to compute it.

    The scale of squeeze-excite is a sigmoid of each channel, which the kernel of a layer ends
    with: in an operation over the whole image it would be computed for every point.

    Args:
        flops: of an element of ``value``, from what is kept before it on.
    """
    made = defining_op(value)
    times = math.prod(shape_of(op.results[0])) // max(math.prod(shape_of(value)), 1)
    if times < 2 or flops <= CHEAP or made is None or not ends_contraction(made):
        return None
    return f"its {flops} FLOPs would be computed {times} times, not where a layer ends"


def flops_of(op: ir.Operation) -> int:
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
