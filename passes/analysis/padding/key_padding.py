"""Which attention has a number of keys that is no whole vectors, and how to have more.

The scores of 49 keys begin where no vector can, but for the first row. With keys of zeros
behind them, whose scores a mask lowers so far that softmax makes zeros of them, the weighted
sum stays what it is: zero times the values of zeros. That this holds is followed through all
operations between the two contractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.vectors import SPIRV
from smartmem.dialect import ViewOp
from smartmem.index_map import dim
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of, view_map
from smartmem.passes.analysis.operators.sliding_windows import loops_of
from smartmem.passes.analysis.padding.fitting_rows import fitting_rows
from smartmem.passes.analysis.padding.row_padding import (
    Place,
    RowPadding,
    is_moved_constant,
    loops_along,
)
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node

LOW, ZERO, ANY = "low", "zero", "any"
"""What is behind the last key: what exp makes zero of, zero, or a number nobody knows."""

# More work than this part would be lost on keys that nobody has.
_MOST = 0.08

_FEWEST_KEYS = 16

_CASTS = ("arith.truncf", "arith.extf")


@dataclass(frozen=True)
class KeyPadding:
    """Attention whose keys are to be more.

    Attributes:
        padding: the loops and dims over the keys; no operation makes them longer, but
        source: is padded with zeros.
        scores: the contraction of queries and keys.
        bias: a constant that is added to the scores, and can be the mask; None: the result
            of ``scores`` is masked.
    """

    padding: RowPadding
    source: Place
    scores: ir.Operation
    bias: Place | None


def key_padding(
    op: ir.Operation, lanes: int, parameters: Parameters
) -> KeyPadding | Refusal | None:
    """How the keys of which ``op`` makes scores become whole vectors; None if they are."""
    nest = plain_nest(op)
    if isinstance(nest, Refusal) or not nest.is_contraction or not nest.loops_of(2):
        return None
    loop = nest.loops_of(2)[-1]
    old = nest.domain[loop]
    new = -(-old // lanes) * lanes
    if old < _FEWEST_KEYS or old == new:
        return None
    if new > old * (1 + _MOST):
        return None
    with_bias = _Search(RowPadding(old, new), parameters, ZERO).run(op, nest, loop)
    if isinstance(with_bias, KeyPadding):
        return with_bias
    return _Search(RowPadding(old, new), parameters, LOW).run(op, nest, loop)


class _Search:
    """Follows the keys from the scores to the weighted sum.

    The scores of keys of zeros are zero; low if they are masked at once.
    """

    def __init__(self, found: RowPadding, parameters: Parameters, scores: str) -> None:
        self._found = found
        self._scores = scores
        self._bias: Place | None = None
        self._parameters = parameters
        self._states: dict[ir.Value, tuple[int, str]] = {}
        self._sources: set[Place] = set()
        self._weighs = False

    def run(self, op: ir.Operation, nest: LoopNest, loop: int) -> KeyPadding | Refusal | None:
        self._take(op, loop, op.results[0], nest.axis_of(2, loop), self._scores)
        refusal = self._readers(op)
        if not self._weighs:
            return None
        operand = 0 if loop in nest.loops_of(0) else 1
        keys = self._padded(op.operands[operand], nest.axis_of(operand, loop))
        if refusal or keys:
            return refusal or keys
        source, *others = self._sources
        if others:
            return Refusal("keys and values are parts of different tensors")
        return KeyPadding(self._found, source, op, self._bias)

    def _readers(self, op: ir.Operation) -> Refusal | None:
        """Follows all that reads the scores, in program order."""
        later = [inner.operation for inner in op.block.operations]
        for reader in later[later.index(op) + 1 :]:
            if any(v in self._states for v in reader.operands) and (
                refusal := self._reader(reader)
            ):
                return refusal
        return None

    def _take(self, op: ir.Operation, loop: int, result: ir.Value, d: int, state: str) -> None:
        self._found.loops[op] = {loop}
        self._found.places.add((result, d))
        self._states[result] = (d, state)

    def _padded(self, value: ir.Value, d: int) -> Refusal | None:
        """Takes what keys or values are views of, up to where their rows are split off."""
        while True:
            self._found.places.add((value, d))
            if isinstance(value.owner, ir.Block):
                return Refusal("its keys are those of an argument")
            view = value.owner.operation
            if view.name != ViewOp.OPERATION_NAME:
                self._sources.add((value, d))
                rows = fitting_rows(self._found.old, SPIRV)
                return None if rows is None else Refusal("all rows of its keys are padded")
            if "domain" in view.attributes:
                return Refusal("a padding makes the keys")
            exprs, source = view_map(view).exprs, shape_of(view.operands[0])
            if dim(d) not in exprs or source[exprs.index(dim(d))] != self._found.old:
                self._sources.add((value, d))
                return None
            value, d = view.operands[0], exprs.index(dim(d))

    def _reader(self, op: ir.Operation) -> Refusal | None:
        if op.name == ViewOp.OPERATION_NAME:
            return self._viewed(op)
        nest = plain_nest(op)
        if isinstance(nest, Refusal):
            return nest
        number = next(k for k, v in enumerate(op.operands) if v in self._states)
        d, state = self._states[op.operands[number]]
        loop = next(iter(loops_along(nest, number, d)), None)
        if loop is None or number == nest.output:
            return Refusal("its scores are read in other dims")
        if nest.is_contraction:
            return self._weighted(op, nest, number, loop, state)
        refusal = self._beside(op, nest, loop)
        return refusal or self._computed(op, nest, loop)

    def _viewed(self, op: ir.Operation) -> Refusal | None:
        d, state = self._states[op.operands[0]]
        exprs, shape = view_map(op).exprs, shape_of(op.results[0])
        kept = [k for k, n in enumerate(shape) if exprs[d] == dim(k) and n == self._found.old]
        alone = kept and sum(kept[0] in loops_of(e) for e in exprs) == 1
        if "domain" in op.attributes or not alone:
            return Refusal("its scores are reshaped or read in part")
        self._found.places.add((op.results[0], kept[0]))
        self._states[op.results[0]] = (kept[0], state)
        return None

    def _weighted(
        self, op: ir.Operation, nest: LoopNest, number: int, loop: int, state: str
    ) -> Refusal | None:
        """The weighted sum of the values."""
        if state != ZERO or loop not in nest.reductions or number > 1:
            return Refusal("what reads its scores is no weighted sum")
        self._found.loops[op] = {loop}
        self._weighs = True
        return self._padded(op.operands[1 - number], nest.axis_of(1 - number, loop))

    def _beside(self, op: ir.Operation, nest: LoopNest, loop: int) -> Refusal | None:
        """Takes the constants that are combined with the scores, such as a bias."""
        for number, value in enumerate(list(op.operands)[:-1]):
            if loop not in nest.loops_of(number):
                continue
            d = nest.axis_of(number, loop)
            if value in self._states:
                if self._states[value][0] != d:
                    return Refusal("its scores are read in other dims")
            elif not self._is_constant(value):
                return Refusal("its scores are combined with what is computed")
            elif self._scores == ZERO and self._bias is None:
                self._bias = (value, d)
            self._found.places.add((value, d))
        return None

    def _is_constant(self, value: ir.Value) -> bool:
        """Whether its elements are known, and only moved."""
        moved = is_moved_constant(value)
        return moved and constant_value(value, self._parameters) is not None

    def _computed(self, op: ir.Operation, nest: LoopNest, loop: int) -> Refusal | None:
        body = body_of(op, self._parameters)
        if isinstance(body, Refusal):
            return body
        states = {k: self._states[v][1] for k, v in enumerate(op.operands) if v in self._states}
        if self._bias is not None:
            bias = self._bias[0]
            states |= {k: LOW for k, v in enumerate(op.operands) if v == bias}
        state = _state(body.root, states)
        if loop not in nest.reductions:
            if state == ANY:
                return Refusal("nobody knows what it makes of the scores of no key")
            self._take(op, loop, op.results[0], nest.axis_of(nest.output, loop), state)
            return None
        combiner = "" if body.combiner is None else body.combiner.name
        lowest = combiner in ("arith.maximumf", "arith.maxnumf") and state == LOW
        if not lowest and not (combiner == "arith.addf" and state == ZERO):
            return Refusal("it would sum up the scores of no key")
        self._found.loops[op] = {loop}
        return None


def _state(node: Node, states: dict[int, str]) -> str:
    """What an expression is where the operands of ``states`` are what these say."""
    if node.kind == ARGUMENT:
        return states.get(node.number, ANY)
    found = [_state(a, states) for a in node.args]
    if node.kind in ("math.exp", "math.exp2") and found == [LOW]:
        return ZERO
    if node.kind in _CASTS:
        return found[0]
    if node.kind == "arith.addf" and LOW in found:
        return LOW
    if node.kind == "arith.subf" and found[0] == LOW and found[1] == ANY:
        return LOW
    if node.kind == "arith.mulf" and ZERO in found:
        return ZERO
    if node.kind == "arith.divf" and found[0] == ZERO:
        return ZERO
    if node.kind in ("arith.mulf", "arith.divf") and found[0] == LOW:
        return LOW if _is_positive(node.args[1]) else ANY
    return ANY


def _is_positive(node: Node) -> bool:
    number = node.payload
    return node.kind == CONSTANT and isinstance(number, float) and 1e-6 < number < math.inf
