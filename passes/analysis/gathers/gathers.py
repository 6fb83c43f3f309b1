"""Lookups: operations that read elements at indices known when the model runs.

An embedding is one, also with a position added to it. Computing an element of it is hardly
more than reading one, so that each reader can as well look it up itself: what would be
stored between is read just as often.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.passes.analysis.ir.loops import generic_nest
from smartmem.passes.analysis.ir.movement import shape_of

_EXTRACT = "tensor.extract"
CAST = "arith.index_cast"
"""What makes an index of an integer."""

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


def is_long_index(argument: ir.Value) -> bool:
    """Whether ``argument`` of a lookup's body is an index of 64 bits, and nothing else.

    It may count from the end, as ONNX lets it: index + rows where index < 0. As a table has
    fewer than 2^31 rows, the lower half of an index tells it. Not so what is clamped, or what
    a quotient or remainder is taken of: that may be any number.
    """
    users = [use.owner.operation for use in argument.uses]
    return str(argument.type) == "i64" and all(_takes_index(op, argument) for op in users)


def _takes_index(op: ir.Operation, index: ir.Value) -> bool:
    """Whether ``op`` casts ``index``, or is a part of counting from the end."""
    if op.name in (CAST, "arith.select"):
        return op.name == CAST or _counts_from_end(op, index)
    results = [use.owner.operation for result in op.results for use in result.uses]
    return all(_counts_from_end(reader, index) for reader in results)


def _counts_from_end(op: ir.Operation, index: ir.Value) -> bool:
    """Whether ``op`` is ``select(index < 0, index + rows, index)``, an index for a cast."""
    if op.name != "arith.select" or op.operands[2] != index:
        return False
    if any(isinstance(value.owner, ir.Block) for value in list(op.operands)[:2]):
        return False
    test, total = (value.owner for value in list(op.operands)[:2])
    casts = all(use.owner.name == CAST for use in op.results[0].uses)
    return casts and _is_negative(test, index) and total.name == "arith.addi"


def _is_negative(test: ir.OpView, index: ir.Value) -> bool:
    """Whether ``test`` is ``index < 0``."""
    if test.name != "arith.cmpi" or test.operands[0] != index:
        return False
    zero = test.operands[1].owner
    return (
        ir.IntegerAttr(test.attributes["predicate"]).value == arith.CmpIPredicate.slt
        and not isinstance(zero, ir.Block)
        and zero.name == "arith.constant"
        and ir.IntegerAttr(zero.attributes["value"]).value == 0
    )


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
