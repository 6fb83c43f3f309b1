"""Which dims of tensors get longer with the rows of one loop, and what they hold then.

All tensors that have these rows get more of them, from where the rows come together to
where they are summed up or read one by one; what the rows behind the last one hold, nobody
reads. A softmax along them can have them, too, as columns that are masked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import Dim, Expr, Shape, dim
from smartmem.index_map.expr import atoms
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import (
    Refusal,
    before_views,
    domain_of,
    is_free,
    is_view,
    shape_of,
    view_map,
)
from smartmem.passes.analysis.padding.masked_sums import masked_sums
from smartmem.passes.analysis.scalars.constant_values import constant_value

Place = tuple[ir.Value, int]
"""A dim of a tensor."""


@dataclass
class RowPadding:
    """Dims to be made longer together.

    Attributes:
        old: number of rows.
        new: number of rows that fit.
        loops: the loops over the rows, of each operation.
        places: the dims of tensors that the loops and views have.
        masked: tensors whose new elements become minus infinity, each with their dim.
    """

    old: int
    new: int
    loops: dict[ir.Operation, set[int]] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    masked: dict[ir.Value, int] = field(default_factory=dict)

    def shape(self, value: ir.Value) -> Shape:
        """The shape of ``value`` with its rows padded."""
        dims = enumerate(shape_of(value))
        return tuple(self.new if (value, d) in self.places else n for d, n in dims)

    def read_shape(self, op: ir.Operation, operand: int) -> Shape:
        """The shape in which ``op`` reads an operand: all rows, or the first ``old``."""
        value, longer = op.operands[operand], set[int]()
        if op.name == ViewOp.OPERATION_NAME:
            result, exprs = op.results[0], view_map(op).exprs
            rows = [k for k in range(len(shape_of(result))) if (result, k) in self.places]
            longer = {d for d, expr in enumerate(exprs) if any(expr == dim(k) for k in rows)}
        elif op in self.loops and (nest := loop_nest(op)) is not None:
            longer = {
                nest.axis_of(operand, loop)
                for loop in self.loops[op]
                if loop in nest.loops_of(operand)
            }
        return tuple(self.new if d in longer else n for d, n in enumerate(shape_of(value)))


class Search:
    """Follows the rows of one loop through all tensors that share them.

    Args:
        found: what it adds the loops and dims to.
        masks: whether the new columns of a softmax can be masked.
        parts: whether a sum along the rows takes a part of them at no cost, beside which
            others have them all; and paddings of other dims keep them.
    """

    def __init__(
        self,
        found: RowPadding,
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

    def run(self, op: ir.Operation, loop: int) -> RowPadding | Refusal:
        self._take_loop(op, loop)
        refusal: Refusal | None = None
        while self._waiting and refusal is None:
            value, d = self._waiting.pop()
            refusal = self._produced(value, d)
            uses = [use for use in value.uses if not sums_along(use, d)]
            if len(uses) < len(list(value.uses)) and not self._parts:
                self._mask(value, d)
                continue  # all that reads it takes the first ones, if they are not masked
            for use in uses:
                self._used(use.owner.operation, use.operand_number, d)
        return refusal or self.found

    def _mask(self, value: ir.Value, d: int) -> None:
        """Masks a dim where what makes ``value`` does, if all its readers then can have it."""
        if not self._masks or any(sums_along(use, d) and self._has(use) for use in value.uses):
            return
        value, d = _before_reshapes(value, d)
        sums = masked_sums(value, d, self._parameters)
        if sums is not None:
            self.found.masked[value] = d
            for op, loop in sums:
                self._take_loop(op, loop)

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
        if isinstance(value.owner, ir.Block):
            return Refusal("the rows are those of an argument")
        op = value.owner.operation
        if op.name == "arith.constant":
            known = constant_value(value, self._parameters) is not None
            return None if known else Refusal("the elements of a constant are not known")
        if op.name == ConcatOp.OPERATION_NAME:
            several = sum(v == value for v, _ in self.found.places) > 1
            return Refusal("a concat has the rows twice") if several else None
        if op.name == ViewOp.OPERATION_NAME:
            return self._viewed(op, d)
        nest = plain_nest(op)
        loops = [] if isinstance(nest, Refusal) else loops_along(nest, nest.output, d)
        if not loops:
            return Refusal(f"{op.name} makes the rows, and cannot make more")
        self._take_loop(op, loops[0])
        return None

    def _viewed(self, view: ir.Operation, d: int) -> Refusal | None:
        if "domain" in view.attributes and not self._passes(view, d):
            filled = len(view.operands) > 1 and self._fills(view, d)
            return None if filled else Refusal("a padding makes the rows")
        exprs = view_map(view).exprs
        if (
            dim(d) not in exprs
            or shape_of(view.operands[0])[exprs.index(dim(d))] != self.found.old
        ):
            return Refusal("a view makes the rows of others")
        self._take(view.operands[0], exprs.index(dim(d)))
        return None

    def _passes(self, view: ir.Operation, d: int) -> bool:
        """Whether a view pads other dims than ``d`` alone, if it pads any."""
        if "domain" not in view.attributes:
            return True
        held = domain_of(view.attributes["domain"], shape_of(view.results[0]))
        return self._parts and not any(_indexes(e, d) for e in held.constraints)

    def _fills(self, view: ir.Operation, d: int) -> bool:
        """Whether a padding has its fill in all new rows."""
        shape = enumerate(shape_of(view.results[0]))
        longer = tuple(self.found.new if k == d else n for k, n in shape)
        box = domain_of(view.attributes["domain"], longer).box(longer)
        return box is not None and box[d][1] <= self.found.old

    def _used(self, op: ir.Operation, operand: int, d: int) -> None:
        """Takes the rows of a reader, too, if it has them as they are."""
        if op.name == ViewOp.OPERATION_NAME and operand == 0:
            shape, exprs = shape_of(op.results[0]), view_map(op).exprs
            for k, extent in enumerate(shape):
                alone = sum(_indexes(e, k) for e in exprs) == 1 and self._passes(op, k)
                if exprs[d] == dim(k) and alone and extent == self.found.old:
                    self._take(op.results[0], k)
        nest = plain_nest(op)
        if isinstance(nest, Refusal) or operand == nest.output:
            return
        for loop in set(loops_along(nest, operand, d)) - nest.reductions:
            anyway = nest.is_contraction or self._masks or self._parts
            if anyway or not _is_summed(op.results[0], nest.axis_of(nest.output, loop)):
                self._take_loop(op, loop)


def _indexes(expr: Expr, d: int) -> bool:
    """Whether ``expr`` depends on a dim, in whatever part of it."""
    return any(isinstance(atom, Dim) and atom.index == d for atom in atoms(expr))


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


def sums_along(use: ir.OpOperand, d: int) -> bool:
    """Whether what uses a value sums its dim ``d`` up."""
    nest = plain_nest(use.owner.operation)
    if isinstance(nest, Refusal) or use.operand_number == nest.output:
        return False
    return any(loop in nest.reductions for loop in loops_along(nest, use.operand_number, d))


def loops_along(nest: LoopNest, operand: int, d: int) -> list[int]:
    """The loop that alone indexes a dim of an operand, if one does."""
    expr = nest.accesses[operand].exprs[d]
    return [loop for loop in nest.loops_of(operand) if expr == dim(loop)]


def is_moved_constant(value: ir.Value) -> bool:
    """Whether ``value`` is a constant, seen through views.

    To ask for the elements instead would walk through all that computes what is no constant.
    """
    value = before_views(value)
    return not isinstance(value.owner, ir.Block) and value.owner.name == "arith.constant"
