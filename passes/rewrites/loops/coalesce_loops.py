"""Rebuild an elementwise operation or a sum over merged loops; the body stays as it is."""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.index_map import Dim, Expr, Shape, constant, dim
from smartmem.passes.analysis.elimination.loop_coalescing import MergedLoops
from smartmem.passes.analysis.ir.chains import is_reshape_view, root_of
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.loops.split_loops import Operand, new_init, rebuild, reshaped


def merge_loops(found: MergedLoops) -> ir.Operation:
    """Replaces the operation by the returned one, whose operands and result have merged dims."""
    op, nest = found.op, found.nest
    domain = tuple(math.prod(nest.domain[d] for d in group) for group in found.groups)
    with ir.InsertionPoint(op), op.location:
        operands: list[Operand] = []
        for number, value in enumerate(list(op.operands)[:-1]):
            shape, exprs = _merged(found, number, shape_of(value))
            operands.append((reshaped(value, shape), exprs))
        shape, exprs = _merged(found, len(operands), shape_of(op.results[0]))
        operands.append((new_init(op.operands[len(operands)], shape), exprs))
        sums = (k for k, group in enumerate(found.groups) if group[0] in nest.reductions)
        over = LoopNest(domain, (), frozenset(sums), False, False)
        new = rebuild(op, over, [(n,) for n in domain], operands)
        op.results[0].replace_all_uses_with(reshaped(new, shape_of(op.results[0])))
    op.erase()
    return new.owner.operation


def merge_sum(found: MergedLoops) -> None:
    """``merge_loops``; reshapes of reshapes are read as reshapes of their sources."""
    op = merge_loops(found)
    for number, value in enumerate(list(op.operands)[:-1]):
        source = root_of(value, is_reshape_view)
        if source != value:
            with ir.InsertionPoint(op), op.location:
                op.operands[number] = reshaped(source, shape_of(value))


def _merged(found: MergedLoops, operand: int, extents: Shape) -> tuple[Shape, tuple[Expr, ...]]:
    """The dims of an operand and the merged loops that index them; dims of 1 go."""
    number = {loop: k for k, group in enumerate(found.groups) for loop in group}
    shape: list[int] = []
    exprs: list[Expr] = []
    last: int | None = None
    for expr, extent in zip(found.nest.accesses[operand].exprs, extents, strict=True):
        loop = next((a.index for a, _ in expr.terms if isinstance(a, Dim)), None)
        if loop is None and extent == 1:
            continue
        if loop is None:
            last = None
            shape.append(extent)
            exprs.append(constant(expr.const))
        elif number[loop] == last:
            shape[-1] *= extent
        else:
            shape.append(extent)
            exprs.append(dim(number[loop]))
            last = number[loop]
    return tuple(shape), tuple(exprs)
