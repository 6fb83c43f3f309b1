"""Let maxima and minima of floats give NaN where an operand is NaN.

    select(cmpf ogt %a, %b), %a, %b  ->  arith.maximumf %a, %b

ONNX and PyTorch define them so; torch-mlir compares, and what compares false with NaN gives
the other operand. It also keeps the index of a NaN that an argmax has found:

    cmpf ogt %in, %max  ->  andi (cmpf ugt %in, %max), (cmpf ord %max, %max)

and takes NaN for the largest number where a sort compares:

    cmpf oge %a, %b  ->  ori (cmpf oge %a, %b), (cmpf uno %a, %a)

A model that says ``where(a > b, a, b)`` itself does so in two operations, which no pass has
joined so early: they stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.frontend.lowering import walk

_P = arith.CmpFPredicate
_GREATER = {int(p) for p in (_P.OGT, _P.OGE, _P.UGT, _P.UGE)}
_LESS = {int(p) for p in (_P.OLT, _P.OLE, _P.ULT, _P.ULE)}
_SORT = "tm_tensor.sort"
_STRICT = {int(_P.OGT): _P.UGT, int(_P.OLT): _P.ULT}


def propagate_nans(module: ir.Module) -> None:
    """Applies the rewrites everywhere in ``module``, which torch-mlir has just lowered."""
    for operation in walk(module):
        if operation.name == "arith.cmpf" and operation.parent.name == _SORT:
            _sort_nans(operation)
        if operation.name != "arith.select":
            continue
        comparison = operation.operands[0].owner
        if isinstance(comparison, ir.Block) or comparison.name != "arith.cmpf":
            continue
        if isinstance(operation.results[0].type, ir.IntegerType):
            _find_nan(comparison.operation)
        elif (make := _extremum(operation, comparison.operation)) is not None:
            with operation.location, ir.InsertionPoint(operation):
                result = make(operation.operands[1], operation.operands[2])
            operation.results[0].replace_all_uses_with(result)
            operation.erase()


def _extremum(
    select: ir.Operation, comparison: ir.Operation
) -> Callable[[ir.Value, ir.Value], ir.Value] | None:
    """What makes the maximum or minimum that ``select`` takes, unless it is right already."""
    _, chosen, other = select.operands
    compared = list(comparison.operands)
    predicate = ir.IntegerAttr(comparison.attributes["predicate"]).value
    if predicate not in _GREATER | _LESS:
        return None
    if compared not in ([chosen, other], [other, chosen]):
        return None
    # A comparison with NaN is true if it is unordered, and gives what is chosen then.
    is_unordered = predicate in {int(p) for p in (_P.UGT, _P.UGE, _P.ULT, _P.ULE)}
    if _is_number(other if is_unordered else chosen):
        return None
    return (
        arith.maximumf if (predicate in _GREATER) == (compared[0] == chosen) else arith.minimumf
    )


def _is_number(value: ir.Value) -> bool:
    """Whether ``value`` is a constant other than NaN."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant":
        return False
    return not math.isnan(ir.FloatAttr(owner.attributes["value"]).value)


def _find_nan(comparison: ir.Operation) -> None:
    """Lets an argmax or argmin stop at the first NaN."""
    predicate = ir.IntegerAttr(comparison.attributes["predicate"]).value
    found = comparison.operands[1]
    if predicate not in _STRICT or not _is_output(found):
        return
    with comparison.location, ir.InsertionPoint(comparison):
        differs = arith.cmpf(_STRICT[predicate], comparison.operands[0], found)
        result = arith.andi(differs, arith.cmpf(_P.ORD, found, found))
    comparison.results[0].replace_all_uses_with(result)
    comparison.erase()


def _sort_nans(comparison: ir.Operation) -> None:
    """Lets NaN come first where the largest number does, and else last."""
    predicate = ir.IntegerAttr(comparison.attributes["predicate"]).value
    first = comparison.operands[0 if predicate in _GREATER else 1]
    with comparison.location, ir.InsertionPoint.after(comparison):
        either = arith.ori(comparison.results[0], arith.cmpf(_P.UNO, first, first))
    comparison.results[0].replace_all_uses_except(either, [either.owner.operation])


def _is_output(value: ir.Value) -> bool:
    """Whether ``value`` is what a reduction has found so far."""
    if not isinstance(value.owner, ir.Block):
        return False
    generic = value.owner.owner
    inputs = len(generic.operands) - len(generic.results)
    return (
        generic.name == "linalg.generic"
        and ir.BlockArgument(value).arg_number >= inputs
        and any(
            "reduction" in str(kind)
            for kind in ir.ArrayAttr(generic.attributes["iterator_types"])
        )
    )
