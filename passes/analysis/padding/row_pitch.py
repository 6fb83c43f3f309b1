"""Which rows lie too far apart, by a multiple of what a way of the cache holds.

A block of a contraction reads an element of each of its rows for each step of the sum, and the
next one for the next step. Rows whose distance is a multiple of 4096 bytes have their elements
in one set of a cache of 64 sets: more rows than the set has ways throw each other out before
the next step reads the same line. GEMM libraries copy the rows into a buffer at run time; here
what computes them writes them a little further apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu, Processor
from smartmem.index_map import dim
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, bits_of, is_view, shape_of, view_map
from smartmem.passes.analysis.operators.sliding_windows import Windows, windows_of
from smartmem.passes.analysis.padding.dim_classes import DimClass, Search
from smartmem.passes.analysis.padding.granularities import Padding, readers_in_place
from smartmem.passes.analysis.padding.masked_readers import (
    Place,
    is_moved_constant,
    loop_along,
)

_FEWEST_ROWS = 12
"""Of a block: as many as ways and more."""

_SAVED = 0.2
"""The part of a contraction's time that its rows cost in one set, at least."""


def wider_pitch(
    op: ir.Operation, processor: Processor, parameters: Parameters
) -> Padding | Refusal | None:
    """The padding that moves the rows apart which ``op`` reads; None: they lie well."""
    place = _crowded(op, processor, parameters) if isinstance(processor, Cpu) else None
    if place is None:
        return None
    value, d = place
    old = shape_of(value)[d]
    new = old + 2 * processor.vectors.lanes
    found = Search(DimClass(old, new), parameters, parts=True).run_at(op, place)
    if isinstance(found, Refusal):
        return found
    if (refusal := next(readers_in_place(found), None)) is not None:
        return refusal
    more = sum(map(_steps, found.loops)) * (new - old) / old
    if more > _SAVED * sum(map(_steps, _readers(found))):
        return Refusal("to compute longer rows would be more work than they save")
    return Padding(found, "columns", "rows lie in different sets of the cache")


def _crowded(op: ir.Operation, cpu: Cpu, parameters: Parameters) -> Place | None:
    """The dim along which ``op`` sums up rows that lie in one set of the cache."""
    nest, window = _summing(op)
    if nest is None:
        return None
    for number, value in enumerate(list(op.operands)[:2]):
        *rows, _ = shape_of(value) or (1,)
        d = len(rows)
        if math.prod(rows) < _FEWEST_ROWS or loop_along(nest, number, d) not in nest.reductions:
            continue
        pitch = _pitch(value, d) * bits_of(value.type.element_type) // 8
        if cpu.rows_share_sets(pitch, window=window) and not is_moved_constant(
            value, parameters
        ):
            return value, d
    return None


def _pitch(value: ir.Value, d: int) -> int:
    """Elements between rows: of the first elements of longer rows, more than are read."""
    if not is_view(value):
        return shape_of(value)[d]
    expr, source = view_map(value.owner).exprs, shape_of(value.owner.operands[0])
    return max(
        (source[k] for k, e in enumerate(expr) if e == dim(d)), default=shape_of(value)[d]
    )


def _summing(op: ir.Operation) -> tuple[LoopNest | None, bool]:
    """The loops of a contraction, or of a convolution over a window, and whether it is that."""
    nest = loop_nest(op)
    if nest is None or len(op.operands) != 3 or not nest.reductions:
        return None, False
    found = windows_of(op)
    window = isinstance(found, Windows) and bool(found.roles["input"])
    return nest if window or nest.is_contraction else None, window


def _readers(found: DimClass) -> Iterator[ir.Operation]:
    """What sums up the rows of the class."""
    for value, d in found.places:
        for use in value.uses:
            op = use.owner.operation
            nest, _ = _summing(op)
            if nest is not None and loop_along(nest, use.operand_number, d) in nest.reductions:
                yield op


def _steps(op: ir.Operation) -> int:
    """The products of a contraction; none of an elementwise operation."""
    nest, _ = _summing(op)
    return 0 if nest is None else math.prod(nest.domain)
