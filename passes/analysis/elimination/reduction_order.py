"""Whether a contraction can sum in the order in which its operand lies in memory.

A sum does not depend on the order of its terms. Where a view permutes the digits of the
reduction dimension of one operand and the other operand is a constant, the constant can
be permuted when compiling, and nothing moves at run time: space-to-depth or a flatten
before a fully connected layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import (
    IndexMap,
    compose,
    digit_form,
    layout_of,
    reshape,
    transpose,
)
from smartmem.index_map.taking import take
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.linear_layers import stored_constant
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of, view_map
from smartmem.passes.analysis.scalars.constant_values import constant_value


@dataclass(frozen=True)
class InWeights:
    """A contraction sums in the order of the view's source; its weights follow.

    Attributes:
        op: the contraction.
        operand: number of the operand that reads the view.
        axes: the reduction dimension of that operand, and of the weights.
        order: new index of the reduction dimension -> old index.
        weights: the elements of the other operand.
    """

    op: ir.Operation
    operand: int
    axes: tuple[int, int]
    order: IndexMap
    weights: Array


def in_weights(view: ir.Operation, parameters: Parameters) -> InWeights | Refusal:
    """How the only reader of ``view`` can take its permutation into its weights."""
    uses = list(view.results[0].uses)
    if len(uses) != 1:
        return Refusal("several operations read it")
    op, operand = uses[0].owner.operation, uses[0].operand_number
    nest = loop_nest(op)
    if nest is None or not nest.is_contraction or operand > 1:
        return Refusal("no contraction reads it")
    weights = _constant(op.operands[1 - operand], parameters)
    if weights is None:
        return Refusal("the other operand of the contraction is no constant")
    loop = _reduction_loop(nest, operand)
    if loop is None:
        return Refusal("the contraction has no reduction loop of its own")
    order = _order(view, nest, operand, loop)
    if isinstance(order, Refusal):
        return order
    axes = (nest.axis_of(operand, loop), nest.axis_of(1 - operand, loop))
    return InWeights(op, operand, axes, order, weights)


def _constant(value: ir.Value, parameters: Parameters) -> Array | None:
    """The elements of a constant, as ``value`` reads them through views."""
    stored = stored_constant(value)
    array = None if stored is None else constant_value(stored.source, parameters)
    return None if stored is None or array is None else take(stored.index_map, array)


def _reduction_loop(nest: LoopNest, operand: int) -> int | None:
    if not nest.is_plain or nest.uses_index:
        return None
    shared = set(nest.loops_of(operand)) & set(nest.loops_of(1 - operand))
    loops = sorted(shared & nest.reductions)
    return loops[0] if len(loops) == 1 else None


def _order(view: ir.Operation, nest: LoopNest, operand: int, loop: int) -> IndexMap | Refusal:
    """The order of the source's digits along ``loop``."""
    form = digit_form(compose(nest.accesses[operand], view_map(view)))
    layout = layout_of(form, shape_of(view.operands[0])) if form else None
    if form is None or layout is None:
        return Refusal("the digits read do not lie in one slice")
    digits, radix = form.digits_of(loop), tuple(form.radices[loop])
    own = [digits.index(d) for d in layout.source_digits if d in digits]
    if len(own) < len(radix) or own == sorted(own):
        return Refusal("the reduction dimension keeps its order")
    extent = (nest.domain[loop],)
    stored = tuple(radix[d] for d in own)
    permuted = compose(transpose(radix, own), reshape(extent, radix))
    return compose(reshape(stored, extent), permuted)
