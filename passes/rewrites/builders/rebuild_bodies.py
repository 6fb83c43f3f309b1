"""Write the expression of a body back as a ``linalg.generic``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.analysis.ir.movement import Movement
from smartmem.passes.analysis.raising.data_movements import movement
from smartmem.passes.analysis.scalars.bodies import Body, Operand
from smartmem.passes.analysis.scalars.expressions import (
    ARGUMENT,
    CAPTURED,
    CONSTANT,
    OUTPUT,
    Node,
    arguments,
    reachable,
)
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_with
from smartmem.passes.rewrites.builders.movement_ops import replace_with_movement


@dataclass(frozen=True)
class Combiner:
    """How a rewritten reduction combines: an operation's name, and what it starts from."""

    name: str
    init: ir.Value


def rebuild(body: Body, root: Node, combiner: Combiner | None = None) -> ir.Operation | None:
    """Replaces the operation of ``body`` by one that computes ``root``, and erases it.

    Operands that ``root`` does not read are dropped; equal ones are merged.

    Args:
        combiner: of a reduction, if it is to change.

    Returns:
        The new ``linalg.generic``; None if all that is left is a movement.
    """
    new = _rebuild(body, root, combiner)
    moved = movement(new, body.parameters)
    if not isinstance(moved, Movement):
        return new
    replace_with_movement(new, moved)
    return None


def _rebuild(body: Body, root: Node, combiner: Combiner | None) -> ir.Operation:
    op = body.op
    read, number_of = _inputs(body, root)
    init = combiner.init if combiner else op.operands[-1]
    maps = [o.map for o in read] + [indexing_maps(op)[-1]]
    with ir.InsertionPoint(op), op.location:
        values = [*(o.value for o in read), init]
        new = build.generic(values, maps, _iterator_types(maps[-1]))
        block = build.new_body(new)
        constants = {n: _constant(n, new) for n in reachable([root]) if n.kind == CONSTANT}
        with ir.InsertionPoint(block):
            result = _write(body, root, number_of, constants, block)
            if body.combiner is not None:
                result = _combined(body, result, block, combiner)
            ir.Operation.create("linalg.yield", [], [result])
    op.results[0].replace_all_uses_with(new.results[0])
    op.erase()
    return new


def _inputs(body: Body, root: Node) -> tuple[list[Operand], dict[int, int]]:
    """The operands to read, and the place there of each of the body's operands."""
    numbers = arguments(root)
    maps = [body.operands[n].map for n in numbers] + [indexing_maps(body.op)[-1]]
    indexed = {e.position for m in maps for e in m.results if isinstance(e, ir.AffineDimExpr)}
    if len(indexed) < len(body.nest.domain):
        # A loop that no operand indexes has no extent.
        numbers = list(range(len(body.operands)))
    read: list[Operand] = []
    place: dict[int, int] = {}
    for number in numbers:
        operand = body.operands[number]
        if operand not in read:
            read.append(operand)
        place[number] = read.index(operand)
    return read, place


def _iterator_types(output: ir.AffineMap) -> ir.ArrayAttr:
    written = {e.position for e in output.results if isinstance(e, ir.AffineDimExpr)}
    return build.iterators([d not in written for d in range(output.n_dims)])


def _constant(node: Node, before: ir.Operation) -> ir.Value:
    with ir.InsertionPoint(before):
        return _scalar(node)


def _scalar(node: Node) -> ir.Value:
    kind = ir.FloatAttr if isinstance(node.type, ir.FloatType) else ir.IntegerAttr
    attribute = kind.get(node.type, node.payload)
    op = ir.Operation.create("arith.constant", [node.type], [], {"value": attribute})
    return op.results[0]


def _write(
    body: Body,
    root: Node,
    number_of: dict[int, int],
    constants: dict[Node, ir.Value],
    block: ir.Block,
) -> ir.Value:
    known = dict(constants)
    for node in reachable([root]):
        if node.kind == OUTPUT:
            known[node] = block.arguments[-1]
    elements = {old: block.arguments[new] for old, new in number_of.items()}
    return build_expression(root, elements, known)


def build_expression(
    root: Node, elements: Mapping[int, ir.Value], known: Mapping[Node, ir.Value] | None = None
) -> ir.Value:
    """The value of ``root`` at the current insertion point.

    Args:
        elements: of each operand that ``root`` reads.
        known: values of nodes that are there already, the output among them.
    """
    values: dict[Node, ir.Value] = dict(known or {})
    for node in reachable([root]):
        if node in values:
            continue
        if node.kind == ARGUMENT:
            values[node] = elements[node.number]
        elif node.kind == CONSTANT:
            values[node] = _scalar(node)
        elif node.kind == CAPTURED:
            values[node] = node.payload
        else:
            values[node] = _operation(node, [values[a] for a in node.args])
    return values[root]


def _combined(
    body: Body, result: ir.Value, block: ir.Block, changed: Combiner | None
) -> ir.Value:
    """The output combined with ``result``, each on the side where it was."""
    old = body.combiner
    assert old is not None
    old_out = body.op.regions[0].blocks[0].arguments[-1]
    out = block.arguments[-1]
    sides = [out if v == old_out else result for v in old.operands]
    if changed is None:
        return clone_with(old, sides).results[0]
    return ir.Operation.create(changed.name, [out.type], sides).results[0]


def _operation(node: Node, operands: list[ir.Value]) -> ir.Value:
    if node.template is not None:
        return clone_with(node.template, operands).results[0]
    return ir.Operation.create(node.kind, [node.type], operands).results[0]
