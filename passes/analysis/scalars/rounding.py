"""Find arithmetic whose result is rounded to an integer, or decides between numbers.

Where (i + 0.5) / 1.75 - 0.5 is rounded to an index, i * 0.5714 - 0.2143 gives another index
wherever the exact value lies between two: a difference in the last place becomes one of a
whole element. Such arithmetic keeps its form.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node, reachable

_ROUNDINGS = frozenset(
    (
        "arith.fptosi",
        "arith.fptoui",
        "arith.remf",
        "math.ceil",
        "math.floor",
        "math.round",
        "math.roundeven",
        "math.trunc",
    )
)
_COMPARISON, _SELECT = "arith.cmpf", "arith.select"
_MAY_ROUND = _ROUNDINGS | {_COMPARISON}
# Of the comparison's attribute: whether a NaN is among the operands, which no order decides.
_ORDERED, _UNORDERED = 7, 14


def rounded_nodes(body: Body, is_rounded: bool = False) -> frozenset[Node]:
    """The expressions of a body that flow into a rounding.

    Args:
        body: of a linalg operation.
        is_rounded: whether operations that read its result round it.
    """
    nodes = reachable([body.root])
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for arg in node.args:
            users[arg].append(node)
    ends = [arg for node in nodes if _rounds(node, users[node]) for arg in node.args]
    if is_rounded:
        ends.append(body.root)
    return frozenset(reachable(ends))


def _rounds(node: Node, users: Sequence[Node]) -> bool:
    """Whether a small difference of an operand can make a large one of the result."""
    if node.kind != _COMPARISON:
        return node.kind in _ROUNDINGS
    assert node.template is not None  # comparisons are read from the IR
    predicate = ir.IntegerAttr(node.template.attributes["predicate"]).value
    if predicate in (_ORDERED, _UNORDERED):
        return False
    return not users or not all(_joins(user, node) for user in users)


def _joins(user: Node, condition: Node) -> bool:
    """Whether a select goes over from one function to another, as ReLU does at 0."""
    if user.kind != _SELECT or user.args[0] is not condition:
        return False
    return any(arg.kind != CONSTANT for arg in user.args[1:])


def rounded_values(ops: Sequence[ir.Operation], parameters: Parameters) -> set[ir.Value]:
    """The tensors whose elements flow into a rounding, through elementwise operations and
    movements.

    Sums are no part of that: the order of their terms is open in any case.

    Args:
        ops: all operations, in program order, those in bodies among them.
        parameters: the constants of the module.
    """
    found: set[ir.Value] = set()
    if not any(op.name in _MAY_ROUND for op in ops):
        return found  # early: most networks round nothing
    for op in reversed(ops):
        if op.name.startswith("linalg.") and op.regions:
            found.update(_rounded_operands(op, found, parameters))
        elif op.name.startswith(("tensor.", "smartmem.")) and found.intersection(op.results):
            found.update(op.operands)
    return found


def _rounded_operands(
    op: ir.Operation, found: set[ir.Value], parameters: Parameters
) -> list[ir.Value]:
    body = body_of(op, parameters)
    if isinstance(body, Refusal):
        return []
    reads_on = not body.nest.reductions and op.results[0] in found
    nodes = rounded_nodes(body, reads_on)
    return [body.operands[n.number].value for n in nodes if n.kind == ARGUMENT]
