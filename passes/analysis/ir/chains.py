"""Use-def chains: up to what makes a value, down to what reads it.

Each walk sees through the operations that its caller names, and stops at all others.
"""

from __future__ import annotations

from collections.abc import Callable

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.passes.analysis.ir.movement import is_free

RESHAPES = ("tensor.expand_shape", "tensor.collapse_shape")

Through = Callable[[ir.Operation], bool]


def defining_op(value: ir.Value) -> ir.Operation | None:
    """The operation that makes ``value``; None: it is an argument of a block."""
    owner = value.owner
    return None if isinstance(owner, ir.Block) else owner.operation


def users(value: ir.Value) -> list[ir.Operation]:
    """The operations that use ``value``, each once."""
    return list(dict.fromkeys(use.owner.operation for use in value.uses))


def is_reshape_view(op: ir.Operation) -> bool:
    """Whether ``op`` is a view that keeps the row-major order."""
    return op.name == ViewOp.OPERATION_NAME and is_free(op)


def is_whole_view(op: ir.Operation) -> bool:
    """Whether ``op`` is a view without a domain: it moves elements and adds none."""
    return op.name == ViewOp.OPERATION_NAME and "domain" not in op.attributes


def reshapes(op: ir.Operation) -> bool:
    """Whether ``op`` keeps the row-major order of all elements: it costs nothing."""
    return op.name in RESHAPES or is_reshape_view(op)


def root_of(value: ir.Value, through: Through = reshapes) -> ir.Value:
    """What ``value`` is made of by operations seen ``through``: of their first operands."""
    while (op := defining_op(value)) is not None and through(op):
        value = op.operands[0]
    return value


def origin(value: ir.Value, through: Through = reshapes) -> ir.Operation | None:
    """The operation that computes ``value``; None: it is made of an argument."""
    return defining_op(root_of(value, through))


def uses_of(value: ir.Value, through: Through = reshapes) -> list[ir.OpOperand]:
    """The uses of ``value``, and of what is made of it by operations seen ``through``."""
    found, seen, stack = [], set(), list(value.uses)[::-1]
    while stack:  # no recursion: a chain can be longer than Python's stack
        use = stack.pop()
        op = use.owner.operation
        if not through(op):
            found.append(use)
        elif op not in seen:
            seen.add(op)
            stack += list(op.results[0].uses)[::-1]
    return found


def readers(value: ir.Value, through: Through = reshapes) -> list[ir.Operation]:
    """The operations that read ``value``, once for each use."""
    return [use.owner.operation for use in uses_of(value, through)]
