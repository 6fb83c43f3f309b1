"""Whether an elementwise operation or a sum can run over the loops of what it reads.

The counterpart of splitting loops: a contraction keeps its loops whole, so the
elementwise operations behind it are collapsed to the same loops. Then both have one
iteration domain and can be one kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import Dim, reassociation
from smartmem.passes.analysis.fusion.kernel_limits import sums_several_dims
from smartmem.passes.analysis.ir.chains import readers
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest, reduces
from smartmem.passes.analysis.ir.movement import Refusal, shape_of


@dataclass(frozen=True)
class MergedLoops:
    """An elementwise operation or a sum over fewer loops.

    Attributes:
        op: the operation.
        nest: its loops now.
        groups: the loops as the result is written, those that become one together.
    """

    op: ir.Operation
    nest: LoopNest
    groups: tuple[tuple[int, ...], ...]


def merged_loops(view: ir.Operation) -> MergedLoops | Refusal:
    """How the only reader of ``view``, a free reshape, can run over its source's dims."""
    uses = list(view.results[0].uses)
    if len(uses) != 1:
        return Refusal("several operations read it")
    op, operand = uses[0].owner.operation, uses[0].operand_number
    nest = loop_nest(op)
    if nest is None or nest.is_contraction or nest.uses_index:
        return Refusal("neither an elementwise operation nor a sum reads it")
    if not nest.is_plain:
        return Refusal("it is read at sums of loops")
    groups = _groups(view, nest, operand)
    if groups is None or len(groups) == len(nest.domain):
        return Refusal("it does not split dims into loops")
    if any(len({loop in nest.reductions for loop in group}) > 1 for group in groups):
        return Refusal("a sum over a part of a dim reads it")
    for group in groups:
        if not all(_keeps_together(nest, op, k, group) for k in range(len(nest.accesses))):
            return Refusal("another operand is read in another order")
    return MergedLoops(op, nest, groups)


def merged_sum(op: ir.Operation) -> MergedLoops | Refusal | None:
    """How a sum over several loops can run over fewer; None if ``op`` is none.

    Loops along neighbouring dims of all that it reads become one: height and width of the
    mean of a picture's channels. They stay where something beside the sum shares them.
    """
    return _shared(op) or _neighbouring(op)


def _shared(op: ir.Operation) -> Refusal | None:
    """Why the loops of a sum must stay: what stands beside it could not share them."""
    if not sums_several_dims(op):
        return None
    beside = [reader for value in op.operands for reader in readers(value)]
    if any(
        reader.name == ViewOp.OPERATION_NAME and len(reader.operands) > 1 for reader in beside
    ):
        # Where it is written into the padding, neighbouring dims of it are no longer one.
        return Refusal("what it reads is padded, too")
    extents = _extents(op)
    for reader in readers(op.results[0]):
        if extents == _extents(reader) and not reduces(reader):
            return Refusal("what is made of its rows runs over the same loops")
    return None


def _extents(op: ir.Operation) -> list[int]:
    nest = loop_nest(op)
    return [] if nest is None else sorted(n for n in nest.domain if n > 1)


def _neighbouring(op: ir.Operation) -> MergedLoops | Refusal | None:
    nest = loop_nest(op)
    if nest is None or nest.is_contraction or len(nest.reductions) < 2:
        return None
    if nest.uses_index or not nest.is_plain:
        return None  # a window slides
    runs: list[tuple[int, ...]] = []
    for loop in dict.fromkeys(d for loops in nest.read for d in loops if d in nest.reductions):
        run = (*runs[-1], loop) if runs else (loop,)
        operands = range(len(nest.accesses))
        if runs and all(_keeps_together(nest, op, k, run) for k in operands):
            runs[-1] = run
        else:
            runs.append((loop,))
    if len(runs) == len(nest.reductions):
        return Refusal("its sums run along dims that lie apart")
    return MergedLoops(op, nest, (*((d,) for d in nest.written), *runs))


def _groups(
    view: ir.Operation, nest: LoopNest, operand: int
) -> tuple[tuple[int, ...], ...] | None:
    """The loops that run through each dim of the view's source; None if a dim merges."""
    pairs = reassociation(shape_of(view.operands[0]), shape_of(view.results[0]))
    exprs, source = nest.accesses[operand].exprs, shape_of(view.operands[0])
    groups = []
    for old, new in pairs:
        if sum(source[d] > 1 for d in old) > 1:
            return None
        groups.append(
            tuple(a.index for d in new for a, _ in exprs[d].terms if isinstance(a, Dim))
        )
    named = {loop for group in groups for loop in group}
    # Loops of one iteration index nothing and go.
    groups += [(d,) for d, n in enumerate(nest.domain) if d not in named and n > 1]
    order = [*nest.written, *sorted(nest.reductions)]
    return tuple(sorted((g for g in groups if g), key=lambda g: order.index(g[0])))


def _keeps_together(
    nest: LoopNest, op: ir.Operation, operand: int, group: Sequence[int]
) -> bool:
    """Whether the loops of ``group`` run through neighbouring dims in order, or through none."""
    long = [
        (next((a.index for a, _ in expr.terms if isinstance(a, Dim)), None), extent)
        for expr, extent in zip(
            nest.accesses[operand].exprs, shape_of(op.operands[operand]), strict=True
        )
        if extent > 1
    ]
    dims = [loop for loop, _ in long]
    if any(
        loop is not None and loop in group and nest.domain[loop] < extent
        for loop, extent in long
    ):
        return len(group) == 1  # a window at one place, which reads a part of its image
    at = [dims.index(loop) for loop in group if loop in dims]
    return not at or (len(at) == len(group) and at == list(range(at[0], at[0] + len(group))))
