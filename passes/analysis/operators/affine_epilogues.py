"""The elementwise end of a linear layer, as far as it scales and shifts by constants.

A bias, a BatchNorm at inference and the scale of an attention's queries are of this
form. Queries are scaled and values are not: as operations their ends differ, as scale
and shift they are the same operation with other constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.index_map import Dim, Expr, IndexMap, atoms, compose, dim
from smartmem.index_map.expr import evaluate
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.chains import is_whole_view, users
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.linear_layers import LinearLayer
from smartmem.passes.analysis.ir.loops import generic_nest, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of, view_map
from smartmem.passes.analysis.scalars.constant_values import constant_value

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift``; each has rank 0, or one element for each channel."""

    scale: Values
    shift: Values

    @property
    def is_known(self) -> bool:
        """Whether it does not depend on x."""
        return not np.any(self.scale)

    def then(self, after: Affine) -> Affine:
        """First this, then ``after``."""
        return Affine(after.scale * self.scale, after.scale * self.shift + after.shift)


@dataclass(frozen=True)
class Step:
    """An elementwise operation, and its operand: the result of the one before."""

    op: ir.Operation
    source: ir.Value


@dataclass(frozen=True)
class AffineEnd:
    """What a layer's kernel computes behind its sums.

    Attributes:
        affine: all of ``steps``.
        steps: the operations that scale and shift, each the only reader, seen through
            views, of the one before.
        rest: the elementwise operation behind them, if it is the only reader.
    """

    affine: Affine
    steps: tuple[Step, ...]
    rest: ir.Operation | None


def affine_end(layer: LinearLayer, parameters: Parameters) -> AffineEnd:
    """The end of ``layer`` up to the first operation that does more."""
    affine, steps = _IDENTITY, []
    value, axis = _behind_views(layer.op.results[0], layer.axis)
    while (op := _elementwise_reader(value)) is not None:
        found = _affine(op, value, axis, parameters)
        if found is None:
            break
        affine = affine.then(found)
        steps.append(Step(op, value))
        value, axis = _behind_views(op.results[0], axis)
    return AffineEnd(affine, tuple(steps), op)


def _behind_views(value: ir.Value, axis: int | None) -> tuple[ir.Value, int | None]:
    """The last of the views that alone read ``value``, and its dim over the channels.

    The dim is None where the channels are split or merged with others.
    """
    while len(users(value)) == 1 and is_whole_view(view := users(value)[0]):
        exprs, value = view_map(view).exprs, view.results[0]
        rank = len(shape_of(value))
        along = (d for d in range(rank) if axis is not None and exprs[axis] == dim(d))
        axis = next(along, None)
    return value, axis


def _elementwise_reader(value: ir.Value) -> ir.Operation | None:
    readers = users(value)
    nest = loop_nest(readers[0]) if len(readers) == 1 else None
    if nest is None or nest.reductions or nest.is_contraction or nest.uses_index:
        return None  # a contraction of one term has no reduction, and a kernel of its own
    return readers[0] if nest.is_plain else None


def _affine(
    op: ir.Operation, x: ir.Value, axis: int | None, parameters: Parameters
) -> Affine | None:
    """What ``op`` does to ``x``, with channels along ``axis``, if that is affine."""
    nest = generic_nest(op)
    if nest is None or x.type != op.results[0].type:
        return None
    written = nest.accesses[-1].exprs
    channel = None if axis is None else written[axis]
    inputs: list[Affine | None] = []
    for value, access in zip(list(op.operands)[:-1], nest.accesses, strict=False):
        if value != x:
            inputs.append(_known_operand(value, access, channel, parameters))
        elif access.exprs == written:
            inputs.append(_IDENTITY)
        else:
            return None
    with np.errstate(all="ignore"):
        found = _yielded(op.regions[0].blocks[0], inputs)
    if found is None or not (np.isfinite(found.scale) & np.isfinite(found.shift)).all():
        return None
    return found


def _known_operand(
    value: ir.Value, access: IndexMap, channel: Expr | None, parameters: Parameters
) -> Affine | None:
    """A constant operand whose elements differ along the channels at most."""
    piece = reading(value).single
    array = constant_value(piece.source, parameters) if piece else None
    if piece is None or array is None:
        return None
    exprs = compose(access, piece.index_map).exprs
    if any(dim(a.index) != channel for e in exprs for a in atoms(e) if isinstance(a, Dim)):
        return None
    loops = [np.arange(n if dim(d) == channel else 1) for d, n in enumerate(access.shape)]
    return _known(array[tuple(evaluate(e, loops) for e in exprs)])


def _yielded(block: ir.Block, inputs: Sequence[Affine | None]) -> Affine | None:
    """What the body ``block`` of an operation yields, its arguments being ``inputs``."""
    values: dict[ir.Value, Affine | None]
    values = dict(zip(list(block.arguments)[:-1], inputs, strict=True))
    for inner in list(block.operations)[:-1]:
        operands = [values.get(v) or _scalar(v) for v in inner.operands]
        rule = _RULES.get(inner.operation.name)
        result = rule(*operands) if rule is not None and all(operands) else None
        values[inner.operation.results[0]] = result
    return values.get(block.operations[-1].operands[0])


def _scalar(value: ir.Value) -> Affine | None:
    """A scalar constant, outside or inside of a body."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return None
    attribute = value.owner.attributes["value"].maybe_downcast()
    return _known(attribute.value) if isinstance(attribute, ir.FloatAttr) else None


def _known(values: npt.ArrayLike) -> Affine:
    return Affine(np.zeros(()), np.asarray(values, np.float64))


def _product(a: Affine, b: Affine) -> Affine | None:
    known, other = (a, b) if a.is_known else (b, a)
    if not known.is_known:
        return None
    return Affine(other.scale * known.shift, other.shift * known.shift)


def _quotient(a: Affine, b: Affine) -> Affine | None:
    return Affine(a.scale / b.shift, a.shift / b.shift) if b.is_known else None


_IDENTITY = Affine(np.ones(()), np.zeros(()))

# The scalar operations of a body, on values of the form scale * x + shift.
_RULES: Mapping[str, Callable[..., Affine | None]] = {
    "arith.addf": lambda a, b: Affine(a.scale + b.scale, a.shift + b.shift),
    "arith.subf": lambda a, b: Affine(a.scale - b.scale, a.shift - b.shift),
    "arith.mulf": _product,
    "arith.divf": _quotient,
    "arith.negf": lambda a: Affine(-a.scale, -a.shift),
}
