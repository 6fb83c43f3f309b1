"""How an operation that slides a window reads a tensor whose windows are dims of their own.

``x[2 * h + r]`` of windows of 3 elements, 2 apart (``unfold(0, 3, 2)``), is element ``r`` of
window ``h``: each loop has a dim of its own, which code generators make vectors of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import physical_layout_of, primitives_of
from smartmem.index_map import Dim, Expr, Shape, bounds
from smartmem.index_map import expr as ex
from smartmem.index_map.primitives import Primitive, Unfold
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest
from smartmem.passes.analysis.ir.movement import Refusal


@dataclass(frozen=True)
class WindowRead:
    """An operand that is read at places of an unfolded tensor.

    Attributes:
        op: the operation.
        operand: number of the operand.
        exprs: the index of each dim in memory, of the operation's loops.
    """

    op: ir.Operation
    operand: int
    exprs: tuple[Expr, ...]


def window_read(
    op: ir.Operation, operand: int, type_: ir.RankedTensorType
) -> WindowRead | Refusal:
    """How ``op`` reads a tensor of ``type_``, in whose layout windows are unfolded."""
    nest = generic_nest(op)
    if physical_layout_of(type_).places is not None:
        return Refusal("no windows of it overlap")
    if nest is None or operand == nest.output:
        return Refusal(f"{op.name} reads no windows")
    exprs, shape = nest.accesses[operand].exprs, tuple(type_.shape)
    for primitive in primitives_of(type_):
        behind = _behind(primitive, exprs, shape, nest)
        if behind is None:
            return Refusal(f"it does not slide a window as {primitive} has them")
        exprs, shape = behind, primitive.step(shape).back.shape
    return WindowRead(op, operand, exprs)


def _behind(
    primitive: Primitive, exprs: Sequence[Expr], shape: Shape, nest: LoopNest
) -> tuple[Expr, ...] | None:
    """The index behind a primitive of what is read at ``exprs`` before it."""
    step = primitive.step(shape)
    if step.places is not None:
        return tuple(ex.substitute(e, exprs, nest.domain) for e in step.places.exprs)
    assert isinstance(primitive, Unfold), "only windows put an element in several places"
    read = exprs[primitive.axis]
    inner = [atom for atom, _ in read.terms if isinstance(atom, Dim)]
    within = {atom for atom in inner if atom.index in nest.reductions}
    element = Expr(tuple(t for t in read.terms if t[0] in within), 0)
    rest = Expr(tuple(t for t in read.terms if t[0] not in within), read.const)
    window = ex.floordiv(rest, primitive.stride, nest.domain)
    back = ex.add([ex.scale(window, primitive.stride), element], nest.domain)
    if back != ex.simplify(read, nest.domain):
        return None
    windows = step.back.shape[primitive.axis]
    for index, extent in ((element, primitive.size), (window, windows)):
        low, high = bounds(index, nest.domain)
        if low < 0 or high >= extent:
            return None
    return (*exprs[: primitive.axis], window, element, *exprs[primitive.axis + 1 :])
