"""Where a view can go: into the write of its producer, or the read of a consumer.

The pure half of eliminating views. SmartMem's rule comes first (section 3.2.2 of the
paper): the producer writes the layout that its consumers read. What stands against a
place is a reason, which the report quotes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import (
    IndexMap,
    compose,
    digit_form,
    identity,
    inverse,
    layout_of,
)
from smartmem.parameters import Parameters
from smartmem.passes.analysis.accesses import (
    Access,
    access_through,
    ends_contraction,
    is_contraction,
    is_row_wise,
    plain_nest,
    reads_in_order,
    sums,
    view_readers,
)
from smartmem.passes.analysis.affine_ends import is_whole_view
from smartmem.passes.analysis.channel_order import channels, permutes_channels
from smartmem.passes.analysis.loops import LoopNest, loop_nest
from smartmem.passes.analysis.movement import Refusal, is_free, long_dims, shape_of, view_map
from smartmem.passes.analysis.reduction_order import InWeights, in_weights


@dataclass(frozen=True)
class InWrite:
    """The producer writes its result in the view's order."""

    access: Access


@dataclass(frozen=True)
class InReads:
    """Consumers read the view's source in the view's order."""

    accesses: tuple[Access, ...]


@dataclass(frozen=True)
class AboveProducer:
    """The view moves from the producer's result to its operands."""

    op: ir.Operation
    nest: LoopNest


Placement = InWrite | InReads | InWeights | AboveProducer


def is_address(view: ir.Operation) -> bool:
    """Whether a view reads a slice of its source in order: reshapes, slices, and both.

    Such a view names a part of memory; nothing has to move.
    """
    if "domain" in view.attributes:
        return False
    if is_free(view):
        return True
    form = digit_form(view_map(view))
    if form is None:
        return False
    layout = layout_of(form, shape_of(view.operands[0]))
    return layout is not None and layout.source_digits == list(range(len(form.digit_shape)))


def early_placement(view: ir.Operation, parameters: Parameters) -> Placement | Refusal:
    """The places that come before all others, or why ``view`` has none of them.

    All views get these before any goes elsewhere: one that moves up a normalization
    needs the views of its other operands to move with it.
    """
    if "domain" in view.attributes:
        return Refusal("pads or reads a part only where a domain holds")
    reads = _in_reads(view)
    if isinstance(reads, InReads) and all(a.nest.is_contraction for a in reads.accesses):
        # Its indexing maps read any permutation; the producer keeps the natural order,
        # in which the reduction dimension is often the contiguous one.
        return reads
    permuted = in_weights(view, parameters)
    if isinstance(permuted, InWeights):
        return permuted
    above = _above_producer(view)
    if not isinstance(above, Refusal) and is_row_wise(above.op):
        # All of a normalization moves to the new order: one iteration domain, one kernel.
        return above
    return Refusal("no contraction reads it, and no normalization makes it")


def placement(view: ir.Operation) -> Placement | Refusal:
    """Where ``view`` can go, best place first, or why it stays."""
    if "domain" in view.attributes:
        return Refusal("pads or reads a part only where a domain holds")
    reads = _in_reads(view)
    if isinstance(reads, InReads) and all(map(reads_in_order, reads.accesses)):
        return reads
    above = _above_producer(view)
    if not isinstance(above, Refusal) and permutes_channels(view):
        return above
    write = _in_write(view)
    if isinstance(reads, InReads):
        kept = isinstance(write, InWrite) and _keeps_channels(write)
        return write if kept else reads
    if isinstance(write, InWrite):
        return write
    shared = _in_shared_write(view)
    if not isinstance(shared, Refusal):
        return shared
    if not isinstance(above, Refusal):
        return above
    return Refusal(
        f"producer: {write.reason}; consumers: {reads.reason}; above: {above.reason}"
    )


def _producer(view: ir.Operation) -> ir.Operation | Refusal:
    owner = view.operands[0].owner
    if isinstance(owner, ir.Block):
        return Refusal("it is an argument")
    if len(list(view.operands[0].uses)) > 1:
        return Refusal("its result has other readers")
    return owner.operation


def split_end(view: ir.Operation) -> InWrite | Refusal:
    """How the contraction, or its end, behind ``view`` runs over the dims of ``view``.

    For a free reshape of what is written into a part of a larger tensor, a padded one:
    a part is a box only in the dims of that tensor. And for what is combined with the
    result of a contraction that has these dims: both can be one kernel over the same loops.
    """
    if long_dims(shape_of(view.operands[0])) == long_dims(shape_of(view.results[0])):
        return Refusal("it splits no dim")
    readers = view_readers(view.results[0])
    padded = any(map(_needs_dims, readers)) or _reads_padded(view.operands[0])
    if not padded and not _is_combined_with_contraction(view):
        return Refusal("nothing pads it, nor what it is combined with")
    return _in_write(view, may_split=True)


def _is_combined_with_contraction(view: ir.Operation) -> bool:
    """Whether the only reader, no contraction, reads such a result in the view's dims."""
    uses = list(view.results[0].uses)
    nest = loop_nest(uses[0].owner.operation) if len(uses) == 1 else None
    if nest is None or nest.is_contraction or not is_contraction(view.operands[0]):
        return False
    beside = [v for v in list(uses[0].owner.operands)[:-1] if v != view.results[0]]
    return any(v.type == view.results[0].type and is_contraction(v) for v in beside)


def split_read(view: ir.Operation) -> Access | Refusal:
    """How the only reader of ``view``, no contraction, can run over the dims of its source."""
    uses = list(view.results[0].uses)
    if len(uses) != 1:
        return Refusal("several operations read it")
    op, operand = uses[0].owner.operation, uses[0].operand_number
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    if nest.is_contraction or operand == nest.output:
        return Refusal("neither an elementwise operation nor a sum reads it")
    through = compose(nest.accesses[operand], view_map(view))
    return access_through(
        op, operand, nest, through, shape_of(view.operands[0]), may_split=True
    )


def _needs_dims(op: ir.Operation) -> bool:
    """Whether ``op``, no contraction, reads or makes what is padded as it is."""
    nest = loop_nest(op)
    if nest is None or nest.is_contraction:
        return False
    if any(map(_is_padded, list(op.operands)[:-1])):
        return True
    if nest.reductions:
        return False
    return _is_padded(op.results[0]) or any(map(_needs_dims, view_readers(op.results[0])))


def _reads_padded(value: ir.Value) -> bool:
    return not isinstance(value.owner, ir.Block) and any(
        map(_is_padded, list(value.owner.operands)[:-1])
    )


def _is_padded(value: ir.Value) -> bool:
    while not isinstance(value.owner, ir.Block) and is_whole_view(value.owner.operation):
        value = value.owner.operands[0]
    return any("domain" in op.attributes for op in view_readers(value))


def _in_shared_write(view: ir.Operation) -> InWrite | Refusal:
    """How the producer writes the view's order where others read its result, too.

    For readers that need the order: convolutions and what is padded for them. The others
    read through the inverse of the view from then on, as their indexing maps can.
    """
    source = view.operands[0]
    if isinstance(source.owner, ir.Block) or not isinstance(_in_reads(view), Refusal):
        return Refusal("its result has other readers")
    back = inverse(view_map(view), shape_of(source))
    if back is None or not _reads_anyhow(source, identity(shape_of(source)), back, view):
        return Refusal("others read its result in an order of their own")
    return written(source.owner.operation, view_map(view))


def _reads_anyhow(value: ir.Value, seen: IndexMap, back: IndexMap, but: ir.Operation) -> bool:
    """Whether all that read ``value`` but one view can read it in another order.

    Args:
        seen: index of ``value`` -> index of the tensor that is written in another order.
        back: index of that tensor -> where the element lies then.
    """
    uses = [use for use in value.uses if use.owner.operation != but]
    return all(_reads_through(use, seen, back, but) for use in uses)


def _reads_through(
    use: ir.OpOperand, seen: IndexMap, back: IndexMap, but: ir.Operation
) -> bool:
    op = use.owner.operation
    if op.name == ViewOp.OPERATION_NAME and "domain" not in op.attributes:
        return _reads_anyhow(op.results[0], compose(view_map(op), seen), back, but)
    nest = plain_nest(op)
    if isinstance(nest, Refusal) or use.operand_number == nest.output:
        return False
    through = compose(compose(nest.accesses[use.operand_number], seen), back)
    found = access_through(op, use.operand_number, nest, through, shape_of(but.results[0]))
    return not isinstance(found, Refusal)


def _in_write(view: ir.Operation, may_split: bool = False) -> InWrite | Refusal:
    op = _producer(view)
    return op if isinstance(op, Refusal) else written(op, view_map(view), may_split)


def written(
    op: ir.Operation, index_map: IndexMap, may_split: bool = False
) -> InWrite | Refusal:
    """How ``op`` can write what is read of its result through ``index_map``."""
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    back = inverse(index_map, shape_of(op.results[0]))
    if back is None:
        return Refusal("the view is no permutation of digits")
    through = compose(nest.accesses[-1], back)
    shape = index_map.shape
    access = access_through(op, nest.output, nest, through, shape, may_split=may_split)
    if isinstance(access, Refusal):
        return access
    if tuple(access.layout.sizes) != shape:
        return Refusal("it would write only a part")
    return InWrite(access)


def _in_reads(view: ir.Operation) -> InReads | Refusal:
    accesses, refusal = [], Refusal("nothing reads it")
    for use in view.results[0].uses:
        found = _read(view, use.owner.operation, use.operand_number)
        if isinstance(found, Refusal):
            refusal = found
        else:
            accesses.append(found)
    return InReads(tuple(accesses)) if accesses else refusal


def _read(view: ir.Operation, op: ir.Operation, operand: int) -> Access | Refusal:
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    if operand == nest.output:
        return Refusal("it is the initial value of an output")
    if sum(v == view.results[0] for v in op.operands) > 1:
        return Refusal("it is read twice by one operation")
    through = compose(nest.accesses[operand], view_map(view))
    access = access_through(op, operand, nest, through, shape_of(view.operands[0]))
    if isinstance(access, Refusal) or not nest.is_elementwise or not _is_free_to_order(op):
        return access
    if is_row_wise(op) and not _permutes_rows(op, access):
        return access
    permuted = len(access.layout.source_digits) == len(access.form.digit_shape)
    return replace(access, keeps_order=permuted)


def _keeps_channels(write: InWrite) -> bool:
    """Whether a linear layer would still write its channels innermost, as vectors need."""
    access = write.access
    loops = channels(access.op, access.nest) if access.nest.is_contraction else set()
    own = {digit for loop in loops for digit in access.form.digits_of(loop)}
    digits = access.layout.source_digits
    return not own or not digits or digits[-1] in own


def _is_free_to_order(op: ir.Operation) -> bool:
    """Whether only contractions, elementwise operations and views read ``op``, or one sum.

    They read any order, so that ``op``, elementwise, keeps that of its operand.
    """
    readers = view_readers(op.results[0])
    rows = [reader for reader in readers if not _takes_any_order(reader)]
    # A normalization reads its rows several times; a sum alone reads them in any order.
    return not rows or (len(rows) == 1 and sums(rows[0]))


def _takes_any_order(op: ir.Operation) -> bool:
    if op.name == ViewOp.OPERATION_NAME:
        return "domain" not in op.attributes
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return False
    return nest.is_contraction or (nest.is_elementwise and not is_row_wise(op))


def _permutes_rows(op: ir.Operation, access: Access) -> bool:
    """Whether ``access`` reads a row in another order than it lies in memory."""
    nest = access.nest
    along = set(range(len(nest.domain)))
    for number, value in enumerate(list(op.operands)[:-1]):
        if not isinstance(value.owner, ir.Block) and sums(value.owner.operation):
            along -= set(nest.loops_of(number))
    for loop in along:
        digits = access.form.digits_of(loop)
        order = [d for d in access.layout.source_digits if d in digits]
        if order != sorted(order):
            return True
    return False


def _above_producer(view: ir.Operation) -> AboveProducer | Refusal:
    op = _producer(view)
    if isinstance(op, Refusal):
        return op
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    if nest.is_contraction or (ends_contraction(op) and not permutes_channels(view)):
        return Refusal("a contraction must not read through divisions")
    if math.prod(shape_of(view.results[0])) > math.prod(shape_of(view.operands[0])):
        return Refusal("it would compute elements more than once")
    return AboveProducer(op, nest)
