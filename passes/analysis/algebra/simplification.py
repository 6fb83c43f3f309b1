"""Simplify expressions by the rules of algebra, greedily (DNNFusion, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.passes.analysis.algebra.costs import Cost, body_cost
from smartmem.passes.analysis.algebra.patterns import (
    COMMUTATIVE,
    Apply,
    Binding,
    build,
    join,
    match_root,
    operands_of,
)
from smartmem.passes.analysis.algebra.rules import RULES, Rule
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.constant_values import known_value
from smartmem.passes.analysis.scalars.expressions import Node, reachable
from smartmem.passes.analysis.scalars.rounding import rounded_nodes

# Larger expressions are left: the time that matching takes grows with the square of the
# operations, and with the third power of the operands of a sum.
NODE_LIMIT = 200
OPERAND_LIMIT = 8

_ROUNDED = "its result is rounded to an integer"

_RULES_OF: Mapping[str, Sequence[Rule]] = {
    kind: [rule for rule in RULES if isinstance(rule.left, Apply) and rule.left.kind == kind]
    for kind in {rule.left.kind for rule in RULES if isinstance(rule.left, Apply)}
}
"""The rules for an operation of each kind, in their order."""

_NONNEGATIVE_FUNCTIONS = frozenset(
    ("math.absf", "math.exp", "math.exp2", "math.sqrt", "math.rsqrt")
)
_KEEPS_NONNEGATIVE = frozenset(("arith.addf", "arith.mulf", "arith.divf", "arith.minimumf"))


@dataclass(frozen=True)
class Simplified:
    """A cheaper expression.

    Attributes:
        root: the expression.
        rules: the rules that led to it, in order.
        refused: the rules that would lower the cost, and why they do not apply.
    """

    root: Node
    rules: tuple[Rule, ...]
    refused: Mapping[Rule, str]


@dataclass(frozen=True)
class _Candidate:
    rule: Rule
    root: Node
    cost: Cost
    refusal: str


def simplify(body: Body, is_rounded: bool = False) -> Simplified | Refusal:
    """Applies the rule that lowers the cost most, until none does.

    Args:
        body: of a linalg operation.
        is_rounded: whether operations that read its result round it to an integer.

    Returns:
        The result, with ``root`` as it was if no rule applies; a refusal for bodies that
        are too large.
    """
    nodes = reachable([body.root])
    operands = (len(operands_of(n)) for n in nodes if n.kind in COMMUTATIVE)
    if len(nodes) > NODE_LIMIT or max(operands, default=0) > OPERAND_LIMIT:
        return Refusal("its body is too large to look for rules in it")
    root, cost = body.root, body_cost(body, body.root)
    applied: list[Rule] = []
    refused: dict[Rule, str] = {}
    rounded = rounded_nodes(body, is_rounded)
    while True:
        better = [c for c in _candidates(body, root, rounded) if c.cost.is_worth(cost)]
        refused |= {c.rule: c.refusal for c in better if c.refusal}
        allowed = [c for c in better if not c.refusal]
        if not allowed:
            return Simplified(root, tuple(applied), refused)
        best = min(allowed, key=lambda c: c.cost.work)
        root, cost = best.root, best.cost
        applied.append(best.rule)


def _candidates(body: Body, root: Node, rounded: frozenset[Node]) -> Iterator[_Candidate]:
    for node in reachable([root]):
        if not isinstance(node.type, ir.FloatType) or body.is_known(node):
            continue
        for rule in _RULES_OF.get(node.kind, ()):
            assert isinstance(rule.left, Apply)
            for binding, rest in match_root(rule.left, node, body):
                new = build(rule.right, binding, node, body)
                if new is None:
                    continue
                new = join(node.kind, [new, *rest], body)
                rewritten = body.pool.replaced(root, {node: new})
                refusal = _ROUNDED if node in rounded else _refusal(rule, binding, body)
                yield _Candidate(rule, rewritten, body_cost(body, rewritten), refusal)


def _refusal(rule: Rule, binding: Binding, body: Body) -> str:
    """What a rule needs and does not have; empty if it applies."""
    if all(_is_nonnegative(binding[letter], body) for letter in rule.nonnegative):
        return ""
    return f"{' and '.join(rule.nonnegative)} may be negative"


def _is_nonnegative(node: Node, body: Body) -> bool:
    """Whether an expression proves itself to be at least 0, or NaN."""
    if body.is_known(node):
        value = known_value(body, node)
        return value is not None and bool(np.all(np.greater_equal(value, 0)))
    if node.kind in _NONNEGATIVE_FUNCTIONS:
        return True
    if node.kind == "arith.mulf" and node.args[0] is node.args[1]:
        return True
    if node.kind == "arith.maximumf":
        return any(_is_nonnegative(a, body) for a in node.args)
    if node.kind in _KEEPS_NONNEGATIVE:
        return all(_is_nonnegative(a, body) for a in node.args)
    return False
