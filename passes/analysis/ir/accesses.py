"""How an operation reads or writes a tensor through a view: its loops, split or not.

Also says what the loops of a contraction or of a row-wise operator forbid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import (
    DigitForm,
    IndexMap,
    Layout,
    Shape,
    digit_form,
    layout_of,
    merge_dims,
)
from smartmem.passes.analysis.ir.chains import defining_op, is_reshape_view
from smartmem.passes.analysis.ir.channel_order import channels, torn_loops
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal


@dataclass(frozen=True)
class Access:
    """One access of a loop nest that is to go through a view.

    Attributes:
        op: the operation.
        operand: number of the operand read or, for a write, of the output.
        nest: its loops.
        form: the access through the view over split loops.
        layout: how the digits of the split loops lie in the tensor.
        keeps_order: the result is written in the order in which the tensor is read, and
            a view behind it restores what its readers expect.
    """

    op: ir.Operation
    operand: int
    nest: LoopNest
    form: DigitForm
    layout: Layout
    keeps_order: bool = False


def plain_nest(op: ir.Operation) -> LoopNest | Refusal:
    """The loops of ``op`` if it reads and writes at single loops, or why they are not used."""
    nest = loop_nest(op)
    if nest is None:
        return Refusal(f"{op.name} has no loops to split")
    if nest.uses_index:
        return Refusal("its body uses loop indices")
    if not nest.is_plain:
        return Refusal("it reads an operand at sums of loops")
    return nest


def access_through(
    op: ir.Operation,
    operand: int,
    nest: LoopNest,
    through: IndexMap,
    shape: Shape,
    *,
    may_split: bool = False,
    in_parts: bool = False,
) -> Access | Refusal:
    """The access of an operand to a tensor of ``shape``, which it reads ``through``.

    Args:
        may_split: any loop may be split.
        in_parts: the reduction of a linear layer may be split into a few whole vectors each.
    """
    is_write = operand == nest.output
    if not is_write and not may_split:
        through, shape = merge_dims(through, shape)
    form = digit_form(through)
    if form is None:
        return Refusal("no split of loops makes the access a permutation")
    layout = layout_of(form, shape)
    if layout is None:
        return Refusal("the digits read do not lie in one slice")
    if (
        not may_split
        and (reason := _must_not_split(op, nest, form, layout, in_parts)) is not None
    ):
        return Refusal(reason)
    if not is_write and _repeats_summands(nest, operand, form, layout):
        return Refusal("a reduction would sum the same elements again")
    return Access(op, operand, nest, form, layout)


def _repeats_summands(nest: LoopNest, operand: int, form: DigitForm, layout: Layout) -> bool:
    """Whether a reduction would read an element through the view more than once.

    Where no other operand indexes its loop, nothing would tell how often it runs; where
    one does, iree-compile 3.13 makes an invalid ``vector.contract``.
    """
    summed = nest.reductions & set(nest.loops_of(operand))
    return any(not set(form.digits_of(loop)) <= set(layout.source_digits) for loop in summed)


def _must_not_split(
    op: ir.Operation, nest: LoopNest, form: DigitForm, layout: Layout, in_parts: bool
) -> str | None:
    split = {loop for loop, radix in enumerate(form.radices) if len(radix) > 1}
    if nest.is_contraction:
        batch = set.intersection(*(set(nest.loops_of(k)) for k in range(3)))
        free = batch | channels(op, nest)
        torn = torn_loops(form, layout)
        whole = split <= free or (torn and torn <= free)
        if in_parts and split - free <= nest.reductions:
            whole = whole or _is_sum_of_vectors(op, nest, form)
        return None if whole else "a contraction keeps its loops whole"
    if split and ends_contraction(op):
        return "the end of a contraction keeps its loops whole"
    return None


VECTOR = 4
"""Elements in the shortest vector of any target."""

MOST_PARTS = 4
"""Parts into which the reduction of a linear layer may be split: each is a product more."""


def _is_sum_of_vectors(op: ir.Operation, nest: LoopNest, form: DigitForm) -> bool:
    """Whether a linear layer would sum few parts of whole vectors, as behind a shuffle.

    The loop over the parts is unrolled, and the weights are re-laid when compiling.
    """
    if not channels(op, nest):
        return False
    radices = [form.radices[loop] for loop in nest.reductions if len(form.radices[loop]) > 1]
    return all(
        math.prod(radix[:-1]) <= MOST_PARTS and radix[-1] % VECTOR == 0 for radix in radices
    )


def reads_in_order(access: Access) -> bool:
    """Whether an elementwise operation would read in the order in which it writes."""
    if access.keeps_order:
        return True
    nest, digits = access.nest, access.layout.source_digits
    if nest.reductions or len(digits) < len(access.form.digit_shape):
        return False
    loops = nest.written
    return digits == [digit for loop in loops for digit in access.form.digits_of(loop)]


MAX_END = 16
"""Elementwise operations in the end of a contraction: kernels take in no more."""


def ends_contraction(op: ir.Operation, longest: int = MAX_END) -> bool:
    """Whether ``op`` is an elementwise end of a contraction or convolution."""
    nest = loop_nest(op)
    if nest is None or nest.reductions or not longest:
        return False
    return any(is_contracted(value, longest - 1) for value in list(op.operands)[:-1])


def is_contracted(value: ir.Value, longest: int = MAX_END) -> bool:
    """Whether a contraction or convolution, or its elementwise end, makes ``value``."""
    op = _made_for_one(value)
    if op is None:
        return False
    nest = loop_nest(op)
    contracts = "conv" in op.name or (nest is not None and nest.is_contraction)
    return contracts or ends_contraction(op, longest)


def _made_for_one(value: ir.Value) -> ir.Operation | None:
    """The operation that makes ``value``, behind reshapes, where each has one reader alone."""
    while len(list(value.uses)) == 1 and (op := defining_op(value)) is not None:
        if not is_reshape_view(op):
            return op
        value = op.operands[0]
    return None


def ends_window(op: ir.Operation) -> bool:
    """Whether ``op`` is an elementwise end of an operation that slides a window."""
    nest = loop_nest(op)
    if nest is None or nest.reductions:
        return False
    makers = filter(None, map(_made_for_one, list(op.operands)[:-1]))
    return any(
        made.reductions and not made.is_plain
        for made in map(loop_nest, makers)
        if made is not None
    )


def is_contraction(value: ir.Value) -> bool:
    """Whether a contraction makes ``value``, as it is, for one reader."""
    if isinstance(value.owner, ir.Block) or len(list(value.uses)) != 1:
        return False
    nest = loop_nest(value.owner.operation)
    return nest is not None and nest.is_contraction


def is_row_wise(op: ir.Operation) -> bool:
    """Whether ``op`` is a reduction, or an elementwise operation that reads one's result."""
    return sums(op) or any(map(sums, filter(None, map(defining_op, list(op.operands)[:-1]))))


def sums(op: ir.Operation) -> bool:
    """Whether ``op`` reduces, as normalizations do: no contraction, and no window."""
    nest = loop_nest(op)
    if nest is None or not nest.reductions or nest.is_contraction:
        return False
    # Not a window that slides over an image: its kernel is none of rows.
    return nest.is_plain
