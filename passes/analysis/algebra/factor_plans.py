"""Plan how a multiplication by constants moves into weights, before it or behind it."""

from __future__ import annotations

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Array
from smartmem.passes.analysis.algebra.factor_planner import (
    NewRoot,
    Plan,
    Planner,
    Scaling,
    is_zero,
    linear_of,
    scaling_of,
)
from smartmem.passes.analysis.algebra.factors import scaled, to_operand, to_reader
from smartmem.passes.analysis.ir.def_use import Reader, Readings, readers_of, reading
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.constant_values import known_value
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, Node, arguments, reachable

_ABOVE = "its factor goes into the weights of what it multiplies"
_BELOW = "its factor goes into the weights of what reads it"


def first_plan(body: Body, known: Readings) -> Plan | Refusal | None:
    """A plan for the first multiplication by constants of ``body`` that has one.

    Args:
        known: what values read, as far as that was asked before; grows.

    Returns:
        Else why not, if a factor stands right behind a contraction or right before one;
        None if none does.
    """
    refusal: Refusal | None = None
    for product in _products(body):
        plan = plan_for(body, product, known)
        if isinstance(plan, Plan):
            return plan
        if refusal is None and _is_beside_weights(body, product, known):
            refusal = plan
    return refusal


def _products(body: Body) -> list[Node]:
    """Multiplications of something by something known, the outermost first."""
    return [
        n
        for n in reversed(reachable([body.root]))
        if n.kind == "arith.mulf" and sum(map(body.is_known, n.args)) == 1
    ]


def plan_for(body: Body, product: Node, known: Readings) -> Plan | Refusal:
    """A plan that takes the known side of ``product`` into weights.

    Args:
        body: of an elementwise operation or reduction.
        product: a multiplication in it, one side of which is known.
        known: what values read, as far as that was asked before; grows.
    """
    left, right = product.args
    value, constant = (right, left) if body.is_known(left) else (left, right)
    factor = known_value(body, constant)
    if factor is None or not np.isfinite(factor).all():
        return Refusal("its factor is not finite")
    factor = factor.reshape((1,) * (len(body.nest.domain) - factor.ndim) + factor.shape)
    above = _plan_above(body, product, value, factor, known)
    if isinstance(above, Plan) or product is not body.root or body.combiner is not None:
        return above
    below = _plan_below(body, value, factor, known)
    if isinstance(below, Plan):
        return below
    return Refusal(f"before its factor, {above.reason}; behind it, {below.reason}")


def _plan_above(
    body: Body, product: Node, value: Node, factor: Array, known: Readings
) -> Plan | Refusal:
    found = scaled(body, value, factor)
    if isinstance(found, Refusal):
        return found
    root = body.pool.replaced(body.root, {product: found.root})
    # What else reads an operand, that is, reads it without the factor.
    rest = body.pool.replaced(body.root, {product: body.pool.constant(1, product.type)})
    if found.operands & set(arguments(rest)):
        return Refusal("its operand is also read without the factor")
    planner = Planner(body, known)
    reason = planner.demand(body, found.operands, factor) or planner.run()
    roots = (NewRoot(body, root), *planner.roots)
    return reason or Plan(_ABOVE, roots, tuple(planner.scalings))


def _plan_below(body: Body, value: Node, factor: Array, known: Readings) -> Plan | Refusal:
    """A plan by which all readers, contractions or convolutions, take the factor."""
    written = to_operand(body.nest, factor, body.nest.output)
    if isinstance(written, Refusal):
        return written
    scalings = []
    for reader in readers_of(body.op.results[0]):
        scaling = _scale_reader(reader, body, written, known)
        if isinstance(scaling, Refusal):
            return scaling
        scalings.append(scaling)
    return Plan(_BELOW, (NewRoot(body, value),), tuple(scalings))


def _scale_reader(
    reader: Reader, body: Body, factor: Array, known: Readings
) -> Scaling | Refusal:
    """How the weights of ``reader`` take a factor of the result of ``body``."""
    parameters = body.parameters
    linear = linear_of(reader.op, parameters)
    if linear is None or reader.number != linear.data:
        return Refusal(f"{reader.op.name} reads it and has no weights to take the factor")
    seen = reading(reader.value, known)
    if len(seen.pieces) > 1:
        return Refusal("it is joined with other values")
    if seen.pieces[0].source != body.op.results[0]:
        return Refusal("it is read behind a movement that stays")
    if seen.fill is not None and not is_zero(seen.fill, parameters):
        return Refusal("it is padded with a value that is not 0")
    weights = linear.weights_factor(to_reader(seen.pieces[0], factor), linear.data)
    if isinstance(weights, Refusal):
        return weights
    return scaling_of(Reader(linear.op, linear.weights), weights, parameters, known)


def _is_beside_weights(body: Body, product: Node, known: Readings) -> bool:
    """Whether ``product`` is of, or is read by, a contraction or convolution."""
    neighbours = [r.op for r in readers_of(body.op.results[0]) if product is body.root]
    for value in product.args:
        if value.kind == ARGUMENT:
            pieces = reading(body.operands[value.number].value, known).pieces
            owners = [p.source.owner for p in pieces]
            neighbours += [o.operation for o in owners if not isinstance(o, ir.Block)]
    return any(linear_of(op, body.parameters) is not None for op in neighbours)
