"""Whether operations along a dim can have more elements that change nothing: a masked softmax.

With minus infinity in the new elements, the largest of all stays, their exponentials are 0, and
so is what they add to sums. Followed from where the mask is put to contractions that sum the
dim up: there zeros meet what must be finite.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import dim
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of, view_map
from smartmem.passes.analysis.operators.sliding_windows import loops_of
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node

# What the new elements hold.
_MASKED, _ZERO, _FINITE = "minus infinity", "zero", "finite"

# An operation on values with and without new elements -> what it makes of them.
_RULES = {
    ("arith.subf", _MASKED, _FINITE): _MASKED,
    ("arith.addf", _MASKED, _FINITE): _MASKED,
    ("arith.addf", _FINITE, _MASKED): _MASKED,
    ("arith.mulf", _ZERO, _FINITE): _ZERO,
    ("arith.mulf", _FINITE, _ZERO): _ZERO,
    ("arith.divf", _ZERO, _FINITE): _ZERO,
    ("math.exp", _MASKED): _ZERO,
    ("math.exp2", _MASKED): _ZERO,
}

# Combiners of reductions that the new elements do not change.
_NEUTRAL = {
    ("arith.maximumf", _MASKED),
    ("arith.maxnumf", _MASKED),
    ("arith.addf", _ZERO),
}

Loops = list[tuple[ir.Operation, int]]
"""Operations, each with the loop along the dim."""


def masked_sums(value: ir.Value, d: int, parameters: Parameters) -> Loops | None:
    """The operations along dim ``d`` of ``value`` that take a mask behind its end.

    Returns:
        None unless all of them do, and end in sums.
    """
    follower = _Follower(parameters, {value: (d, _MASKED)})
    block = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
    for op in [op.operation for op in block.operations]:
        if any(operand in follower.held for operand in op.operands) and not follower.take(op):
            return None
    return follower.loops or None


class _Follower:
    """Goes through operations in program order.

    Attributes:
        held: the tensors with new elements: along which dim, and what they hold.
        loops: the operations taken so far.
    """

    def __init__(self, parameters: Parameters, held: dict[ir.Value, tuple[int, str]]) -> None:
        self.held = held
        self.loops: Loops = []
        self._parameters = parameters

    def take(self, op: ir.Operation) -> bool:
        """Follows the dim through ``op``; false if it cannot have new elements."""
        if op.name == ViewOp.OPERATION_NAME:
            return self._take_view(op)
        nest, body = plain_nest(op), body_of(op, self._parameters)
        if isinstance(nest, Refusal) or isinstance(body, Refusal):
            return False
        states = self._states(op, nest)
        along = {loop for loop, _ in states.values()}
        holds = _holds(body.root, {number: state for number, (_, state) in states.items()})
        if len(along) != 1 or holds is None:
            return False
        (loop,) = along
        self.loops.append((op, loop))
        if loop in nest.reductions:
            assert body.combiner is not None, "a reduction has one"
            return (body.combiner.name, holds) in _NEUTRAL
        self.held[op.results[0]] = (nest.axis_of(nest.output, loop), holds)
        return not nest.reductions

    def _take_view(self, op: ir.Operation) -> bool:
        d, holds = self.held[op.operands[0]]
        if "domain" in op.attributes:
            return False
        exprs, shape = view_map(op).exprs, shape_of(op.results[0])
        own = [k for k in range(len(shape)) if k in loops_of(exprs[d])]
        alone = len(own) == 1 and sum(own[0] in loops_of(e) for e in exprs) == 1
        if not alone or exprs[d] != dim(own[0]):
            return False
        self.held[op.results[0]] = (own[0], holds)
        return shape[own[0]] == shape_of(op.operands[0])[d]

    def _states(self, op: ir.Operation, nest: LoopNest) -> dict[int, tuple[int, str]]:
        """For each operand with new elements the loop along them, and what they hold."""
        found = {}
        for number, value in enumerate(list(op.operands)[: nest.output]):
            if value not in self.held:
                continue
            d, holds = self.held[value]
            expr = nest.accesses[number].exprs[d]
            loop = next((k for k in nest.loops_of(number) if expr == dim(k)), None)
            if loop is None:
                return {}  # it reads one of them
            found[number] = (loop, holds)
        return found


def _holds(node: Node, states: dict[int, str]) -> str | None:
    """What an expression makes of the new elements; None: it is not known."""
    if node.kind == ARGUMENT:
        return states.get(node.number, _FINITE)
    if node.kind == CONSTANT or not node.args:
        return _FINITE
    known = [_holds(arg, states) for arg in node.args]
    args = [state for state in known if state is not None]
    if len(args) < len(known):
        return None
    if set(args) == {_FINITE}:
        return _FINITE
    if node.kind in ("arith.mulf", "arith.divf") and args[0] == _MASKED:
        return _MASKED if _is_positive(node.args[1]) else None
    if node.kind == "arith.mulf" and args[1] == _MASKED:
        return _MASKED if _is_positive(node.args[0]) else None
    return _RULES.get((node.kind, *args))


def _is_positive(node: Node) -> bool:
    return node.kind == CONSTANT and isinstance(node.payload, float) and node.payload > 0
