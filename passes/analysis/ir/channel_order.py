"""Whether a linear layer can write its channels in another order: its weights follow.

The order of the output channels is that of the rows of its weights, which are known now.
So a view that permutes channels, as grouped convolutions ask for, costs nothing if it can
be moved up to the layer: through its elementwise end, whose other operands are known, too.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import (
    DigitForm,
    Dim,
    Expr,
    IndexMap,
    Layout,
    compose,
    constant,
    digit_form,
    inverse,
    layout_of,
)
from smartmem.index_map import expr as ex
from smartmem.passes.analysis.ir.linear_layers import stored_constant
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of, view_map


def channels(op: ir.Operation, nest: LoopNest) -> set[int]:
    """The loops over the output channels of a linear layer; empty if ``op`` is none."""
    for data, weights in ((0, 1), (1, 0)):
        if stored_constant(op.operands[weights]) is not None:
            held, read = nest.loops_of(weights), nest.loops_of(data)
            return set(held) - set(read) - nest.reductions
    return set()


def permutes_channels(view: ir.Operation) -> bool:
    """Whether a linear layer above ``view`` could write in its order, channels split only.

    Between both are elementwise operations of one computed operand and views.
    """
    value, through = view.operands[0], view_map(view)
    steps = 0
    while not isinstance(value.owner, ir.Block) and len(list(value.uses)) == 1:
        op = value.owner.operation
        nest = loop_nest(op)
        if op.name == ViewOp.OPERATION_NAME and "domain" not in op.attributes:
            value, through = op.operands[0], compose(through, view_map(op))
            continue
        if nest is None or nest.uses_index or not nest.is_plain:
            return False
        if nest.is_contraction:
            return steps > 0 and _splits_channels(op, nest, through)
        computed = [k for k, v in enumerate(list(op.operands)[:-1]) if not stored_constant(v)]
        if nest.reductions or len(computed) != 1:
            return False
        value, through = op.operands[computed[0]], _read(nest, computed[0], through)
        steps += 1
    return False


def _read(nest: LoopNest, operand: int, written: IndexMap) -> IndexMap:
    """Where ``operand`` is read for the result that ``written`` reads."""
    loops: list[Expr] = [constant(0)] * len(nest.domain)
    for expr, index in zip(nest.accesses[-1].exprs, written.exprs, strict=True):
        for atom, _ in expr.terms:
            assert isinstance(atom, Dim)
            loops[atom.index] = index
    exprs = (ex.substitute(e, loops, written.shape) for e in nest.accesses[operand].exprs)
    return IndexMap(tuple(exprs), written.shape)


def torn_loops(form: DigitForm, layout: Layout) -> set[int]:
    """The loops whose digits do not lie side by side in the tensor, in order."""
    torn = set()
    for loop in range(len(form.radices)):
        own = form.digits_of(loop)
        places = [place for place, d in enumerate(layout.source_digits) if d in own]
        digits = [layout.source_digits[place] for place in places]
        side_by_side = not places or places[-1] - places[0] < len(places)
        if digits != sorted(digits) or not side_by_side:
            torn.add(loop)
    return torn


def _splits_channels(op: ir.Operation, nest: LoopNest, through: IndexMap) -> bool:
    back = inverse(through, shape_of(op.results[0]))
    form = digit_form(compose(nest.accesses[-1], back)) if back is not None else None
    layout = layout_of(form, through.shape) if form is not None else None
    if form is None or layout is None:
        return False
    torn = torn_loops(form, layout)
    return bool(torn) and torn <= channels(op, nest)
