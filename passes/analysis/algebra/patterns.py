"""Patterns of scalar expressions: written as text, matched and built on graphs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Union

import numpy as np

from smartmem.parameters import Array
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.constant_values import known_value
from smartmem.passes.analysis.scalars.expressions import CONSTANT, Node
from smartmem.passes.analysis.scalars.scalar_functions import normal_range

# Operations of patterns -> their names in the IR.
_OPERATORS: Mapping[type, str] = {
    ast.Add: "arith.addf",
    ast.Sub: "arith.subf",
    ast.Mult: "arith.mulf",
    ast.Div: "arith.divf",
    ast.USub: "arith.negf",
    ast.LShift: "arith.shli",
}
_FUNCTIONS: Mapping[str, str] = {
    "abs": "math.absf",
    "exp": "math.exp",
    "log": "math.log",
    "max": "arith.maximumf",
    "min": "arith.minimumf",
    "pow": "math.powf",
    "rsqrt": "math.rsqrt",
    "sqrt": "math.sqrt",
}
# Commutative and associative: matched as sets of operands.
COMMUTATIVE = frozenset(("arith.addf", "arith.mulf", "arith.maximumf", "arith.minimumf"))


@dataclass(frozen=True)
class Letter:
    """Any expression; one of weights and constants alone if the name begins with k."""

    name: str


@dataclass(frozen=True)
class Literal:
    """A constant of this value."""

    value: float


@dataclass(frozen=True)
class Apply:
    """An operation on patterns."""

    kind: str
    args: tuple[Pattern, ...]


Pattern = Union["Letter", "Literal", "Apply"]
Binding = Mapping[str, Node]


def parse(text: str) -> Pattern:
    """The pattern that ``text`` writes in Python's notation.

    Raises:
        ValueError: it holds something that patterns don't.
    """
    return _pattern(ast.parse(text, mode="eval").body, text)


def _pattern(tree: ast.expr, text: str) -> Pattern:
    if isinstance(tree, ast.Name):
        return Letter(tree.id)
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float):
        return Literal(float(tree.value))
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        sides = (_pattern(tree.left, text), _pattern(tree.right, text))
        return Apply(_OPERATORS[type(tree.op)], sides)
    if isinstance(tree, ast.UnaryOp) and type(tree.op) in _OPERATORS:
        return Apply(_OPERATORS[type(tree.op)], (_pattern(tree.operand, text),))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        args = tuple(_pattern(a, text) for a in tree.args)
        return Apply(_FUNCTIONS[tree.func.id], args)
    raise ValueError(f"{text!r}: {ast.unparse(tree)} is no pattern")


def operands_of(node: Node) -> list[Node]:
    """The operands of a commutative operation, through nested ones of its kind."""
    return [o for a in node.args for o in (operands_of(a) if a.kind == node.kind else [a])]


def match_root(pattern: Apply, node: Node, body: Body) -> Iterator[tuple[Binding, list[Node]]]:
    """Every way in which ``pattern`` matches ``node``.

    A commutative pattern may match some operands only; the others come back with the
    binding.
    """
    if node.kind != pattern.kind:
        return
    if pattern.kind not in COMMUTATIVE:
        for binding in _match_in_order(pattern.args, node.args, {}, body):
            yield binding, []
        return
    patterns, found = _flat(pattern), operands_of(node)
    for chosen in permutations(range(len(found)), len(patterns)):
        rest = [o for i, o in enumerate(found) if i not in chosen]
        for binding in _match_in_order(patterns, [found[i] for i in chosen], {}, body):
            yield binding, rest


def _flat(pattern: Apply) -> tuple[Pattern, ...]:
    return tuple(
        p
        for a in pattern.args
        for p in (_flat(a) if isinstance(a, Apply) and a.kind == pattern.kind else (a,))
    )


def _match_in_order(
    patterns: tuple[Pattern, ...],
    nodes: list[Node] | tuple[Node, ...],
    bound: Binding,
    body: Body,
) -> Iterator[Binding]:
    if len(patterns) != len(nodes):
        return
    if not patterns:
        yield bound
        return
    for first in _match(patterns[0], nodes[0], bound, body):
        yield from _match_in_order(patterns[1:], nodes[1:], first, body)


def _match(pattern: Pattern, node: Node, bound: Binding, body: Body) -> Iterator[Binding]:
    if isinstance(pattern, Letter):
        if pattern.name in bound:
            if bound[pattern.name] is node:
                yield bound
        elif not pattern.name.startswith("k") or body.is_known(node):
            yield {**bound, pattern.name: node}
    elif isinstance(pattern, Literal):
        if node.kind == CONSTANT and node.payload == pattern.value:
            yield bound
    elif node.kind != pattern.kind:
        return
    elif pattern.kind in COMMUTATIVE:
        for nodes in _groupings(node, len(pattern.args), body):
            yield from _match_in_order(pattern.args, nodes, bound, body)
    else:
        yield from _match_in_order(pattern.args, node.args, bound, body)


def _groupings(node: Node, n: int, body: Body) -> Iterator[tuple[Node, ...]]:
    """The operands of ``node`` in every order, as ``n`` with one that joins the others."""
    found = operands_of(node)
    if len(found) == n:
        yield from permutations(found)
        return
    for alone in permutations(range(len(found)), n - 1):
        rest = join(node.kind, [o for i, o in enumerate(found) if i not in alone], body)
        singles = [found[i] for i in alone]
        for place in range(n):
            yield (*singles[:place], rest, *singles[place:])


def join(kind: str, operands: list[Node], body: Body) -> Node:
    """The operation ``kind`` on all of ``operands``, in this order."""
    total = operands[0]
    for operand in operands[1:]:
        total = body.pool.apply(kind, total, operand)
    return total


def build(pattern: Pattern, binding: Binding, like: Node, body: Body) -> Node | None:
    """The expression that ``pattern`` stands for.

    None if it would compute a constant that is infinite, denormal, or 0 where none of its
    operands is.
    """
    if isinstance(pattern, Letter):
        return binding[pattern.name]
    if isinstance(pattern, Literal):
        return body.pool.constant(pattern.value, like.type)
    args = [build(a, binding, like, body) for a in pattern.args]
    known = [a for a in args if a is not None]
    if len(known) < len(args):
        return None
    node = body.pool.apply(pattern.kind, *known)
    if not body.is_known(node):
        return node
    value = known_value(body, node)
    if value is None or not _is_normal(value) or _underflows(node, value, body):
        return None
    is_scalar = all(a.kind == CONSTANT for a in known)
    return body.pool.constant(float(value), node.type) if is_scalar else node


def _is_normal(value: Array) -> bool:
    """Whether all elements are finite and none is denormal."""
    smallest, _ = normal_range(value.dtype)
    return bool((np.isfinite(value) & ((value == 0) | (np.abs(value) >= smallest))).all())


def _underflows(node: Node, value: Array, body: Body) -> bool:
    """Whether a product or quotient is 0 where no operand is."""
    if node.kind not in ("arith.mulf", "arith.divf"):
        return False
    zero = np.asarray(False)
    for operand in node.args:
        zero = zero | (known_value(body, operand) == 0)
    return bool(((value == 0) & ~zero).any())
