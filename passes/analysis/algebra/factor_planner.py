"""Carry factors of values up to the constants that can take them.

A factor of a value goes to whatever computes the value: through movements, additions
(both sides take it), products and quotients (one side does), to contractions and
convolutions, whose weights and initial value take it, and to constants. It can differ from
element to element, as the factors of a normalization do from channel to channel, or cover
a part, as that of Q in a joint projection to Q, K and V.

Everything is decided before anything is changed: a plan lists what has to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.algebra.factors import (
    scaled,
    source_dims,
    to_loops,
    to_operand,
    to_source,
)
from smartmem.passes.analysis.ir.def_use import (
    Reader,
    Readings,
    constant_source,
    readers_of,
    reading,
)
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Piece, Refusal, shape_of
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.constant_values import SMALL, constant_value
from smartmem.passes.analysis.scalars.expressions import Node
from smartmem.passes.analysis.scalars.scalar_functions import normal_range

_MULTIPLY_ADD = ["arith.mulf", "arith.addf", "linalg.yield"]


@dataclass(frozen=True)
class Scaling:
    """The constant that a reader reads is multiplied, for this reader.

    Attributes:
        reader: which operand.
        piece: what it reads of the constant.
        factor: of the constant's elements.
    """

    reader: Reader
    piece: Piece
    factor: Array


@dataclass(frozen=True)
class NewRoot:
    """The body's expression becomes ``root``.

    Attributes:
        reduction: what a reduction combines with from now on, if that changes: ``sum``,
            ``prod``, ``max`` or ``min``.
    """

    body: Body
    root: Node
    reduction: str | None = None


@dataclass(frozen=True)
class Plan:
    """Constants to multiply and bodies to change, which together change no value.

    Attributes:
        text: what is done, for the report.
    """

    text: str
    roots: tuple[NewRoot, ...]
    scalings: tuple[Scaling, ...] = ()


def is_multiply_add(op: ir.Operation) -> bool:
    """Whether ``op`` sums products: a contraction or convolution of floats."""
    if not op.name.startswith("linalg.") or len(op.results) != 1 or len(op.operands) != 3:
        return False
    if not (linalg.isa_contraction_op(op) or linalg.isa_convolution_op(op)):
        return False
    return [inner.operation.name for inner in op.regions[0].blocks[0]] == _MULTIPLY_ADD


@dataclass(frozen=True)
class Linear:
    """A contraction or convolution: sum of data * weights, plus the initial value.

    Attributes:
        op: the operation.
        nest: its loops.
        data: number of the operand that is computed at run time.
        weights: number of the operand that is constant.
    """

    op: ir.Operation
    nest: LoopNest
    data: int
    weights: int

    def weights_factor(self, factor: Array, operand: int) -> Array | Refusal:
        """A factor of an operand (2: of the result) as one of the weights."""
        over_loops = to_loops(self.nest, factor, operand)
        if isinstance(over_loops, Refusal):
            return over_loops
        return to_operand(self.nest, over_loops, self.weights)


def linear_of(op: ir.Operation, parameters: Parameters) -> Linear | None:
    """``op`` with known weights; None if it is anything else."""
    nest = loop_nest(op) if is_multiply_add(op) else None
    if nest is None:
        return None
    constant = [constant_source(v, parameters) is not None for v in list(op.operands)[:2]]
    if sum(constant) != 1:
        return None
    weights = constant.index(True)
    return Linear(op, nest, 1 - weights, weights)


class Planner:
    """Carries factors upwards, from the last operation to the first.

    In that order all readers of a value that want a factor are known when the value's
    turn comes.
    """

    def __init__(self, start: Body, known: Readings) -> None:
        """
        Args:
            start: the body whose operands are to take a factor.
            known: what values read, as far as that was asked before; grows.
        """
        self._known = known
        self.roots: list[NewRoot] = []
        self.scalings: list[Scaling] = []
        self._parameters = start.parameters
        self._block = start.op.block
        self._demands: dict[Reader, Array] = {}
        self._waiting: list[ir.Value] = []

    def demand(self, body: Body, numbers: Iterable[int], factor: Array) -> Refusal | None:
        """Asks for operands of ``body`` to be multiplied by a factor of its loops."""
        for number in sorted(numbers):
            wanted = to_operand(body.nest, factor, number)
            if isinstance(wanted, Refusal):
                return wanted
            reason = self._demand_operand(Reader(body.op, number), wanted)
            if reason is not None:
                return reason
        return None

    def _demand_operand(self, reader: Reader, factor: Array) -> Refusal | None:
        self._demands[reader] = factor
        seen = reading(reader.value, self._known)
        if seen.fill is not None and not is_zero(seen.fill, self._parameters):
            return Refusal("it pads with a value that is not 0")
        for source in dict.fromkeys(p.source for p in seen.pieces):
            if constant_source(source, self._parameters) is not None:
                if len(seen.pieces) > 1:
                    return Refusal("it joins constants and computed values")
                scaling = scaling_of(reader, factor, self._parameters, self._known)
                if isinstance(scaling, Refusal):
                    return scaling
                self.scalings.append(scaling)
                return None
            if isinstance(source.owner, ir.Block):
                return Refusal("its operand is an argument of the function")
            if source.owner.operation.block != self._block:
                return Refusal("its operand is computed in another block")
            if source not in self._waiting:
                self._waiting.append(source)
        return None

    def run(self) -> Refusal | None:
        """Carries all demands up; what stands against it."""
        while self._waiting:
            source = self._take_last()
            factor = self._factor(source)
            if isinstance(factor, Refusal):
                return factor
            reason = self._scale_producer(source, factor)
            if reason is not None:
                return reason
        return None

    def _take_last(self) -> ir.Value:
        last = self._waiting[0]
        for source in self._waiting[1:]:
            if last.owner.operation.is_before_in_block(source.owner.operation):
                last = source
        self._waiting.remove(last)
        return last

    def _factor(self, source: ir.Value) -> Array | Refusal:
        """The factor of each element of ``source`` that its readers want; 1 elsewhere."""
        seen = [(r, _pieces(r.value, source, self._known)) for r in readers_of(source)]
        if not all(pieces for _, pieces in seen):
            return Refusal("its operand has readers behind a movement that stays")
        reads = [(r, p) for r, pieces in seen for p in pieces]
        wanted = [
            (p, shape_of(r.value), self._demands[r]) for r, p in reads if r in self._demands
        ]
        dims = sorted(set().union(*(source_dims(*w) for w in wanted)))
        total = np.full([n if d in dims else 1 for d, n in enumerate(shape_of(source))], np.nan)
        for piece, shape, demand in wanted:
            found = to_source(piece, shape, demand, dims)
            if isinstance(found, Refusal):
                return found
            if ((total != found) & ~np.isnan(total) & ~np.isnan(found)).any():
                return Refusal("its readers want different factors")
            total = np.where(np.isnan(found), total, found)
        for reader, piece in reads:
            if reader in self._demands:
                continue
            read = to_source(piece, shape_of(reader.value), np.ones(()), dims)
            if isinstance(read, Refusal) or not np.isnan(read + total).all():
                return Refusal("its operand has other readers")
        return np.where(np.isnan(total), 1.0, total)

    def _scale_producer(self, source: ir.Value, factor: Array) -> Refusal | None:
        op = source.owner.operation
        linear = linear_of(op, self._parameters)
        if linear is not None:
            return self._scale_linear(linear, factor)
        body = body_of(op, self._parameters)
        if isinstance(body, Refusal):
            return Refusal(f"its operand comes from {op.name}")
        if body.combiner is not None:
            return Refusal("its operand is a reduction")
        over_loops = to_loops(body.nest, factor, body.nest.output)
        if isinstance(over_loops, Refusal):
            return over_loops
        found = scaled(body, body.root, over_loops)
        if isinstance(found, Refusal):
            return found
        if found.root is not body.root:
            self.roots.append(NewRoot(body, found.root))
        return self.demand(body, found.operands, over_loops)

    def _scale_linear(self, linear: Linear, factor: Array) -> Refusal | None:
        weights = linear.weights_factor(factor, 2)
        if isinstance(weights, Refusal):
            return weights
        init = linear.op.operands[2]
        reason = self._demand_operand(Reader(linear.op, linear.weights), weights)
        if reason is not None or is_zero(init, self._parameters):
            return reason
        if constant_source(init, self._parameters) is None:
            return Refusal("its operand adds to something that is not constant")
        return self._demand_operand(Reader(linear.op, 2), factor)


def _pieces(value: ir.Value, source: ir.Value, known: Readings) -> list[Piece]:
    return [p for p in reading(value, known).pieces if p.source == source]


def scaling_of(
    reader: Reader, factor: Array, parameters: Parameters, known: Readings
) -> Scaling | Refusal:
    """How the constant that an operand reads takes a factor of the operand.

    A constant that others read stays beside its multiple: only a small one may.
    """
    (piece,) = reading(reader.value, known).pieces
    others = [r for r in readers_of(piece.source) if r.op != reader.op]
    if others and math.prod(shape_of(piece.source)) > SMALL:
        return Refusal("others read the weights, which are too large to be kept twice")
    array = constant_value(piece.source, parameters)
    if array is None or not isinstance(piece.source.type.element_type, ir.FloatType):
        return Refusal("its weights are not known")
    shape = shape_of(reader.value)
    found = to_source(piece, shape, factor, sorted(source_dims(piece, shape, factor)))
    if isinstance(found, Refusal):
        return found
    found = np.where(np.isnan(found), 1, found)
    largest = float(np.abs(array).max(initial=0)) * float(np.abs(found).max())
    if not largest <= normal_range(array.dtype)[1]:
        return Refusal("its weights would not be finite")
    return Scaling(reader, piece, found.astype(array.dtype))


def is_zero(value: ir.Value, parameters: Parameters) -> bool:
    """Whether a scalar or all elements of a tensor are known to be 0."""
    elements = constant_value(value, parameters)
    return elements is not None and not elements.any()
