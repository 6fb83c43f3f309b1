"""Lookups: operations that only read elements at indices known when the model runs.

An embedding is one. Computing an element of it is reading one, so that each reader can
as well read it from the table itself: what would be stored between is read just as often.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.loops import loop_nest

_EXTRACT = "tensor.extract"


def is_lookup(op: ir.Operation) -> bool:
    """Whether ``op`` reads one element of a table for each of its own, and no more."""
    if op.name != "linalg.generic" or len(op.operands) < 2:
        return False
    nest = loop_nest(op)
    if nest is None or not nest.is_elementwise:
        return False
    *inner, end = [o.operation for o in op.regions[0].blocks[0].operations]
    found = [o for o in inner if o.name == _EXTRACT]
    if len(found) != 1 or end.operands[0] != found[0].results[0]:
        return False
    return all(o.name == _EXTRACT or _computes_index(o) for o in inner)


def _computes_index(op: ir.Operation) -> bool:
    whole = all(isinstance(r.type, (ir.IndexType, ir.IntegerType)) for r in op.results)
    return whole and op.name.startswith(("arith.", "linalg.index"))
