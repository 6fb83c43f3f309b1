"""What reads a padded dim, up to the sums that do not notice the padding: a masked softmax.

Each operation is asked what it makes of what the padding of its operands holds (``contents.py``).
"""

from __future__ import annotations

import functools
from bisect import insort

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import dim, indexes
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import (
    Refusal,
    before_views,
    shape_of,
    view_map,
)
from smartmem.passes.analysis.padding.contents import (
    ANYTHING,
    LOWEST,
    Content,
    content_of,
    is_neutral,
)
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.constant_values import constant_value

Place = tuple[ir.Value, int]
"""A dim of a tensor."""


def _compare_places(one: ir.Operation, other: ir.Operation) -> int:
    if one == other:
        return 0
    return -1 if one.is_before_in_block(other) else 1


IN_ORDER = functools.cmp_to_key(_compare_places)
"""Sorts the operations of a block as they run."""


class MaskedReaders:
    """Follows a padded dim through all that reads it.

    Args:
        place: where the padding begins.
        content: what it holds there.
        masks_constant: whether a constant that is added can be the mask.
        computed: whether what is combined with it may be computed, so that it is padded, too.

    Attributes:
        loops: the operations that have the padding, each with the loop along it.
        mask: the constant whose padding has to be ``LOWEST``; None: there is none.
        weighs: whether a contraction sums along the dim.
        refusal: why there cannot be a padding, if so.
    """

    def __init__(
        self,
        place: Place,
        content: Content,
        parameters: Parameters,
        *,
        masks_constant: bool,
        computed: bool,
    ) -> None:
        self.loops: dict[ir.Operation, int] = {}
        self.mask: Place | None = None
        self.weighs = False
        self.refusal: Refusal | None = None
        self._masks_constant = masks_constant
        self._computed = computed
        self._parameters = parameters
        self._held: dict[ir.Value, tuple[int, Content]] = {}
        self._waiting: list[ir.Operation] = []
        self._hold(*place, content)
        while self._waiting and self.refusal is None:
            op = self._waiting.pop(0)
            is_view = op.name == ViewOp.OPERATION_NAME
            self.refusal = self._viewed(op) if is_view else self._computes(op)

    def _hold(self, value: ir.Value, d: int, content: Content) -> None:
        self._held[value] = d, content
        block = (
            value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
        )
        for use in value.uses:
            op = use.owner.operation
            # What is in the body of another operation reads what stays as it was.
            if op.block == block and op not in self._waiting:
                insort(self._waiting, op, key=IN_ORDER)

    def _viewed(self, view: ir.Operation) -> Refusal | None:
        d, content = self._held[view.operands[0]]
        kept = kept_dim(view, d)
        if "domain" in view.attributes or kept is None:
            return Refusal("its scores are reshaped or read in part")
        self._hold(view.results[0], kept, content)
        return None

    def _computes(self, op: ir.Operation) -> Refusal | None:
        nest, body = plain_nest(op), body_of(op, self._parameters)
        if isinstance(nest, Refusal):
            return nest
        if isinstance(body, Refusal):
            return body
        held = {k: self._held[v] for k, v in enumerate(op.operands) if v in self._held}
        along = {loop_along(nest, number, d) for number, (d, _) in held.items()}
        loop = along.pop()
        if along or loop is None or nest.output in held:
            return Refusal("its scores are read in other dims")
        contents = {number: content for number, (_, content) in held.items()}
        if not nest.is_contraction and (refusal := self._beside(op, nest, loop, contents)):
            return refusal
        self.loops[op] = loop
        return self._makes(op, body, loop, content_of(body.root, contents))

    def _beside(
        self, op: ir.Operation, nest: LoopNest, loop: int, contents: dict[int, Content]
    ) -> Refusal | None:
        """Looks at what else has the dim, such as a bias."""
        for number, value in enumerate(list(op.operands)[: nest.output]):
            if number in contents or loop not in nest.loops_of(number):
                continue
            if not is_moved_constant(value, self._parameters):
                if not self._computed:
                    return Refusal("its scores are combined with what is computed")
            elif self._masks_constant and self.mask is None and len(list(value.uses)) == 1:
                self.mask = value, nest.axis_of(number, loop)
                contents[number] = LOWEST
        return None

    def _makes(
        self, op: ir.Operation, body: Body, loop: int, content: Content
    ) -> Refusal | None:
        nest = body.nest
        if loop in nest.reductions:
            combiner = "" if body.combiner is None else body.combiner.name
            self.weighs |= nest.is_contraction and is_neutral(combiner, content)
            if is_neutral(combiner, content):
                return None
        if nest.is_contraction:
            return Refusal("what reads its scores is no weighted sum")
        if nest.reductions:
            return Refusal("it would sum up the scores of no key")
        if content is ANYTHING:
            return Refusal("nobody knows what it makes of the scores of no key")
        if (refusal := cannot_have_more(op)) is not None:
            return refusal
        self._hold(op.results[0], nest.axis_of(nest.output, loop), content)
        return None


def cannot_have_more(op: ir.Operation) -> Refusal | None:
    """Why no dim of what ``op`` computes can be longer, if so: it begins with a tensor."""
    init = op.operands[len(op.operands) - 1].owner
    if isinstance(init, ir.Block) or init.name not in ("linalg.fill", "tensor.empty"):
        return Refusal("it adds to a tensor")
    return None


def kept_dim(view: ir.Operation, d: int) -> int | None:
    """The dim of a view that is dim ``d`` of its source, whole and nowhere else."""
    exprs, shape = view_map(view).exprs, shape_of(view.results[0])
    kept = [k for k in range(len(shape)) if exprs[d] == dim(k)]
    if not kept or sum(indexes(expr, kept[0]) for expr in exprs) > 1:
        return None
    return kept[0] if shape[kept[0]] == shape_of(view.operands[0])[d] else None


def loop_along(nest: LoopNest, operand: int, d: int) -> int | None:
    """The loop that alone indexes a dim of an operand, if one does."""
    expr = nest.accesses[operand].exprs[d]
    return next((loop for loop in nest.loops_of(operand) if expr == dim(loop)), None)


def is_moved_constant(value: ir.Value, parameters: Parameters) -> bool:
    """Whether ``value`` is a constant of known elements, seen through views.

    To ask for the elements of anything else would walk through all that computes it.
    """
    source = before_views(value)
    if isinstance(source.owner, ir.Block) or source.owner.name != "arith.constant":
        return False
    return constant_value(value, parameters) is not None
