"""Lookups: operations that read elements at indices known when the model runs.

An embedding is one, also with a position added to it. Computing an element of it is hardly
more than reading one, so that each reader can as well look it up itself: what would be
stored between is read just as often.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.loops import generic_nest
from smartmem.passes.analysis.movement import shape_of

_EXTRACT = "tensor.extract"

LONGEST_ROW = 1024
"""Elements of a row that a CPU's kernel looks up once and keeps, as one vector."""

_CHEAP = ("arith.addf", "arith.subf", "arith.mulf")
"""What may be computed again for each reader, once for each element."""


def is_lookup(op: ir.Operation) -> bool:
    """Whether ``op`` reads one element of a table for each of its own, and little more."""
    return len(op.operands) > 1 and _extracts_one(op)


def is_movement(op: ir.Operation) -> bool:
    """Whether ``op`` reads elements, and little more, at places that its loops alone give."""
    return len(op.operands) == 1 and _extracts_one(op)


def keeps_row(op: ir.Operation) -> bool:
    """Whether a normalization on a CPU looks ``op`` up once for each row."""
    return is_lookup(op) and shape_of(op.results[0])[-1] <= LONGEST_ROW


def _extracts_one(op: ir.Operation) -> bool:
    nest = generic_nest(op)
    if nest is None or not nest.is_elementwise:
        return False
    inner = [o.operation for o in op.regions[0].blocks[0].operations][:-1]
    names = [o.name for o in inner]
    if names.count(_EXTRACT) != 1 or sum(name in _CHEAP for name in names) > 1:
        return False
    return all(o.name in (_EXTRACT, *_CHEAP) or _computes_index(o) for o in inner)


def _computes_index(op: ir.Operation) -> bool:
    whole = all(isinstance(r.type, (ir.IndexType, ir.IntegerType)) for r in op.results)
    return whole and op.name.startswith(("arith.", "linalg.index"))
