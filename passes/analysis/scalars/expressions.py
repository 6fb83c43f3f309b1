"""Scalar expressions as graphs: what the body of a linalg operation computes.

Nodes are immutable and unique in their pool: equal expressions are the same node, so
common subexpressions count and are computed once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.passes.analysis.scalars.scalar_functions import dtype_of

# Kinds of the nodes that are no operation.
ARGUMENT, OUTPUT, CONSTANT, CAPTURED = "argument", "output", "constant", "captured"


@dataclass(frozen=True, eq=False)
class Node:
    """A scalar expression; compare with ``is``.

    Attributes:
        kind: one of the kinds above, or the name of an operation.
        type: the scalar's type (of a captured tensor, the tensor's).
        args: what the operation is applied to.
        payload: number of an argument, value of a constant, value captured from outside.
        template: the operation in the IR, if the node was read from there.
    """

    kind: str
    type: ir.Type
    args: tuple[Node, ...] = ()
    payload: float | ir.Value | None = None
    template: ir.Operation | None = None

    @property
    def number(self) -> int:
        """Number of the operand that an ``ARGUMENT`` is an element of."""
        assert self.kind == ARGUMENT and isinstance(self.payload, int)
        return self.payload


def _attributes(op: ir.Operation | None) -> tuple[tuple[str, ir.Attribute], ...]:
    """What besides its operands tells ``op`` from others; a map of them is no key."""
    return () if op is None else tuple(op.attributes.items())


class Pool:
    """Makes nodes, each only once."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[object, ...], Node] = {}

    def node(
        self,
        kind: str,
        type_: ir.Type,
        args: Sequence[Node] = (),
        payload: float | ir.Value | None = None,
        template: ir.Operation | None = None,
    ) -> Node:
        """The node with these parts."""
        # hex tells 0.0 from -0.0.
        value = payload.hex() if isinstance(payload, float) else payload
        key = (kind, type_, tuple(map(id, args)), value, _attributes(template))
        if key not in self._nodes:
            self._nodes[key] = Node(kind, type_, tuple(args), payload, template)
        return self._nodes[key]

    def constant(self, value: float, type_: ir.Type) -> Node:
        """A float constant, rounded to its type."""
        rounded = float(np.asarray(value).astype(dtype_of(type_)))
        return self.node(CONSTANT, type_, payload=rounded)

    def apply(self, kind: str, *args: Node) -> Node:
        """An operation whose result has the type of its operands."""
        return self.node(kind, args[0].type, args)

    def with_args(self, node: Node, args: Sequence[Node]) -> Node:
        """The operation of ``node`` on other operands."""
        if all(a is b for a, b in zip(args, node.args, strict=True)):
            return node
        return self.node(node.kind, node.type, args, node.payload, node.template)

    def replaced(self, root: Node, new: Mapping[Node, Node]) -> Node:
        """``root`` with every key of ``new`` replaced by its value."""
        done = dict(new)
        for node in reachable([root]):
            if node not in done:
                done[node] = self.with_args(node, [done[a] for a in node.args])
        return done[root]


def reachable(roots: Iterable[Node], but: Container[Node] = ()) -> list[Node]:
    """The nodes of expressions, operands first, each once.

    Args:
        but: nodes that are left out, with what is reached through them alone.
    """
    found: dict[Node, None] = {}
    stack = list(roots)
    stack.reverse()
    while stack:
        node = stack[-1]
        if node in found or node in but:
            stack.pop()
        elif operands := [a for a in node.args if a not in found and a not in but]:
            stack += reversed(operands)
        else:
            found[node] = None
            stack.pop()
    return list(found)


def arguments(*roots: Node) -> list[int]:
    """Numbers of the operands that expressions read, in order."""
    return sorted(n.number for n in reachable(roots) if n.kind == ARGUMENT)
