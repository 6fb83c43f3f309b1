"""The loops of kernels: how often they run, how long they would be unrolled, what stays the same."""

from __future__ import annotations

import math

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import children, constant_of, nested

LOOP = "spirv.mlir.loop"

_MOST_TRIPS = 32
"""Rounds of a loop up to which Mesa's drivers unroll it."""

_INTEGER = frozenset(
    f"spirv.{name}"
    for name in (
        *("IAdd", "ISub", "IMul", "ShiftLeftLogical", "ShiftRightLogical"),
        *("BitwiseAnd", "BitwiseOr", "BitwiseXor"),
    )
)
_DIVISIONS = frozenset(f"spirv.{name}" for name in ("UDiv", "SDiv", "UMod", "SMod", "SRem"))
_FREE = ("spirv.CompositeConstruct", "spirv.CompositeExtract", "spirv.AccessChain")


def loops_in(op: ir.Operation) -> list[ir.Operation]:
    """The loops in ``op``, inner ones before those around them."""
    return [inner for inner in nested(op) if inner.name == LOOP][::-1]


def trips_of(loop: ir.Operation) -> int | None:
    """How often a loop runs; None if it does not count from one number to another."""
    entry, header, *_, last, _ = list(loop.regions[0])
    compared = header.operations[0].operation
    counter = header.arguments[0] if len(header.arguments) else None
    if compared.name != "spirv.SLessThan" or compared.operands[0] != counter:
        return None
    first = constant_of(entry.operations[len(entry.operations) - 1].operands[0])
    end = constant_of(compared.operands[1])
    after = last.operations[len(last.operations) - 1].operands[0].owner
    if first is None or end is None or isinstance(after, ir.Block):
        return None
    if after.name != "spirv.IAdd" or after.operands[0] != counter:
        return None
    step = constant_of(after.operands[1])
    return max(math.ceil((end - first) / step), 0) if step else None


def unrolled_size(op: ir.Operation) -> int:
    """Instructions of ``op``, about, if a driver unrolls the loops that are in it."""
    inside = sum(map(unrolled_size, children(op)))
    if op.name == LOOP:
        trips = trips_of(op)
        return inside * (trips if trips and trips <= _MOST_TRIPS else 1)
    return inside + sum(_elements(result.type) for result in op.results if op.name not in _FREE)


def invariants_of(loop: ir.Operation) -> list[ir.Operation]:
    """The arithmetic of whole numbers that is the same in each round, in its order."""
    inside = {loop, *nested(loop)}
    found: list[ir.Operation] = []
    for op in children(loop):
        if _is_arithmetic(op) and all(_is_outside(v, inside) for v in op.operands):
            found.append(op)
            inside.discard(op)
    return found


def _is_arithmetic(op: ir.Operation) -> bool:
    if op.name in _DIVISIONS:
        return bool(constant_of(op.operands[1]))  # else it can fail where the loop has no round
    return op.name in _INTEGER


def _is_outside(value: ir.Value, inside: set[ir.Operation]) -> bool:
    if isinstance(value.owner, ir.Block):
        return value.owner.owner.operation not in inside
    return value.owner not in inside


def _elements(type_: ir.Type) -> int:
    return type_.shape[0] if isinstance(type_, ir.VectorType) else 1
