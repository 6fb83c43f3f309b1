"""Where a view can go: into the write of its producer, or the read of a consumer.

The pure half of eliminating views. SmartMem's rule comes first (section 3.2.2 of the
paper): the producer writes the layout that its consumers read. What stands against a
place is a reason, which the report quotes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import (
    IndexMap,
    compose,
    identity,
    inverse,
)
from smartmem.passes.analysis.elimination.producer_consumer import PairTable
from smartmem.passes.analysis.elimination.reduction_order import InWeights, in_weights
from smartmem.passes.analysis.ir.accesses import (
    Access,
    access_through,
    ends_contraction,
    is_row_wise,
    plain_nest,
    reads_in_order,
    sums,
)
from smartmem.passes.analysis.ir.chains import defining_op, readers
from smartmem.passes.analysis.ir.channel_order import channels, permutes_channels
from smartmem.passes.analysis.ir.layout_contracts import ANY, AS_READ, CHANNELS, contract_of
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import Refusal, is_in_order, shape_of, view_map
from smartmem.passes.analysis.operators.classification import pair_of
from smartmem.passes.base import PassContext


@dataclass(frozen=True)
class InWrite:
    """The producer writes its result in the view's order."""

    access: Access

    @property
    def splits(self) -> bool:
        """Whether loops of the producer are split; else each stays whole."""
        return any(len(radix) > 1 for radix in self.access.form.radices)


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
    return is_in_order(view_map(view), shape_of(view.operands[0]))


class _View:
    """A view with what stands for and against each place; each question is asked once."""

    def __init__(self, view: ir.Operation, context: PassContext) -> None:
        self.op = view
        self._context = context

    @functools.cached_property
    def reads(self) -> InReads | Refusal:
        return _in_reads(self.op, self._context.pairs)

    @functools.cached_property
    def parts(self) -> InReads | Refusal:
        return _in_reads(self.op, self._context.pairs, in_parts=True)

    @functools.cached_property
    def weights(self) -> InWeights | Refusal:
        found = in_weights(self.op, self._context.parameters)
        if isinstance(found, Refusal):
            return found
        pair = pair_of(self.op, found.op, self._context.pairs)
        return found if pair.is_read_through else Refusal(str(pair))

    @functools.cached_property
    def write(self) -> InWrite | Refusal:
        return self._kept or in_write(self.op)

    @functools.cached_property
    def shared_write(self) -> InWrite | Refusal:
        return self._kept or _in_shared_write(self.op)

    @functools.cached_property
    def above(self) -> AboveProducer | Refusal:
        return self._kept or _above_producer(self.op)

    @functools.cached_property
    def _kept(self) -> Refusal | None:
        """The row that keeps the producer from taking in the view, if one does."""
        maker = defining_op(self.op.operands[0])
        if maker is None:
            return None
        pair = pair_of(maker, self.op, self._context.pairs)
        return None if pair.is_written_through else Refusal(str(pair))


def _contractions_read(view: _View) -> Placement | None:
    reads = view.reads
    if isinstance(reads, Refusal) or not all(a.nest.is_contraction for a in reads.accesses):
        return None
    return reads


def _above_normalization(view: _View) -> Placement | None:
    above = view.above
    if isinstance(above, Refusal) or contract_of(above.op).writes != AS_READ:
        return None
    return above


def _read_in_order(view: _View) -> Placement | None:
    reads = view.reads
    if isinstance(reads, Refusal) or not all(map(reads_in_order, reads.accesses)):
        return None
    return reads


def _above_with_channels(view: _View) -> Placement | Refusal | None:
    return view.above if permutes_channels(view.op) else None


def _write_with_channels(view: _View) -> Placement | None:
    write = view.write
    return None if isinstance(write, Refusal) or not _keeps_channels(write) else write


Rule = tuple[Callable[[_View], Placement | Refusal | None], str]
"""Where a view goes if it can, and why it does so before the rules that follow are asked."""

EARLY: tuple[Rule, ...] = (
    (_contractions_read, "contractions read any order"),
    (attrgetter("weights"), "the weights are permuted when compiling"),
    (_above_normalization, "all of a normalization takes one order"),
)
"""The places that come before all others. All views get these before any goes elsewhere: one
that moves up a normalization needs the views of its other operands to move with it. Where
contractions read through a view, the producer keeps the natural order, in which the reduction
dim is often contiguous."""

LATE: tuple[Rule, ...] = (
    (_read_in_order, "nothing is read against its order"),
    (_above_with_channels, "a vector of channels stays one"),
    (_write_with_channels, "a bad write costs less than a bad read"),  # section 3.2.2
    (attrgetter("reads"), "its producer keeps the order in which it writes"),
    (attrgetter("write"), "a bad write costs less than a copy"),
    (attrgetter("shared_write"), "its other readers can read any order"),
    (attrgetter("parts"), "a sum of a few parts costs less than a copy"),
    (attrgetter("above"), "it may find a place further up"),
)


def placement(
    view: ir.Operation, rules: Sequence[Rule], context: PassContext
) -> tuple[Placement, str] | Refusal:
    """The first place that ``rules`` give ``view`` and the rule's reason, or why it stays."""
    if "domain" in view.attributes:
        return Refusal("pads or reads a part only where a domain holds")
    asked = _View(view, context)
    for rule, reason in rules:
        place = rule(asked)
        if place is not None and not isinstance(place, Refusal):
            return place, reason
    places = {"producer": asked.write, "consumers": asked.reads, "above": asked.above}
    against = [f"{k}: {v.reason}" for k, v in places.items() if isinstance(v, Refusal)]
    return Refusal("; ".join(against))


def _producer(view: ir.Operation) -> ir.Operation | Refusal:
    owner = view.operands[0].owner
    if isinstance(owner, ir.Block):
        return Refusal("it is an argument")
    if len(list(view.operands[0].uses)) > 1:
        return Refusal("its result has other readers")
    return owner.operation


def _in_shared_write(view: ir.Operation) -> InWrite | Refusal:
    """How the producer writes the view's order where others read its result, too.

    For readers that need the order: convolutions and what is padded for them. The others
    read through the inverse of the view from then on, as their indexing maps can.
    """
    source = view.operands[0]
    if isinstance(source.owner, ir.Block):
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


def in_write(view: ir.Operation, may_split: bool = False) -> InWrite | Refusal:
    """How the producer of what ``view`` reads can write it as the view reads it."""
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


def _in_reads(
    view: ir.Operation, pairs: PairTable, *, in_parts: bool = False
) -> InReads | Refusal:
    accesses, refusal = [], Refusal("nothing reads it")
    for use in view.results[0].uses:
        pair = pair_of(view, use.owner.operation, pairs)
        if not pair.is_read_through:
            refusal = Refusal(str(pair))
            continue
        found = read_access(view, use.owner.operation, use.operand_number, in_parts=in_parts)
        if isinstance(found, Refusal):
            refusal = found
        else:
            accesses.append(found)
    return InReads(tuple(accesses)) if accesses else refusal


def read_access(
    view: ir.Operation, op: ir.Operation, operand: int, *, in_parts: bool = False
) -> Access | Refusal:
    """How ``op`` reads its operand, a view's result, through the view, or why it cannot.

    Args:
        in_parts: see ``access_through``.
    """
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    if operand == nest.output:
        return Refusal("it is the initial value of an output")
    if sum(v == view.results[0] for v in op.operands) > 1:
        return Refusal("it is read twice by one operation")
    through = compose(nest.accesses[operand], view_map(view))
    source = shape_of(view.operands[0])
    access = access_through(op, operand, nest, through, source, in_parts=in_parts)
    if isinstance(access, Refusal) or nest.reductions or not contract_of(op).agree:
        return access
    if not _is_free_to_order(op):
        return access
    if is_row_wise(op) and not _permutes_rows(op, access):
        return access
    permuted = len(access.layout.source_digits) == len(access.form.digit_shape)
    return replace(access, keeps_order=permuted)


def _keeps_channels(write: InWrite) -> bool:
    """Whether a linear layer would still write its channels innermost, as vectors need."""
    access = write.access
    if contract_of(access.op).writes != CHANNELS:
        return True
    loops = channels(access.op, access.nest)
    own = {digit for loop in loops for digit in access.form.digits_of(loop)}
    digits = access.layout.source_digits
    return not own or not digits or digits[-1] in own


def _is_free_to_order(op: ir.Operation) -> bool:
    """Whether only contractions, elementwise operations and views read ``op``, or one sum.

    They read any order, so that ``op``, elementwise, keeps that of its operand.
    """
    read_by = readers(op.results[0])
    rows = [reader for reader in read_by if contract_of(reader).reads != ANY]
    # A normalization reads its rows several times; a sum alone reads them in any order.
    return not rows or (len(rows) == 1 and sums(rows[0]))


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
