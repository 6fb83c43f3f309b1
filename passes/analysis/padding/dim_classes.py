"""Which dims of which tensors must be equally long, and what their padding holds.

A loop makes the dims equally long that it indexes, and a view that keeps a dim makes it as long
as that of its source. From one loop, a class is found by walking from definitions to uses and
back, through contractions, elementwise operations, views and concats, up to where it may end:
at constants and paddings, which can have more, and at readers of the first elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import Shape, dim, indexes
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import (
    Refusal,
    domain_of,
    is_free,
    is_view,
    shape_of,
    view_map,
)
from smartmem.passes.analysis.padding.contents import LOWEST, REPEATED, ZERO, Content
from smartmem.passes.analysis.padding.masked_readers import (
    MaskedReaders,
    Place,
    cannot_have_more,
    is_moved_constant,
    kept_dim,
    loop_along,
)
from smartmem.passes.analysis.scalars.constant_values import constant_value


@dataclass
class DimClass:
    """Dims to be made longer together.

    Attributes:
        old: how long they are.
        new: how long they are to be.
        loops: the loops along them, of each operation.
        places: the dims of tensors that the loops and views have.
        masked: tensors whose padding becomes minus infinity, each with their dim.
        zeros: a tensor that gets zeros behind it as it is, with the dim.
    """

    old: int
    new: int
    loops: dict[ir.Operation, set[int]] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    masked: dict[ir.Value, int] = field(default_factory=dict)
    zeros: Place | None = None

    @property
    def repeats(self) -> bool:
        """Whether a padding has to hold numbers as finite as those before: zeros meet them."""
        return bool(self.masked or self.zeros)

    def shape(self, value: ir.Value) -> Shape:
        """The shape of ``value`` with its dims padded."""
        dims = enumerate(shape_of(value))
        return tuple(self.new if (value, d) in self.places else n for d, n in dims)

    def read_shape(self, op: ir.Operation, operand: int) -> Shape:
        """The shape in which ``op`` reads an operand: all elements, or the first ``old``."""
        value, longer = op.operands[operand], set[int]()
        if op.name == ViewOp.OPERATION_NAME:
            result, exprs = op.results[0], view_map(op).exprs
            dims = [k for k in range(len(shape_of(result))) if (result, k) in self.places]
            longer = {d for d, expr in enumerate(exprs) if any(expr == dim(k) for k in dims)}
        elif op in self.loops and (nest := loop_nest(op)) is not None:
            longer = {
                nest.axis_of(operand, loop)
                for loop in self.loops[op]
                if loop in nest.loops_of(operand)
            }
        return tuple(self.new if d in longer else n for d, n in enumerate(shape_of(value)))


class Search:
    """Finds the class of one loop.

    Args:
        found: what it adds the loops and dims to.
        masks: whether sums along the dim, as softmax has them, can be masked.
        parts: whether a sum along the dim takes a part of it at no cost, beside which
            others have it all; and paddings of other dims keep it.
    """

    def __init__(
        self,
        found: DimClass,
        parameters: Parameters,
        *,
        masks: bool = False,
        parts: bool = False,
    ) -> None:
        self.found = found
        self._parameters = parameters
        self._masks = masks
        self._parts = parts
        self._waiting: list[Place] = []
        self._block: ir.Block | None = None

    def run(self, op: ir.Operation, loop: int) -> DimClass | Refusal:
        """The widest class: all that makes the dim has it, and all readers that can."""
        self._block = op.block
        if (refusal := cannot_have_more(op)) is not None:
            return refusal
        self._take_loop(op, loop)
        return self._walk()

    def run_at(self, op: ir.Operation, place: Place) -> DimClass | Refusal:
        """The widest class of a dim that ``op`` reads, and of which it takes the first elements."""
        self._block = op.block
        self._take(*place)
        return self._walk()

    def _walk(self) -> DimClass | Refusal:
        refusal: Refusal | None = None
        while self._waiting and refusal is None:
            value, d = self._waiting.pop()
            refusal = self._produced(value, d)
            self._consumed(value, d)
        return refusal or self.found

    def narrow(self, op: ir.Operation, loop: int) -> DimClass | Refusal | None:
        """The narrowest class: from the result of ``op`` to weighted sums, which ignore it.

        What ``op`` and the sums read gets zeros, as near as views allow. Other readers have
        the first elements. None if there are no such sums.
        """
        self._block = op.block
        if (refusal := cannot_have_more(op)) is not None:
            return refusal
        self._take_loop(op, loop)
        nest = plain_nest(op)
        assert not isinstance(nest, Refusal), "the caller has seen its loops"
        result = op.results[0], nest.axis_of(nest.output, loop)
        known = any(
            is_moved_constant(v, self._parameters)
            for k, v in enumerate(list(op.operands)[:-1])
            if loop in nest.loops_of(k)
        )
        readers = self._mask(result, REPEATED if known else ZERO, computed=False)
        if not readers.weighs or readers.refusal is not None:
            return readers.refusal if readers.weighs else None
        while self._waiting and refusal is None:
            refusal = self._begins(*self._waiting.pop())
        return refusal or (self.found if self.found.zeros else None)

    def _mask(self, place: Place, content: Content, *, computed: bool) -> MaskedReaders:
        """Takes all that reads ``place``; a constant that is added is the mask, or itself."""
        readers = MaskedReaders(
            place, content, self._parameters, masks_constant=True, computed=computed
        )
        mask = readers.mask
        if readers.refusal is not None:
            readers = MaskedReaders(
                place, LOWEST, self._parameters, masks_constant=False, computed=computed
            )
            mask = place
        if readers.refusal is None:
            self.found.masked.update([] if mask is None else [mask])
            for op, loop in readers.loops.items():
                self._take_loop(op, loop)
        return readers

    def _maker(self, value: ir.Value) -> ir.Operation | Refusal:
        """The operation that makes ``value`` beside those of the class."""
        op = defining_op(value)
        if op is None:
            return Refusal("the dim is one of an argument")
        if op.block != self._block:
            return Refusal("the dim is made outside of the loop around it")
        return op

    def _begins(self, value: ir.Value, d: int) -> Refusal | None:
        """Follows a dim of a narrow class to where it can have more."""
        op = self._maker(value)
        if isinstance(op, Refusal):
            return op
        if op in self.found.loops or is_moved_constant(value, self._parameters):
            return None
        if is_view(value):
            if "domain" in op.attributes:
                return Refusal("a padding makes the dim")
            source = self._source_dim(op, d)
            if source is not None:
                self._take(op.operands[0], source)
                return None
        if self.found.zeros not in (None, (value, d)):
            return Refusal("keys and values are parts of different tensors")
        self.found.zeros = value, d
        return None

    def _consumed(self, value: ir.Value, d: int) -> None:
        uses = [use for use in value.uses if not sums_along(use, d)]
        if len(uses) == len(list(value.uses)) or self._parts:
            for use in uses:
                self._used(use, d)
        # Else all that reads it takes the first ones, if they are not masked.
        elif self._masks and not any(
            sums_along(use, d) and self._has(use) for use in value.uses
        ):
            self._mask(_before_reshapes(value, d), REPEATED, computed=True)

    def _has(self, use: ir.OpOperand) -> bool:
        """Whether the loops of an operation are taken that sum up."""
        nest = loop_nest(use.owner.operation)
        taken = self.found.loops.get(use.owner.operation, set())
        return nest is not None and bool(taken & nest.reductions)

    def _take_loop(self, op: ir.Operation, loop: int) -> None:
        taken = self.found.loops.setdefault(op, set())
        if loop in taken:
            return
        taken.add(loop)
        nest = loop_nest(op)
        assert nest is not None, "the caller has seen its loops"
        values = [*list(op.operands)[:-1], op.results[0]]
        for number, value in enumerate(values):
            if loop in nest.loops_of(number):
                self._take(value, nest.axis_of(number, loop))

    def _take(self, value: ir.Value, d: int) -> None:
        if (value, d) not in self.found.places:
            self.found.places.add((value, d))
            self._waiting.append((value, d))

    def _produced(self, value: ir.Value, d: int) -> Refusal | None:
        op = self._maker(value)
        if isinstance(op, Refusal):
            return op
        if op.name == "arith.constant":
            known = constant_value(value, self._parameters) is not None
            return None if known else Refusal("the elements of a constant are not known")
        if op.name == ConcatOp.OPERATION_NAME:
            several = sum(v == value for v, _ in self.found.places) > 1
            return Refusal("a concat has the dim twice") if several else None
        if op.name == ViewOp.OPERATION_NAME:
            return self._viewed(op, d)
        nest = loop_nest(op)
        loop = None if nest is None or nest.uses_index else loop_along(nest, nest.output, d)
        if nest is None or loop is None or not _runs_alone(nest, loop):
            return Refusal(f"{op.name} makes the dim, and cannot make more")
        if (refusal := cannot_have_more(op)) is None:
            self._take_loop(op, loop)
        return refusal

    def _viewed(self, view: ir.Operation, d: int) -> Refusal | None:
        if "domain" in view.attributes and not self._passes(view, d):
            filled = len(view.operands) > 1 and self._fills(view, d)
            return None if filled else Refusal("a padding makes the dim")
        source = self._source_dim(view, d)
        if source is None:
            return Refusal("a view makes the dim of others")
        self._take(view.operands[0], source)
        return None

    def _source_dim(self, view: ir.Operation, d: int) -> int | None:
        """The dim of a view's source that is its dim ``d``, as long as that."""
        exprs, shape = view_map(view).exprs, shape_of(view.operands[0])
        if dim(d) not in exprs or shape[exprs.index(dim(d))] != self.found.old:
            return None
        return exprs.index(dim(d))

    def _passes(self, view: ir.Operation, d: int) -> bool:
        """Whether a view pads other dims than ``d`` alone, if it pads any."""
        if "domain" not in view.attributes:
            return True
        held = domain_of(view.attributes["domain"], shape_of(view.results[0]))
        return self._parts and not any(indexes(e, d) for e in held.constraints)

    def _fills(self, view: ir.Operation, d: int) -> bool:
        """Whether a padding has its fill in all new elements and, for a mask, in the last."""
        shape = enumerate(shape_of(view.results[0]))
        longer = tuple(self.found.new if k == d else n for k, n in shape)
        box = domain_of(view.attributes["domain"], longer).box(longer)
        return box is not None and box[d][1] <= self.found.old - self._masks

    def _used(self, use: ir.OpOperand, d: int) -> None:
        """Takes the dim of a reader, too, if it has it as it is."""
        op, operand = use.owner.operation, use.operand_number
        if op.block != self._block:
            return
        if op.name == ViewOp.OPERATION_NAME and operand == 0:
            kept = kept_dim(op, d)
            if kept is not None and self._passes(op, kept):
                self._take(op.results[0], kept)
        nest = plain_nest(op)
        if isinstance(nest, Refusal) or operand == nest.output:
            return
        loop = loop_along(nest, operand, d)
        if loop is None or loop in nest.reductions or cannot_have_more(op) is not None:
            return
        anyway = nest.is_contraction or self._masks or self._parts
        if anyway or not _is_summed(op.results[0], nest.axis_of(nest.output, loop)):
            self._take_loop(op, loop)


def _runs_alone(nest: LoopNest, loop: int) -> bool:
    """Whether a loop indexes dims by itself alone: not with a window that slides along it."""
    indexed = (e for access in nest.accesses for e in access.exprs if indexes(e, loop))
    return all(expr == dim(loop) for expr in indexed)


def sums_along(use: ir.OpOperand, d: int) -> bool:
    """Whether what uses a value sums its dim ``d`` up."""
    nest = plain_nest(use.owner.operation)
    if isinstance(nest, Refusal) or use.operand_number == nest.output:
        return False
    return loop_along(nest, use.operand_number, d) in nest.reductions


def _before_reshapes(value: ir.Value, d: int) -> Place:
    """The dim where it is computed, in front of views that only reshape."""
    while is_view(value):
        view = value.owner.operation
        exprs = view_map(view).exprs
        if not is_free(view) or dim(d) not in exprs:
            break
        value, d = view.operands[0], exprs.index(dim(d))
    return value, d


def _is_summed(value: ir.Value, d: int) -> bool:
    """Whether something sums along a dim, as softmax does: it is better not padded."""
    return any(sums_along(use, d) or _views_summed(use, d) for use in value.uses)


def _views_summed(use: ir.OpOperand, d: int) -> bool:
    op = use.owner.operation
    if op.name != ViewOp.OPERATION_NAME or "domain" in op.attributes:
        return False
    expr = view_map(op).exprs[d]
    shape = shape_of(op.results[0])
    return any(expr == dim(k) and _is_summed(op.results[0], k) for k in range(len(shape)))
