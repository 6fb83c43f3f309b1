"""Affine maps as plain data, and the parts of arrays that loops access through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from torch_mlir import ir

from smartmem.errors import InterpreterError, UnsupportedError
from smartmem.interpreter.values import Array

Expression = int | tuple[str, Any, Any]
"""A constant, ``("dim", i, 0)``, ``("symbol", i, 0)``, or an operation on two of them."""

Span = tuple[int, int]
"""First index and number of the iterations of a loop."""

_KINDS = (
    (ir.AffineAddExpr, "+"),
    (ir.AffineMulExpr, "*"),
    (ir.AffineModExpr, "mod"),
    (ir.AffineFloorDivExpr, "floordiv"),
    (ir.AffineCeilDivExpr, "ceildiv"),
)

_KNOWN: dict[str, Access] = {}
_MOST_KNOWN = 1 << 14


@dataclass(frozen=True)
class Access:
    """An affine map.

    Attributes:
        n_dims: of its dims.
        exprs: its results.
        linear: the results as factors of the dims and a constant; None if one divides.
        used: the dims that a result depends on.
    """

    n_dims: int
    exprs: tuple[Expression, ...]
    linear: tuple[tuple[tuple[int, ...], int], ...] | None
    used: frozenset[int]

    def indices(self, dims: Sequence[Any], symbols: Sequence[Any] = ()) -> list[Any]:
        """The results where the dims are these numbers or arrays."""
        return [evaluate(expr, dims, symbols) for expr in self.exprs]


def access_of(affine_map: ir.AffineMap) -> Access:
    """An affine map as plain data."""
    text = str(affine_map)
    if (found := _KNOWN.get(text)) is not None:
        return found
    exprs = tuple(map(_expression, affine_map.results))
    forms = [_linear(e, affine_map.n_dims) for e in exprs]
    known = [form for form in forms if form is not None]
    linear = tuple(known) if len(known) == len(forms) else None
    if len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.clear()
    used = frozenset(d for expr in exprs for d in _dims(expr))
    _KNOWN[text] = Access(affine_map.n_dims, exprs, linear, used)
    return _KNOWN[text]


def _expression(expr: ir.AffineExpr) -> Expression:
    if isinstance(expr, ir.AffineDimExpr):
        return ("dim", expr.position, 0)
    if isinstance(expr, ir.AffineConstantExpr):
        return int(expr.value)
    if isinstance(expr, ir.AffineSymbolExpr):
        return ("symbol", expr.position, 0)
    for kind, name in _KINDS:
        if isinstance(expr, kind):
            return (name, _expression(expr.lhs), _expression(expr.rhs))
    raise UnsupportedError(f"the interpreter knows no affine expression {expr}")


def _dims(expr: Expression) -> frozenset[int]:
    if isinstance(expr, int) or expr[0] == "symbol":
        return frozenset()
    return frozenset((expr[1],)) if expr[0] == "dim" else _dims(expr[1]) | _dims(expr[2])


def _linear(expr: Expression, n_dims: int) -> tuple[tuple[int, ...], int] | None:
    """The factor of each dim, and the constant."""
    if isinstance(expr, int):
        return (0,) * n_dims, expr
    name, left, right = expr
    if name == "dim":
        return tuple(int(d == left) for d in range(n_dims)), 0
    if name not in ("+", "*"):
        return None
    a, b = _linear(left, n_dims), _linear(right, n_dims)
    if a is None or b is None:
        return None
    if name == "+":
        return tuple(x + y for x, y in zip(a[0], b[0], strict=True)), a[1] + b[1]
    if any(a[0]):
        a, b = b, a
    return None if any(a[0]) else (tuple(a[1] * y for y in b[0]), a[1] * b[1])


def evaluate(expr: Expression, dims: Sequence[Any], symbols: Sequence[Any] = ()) -> Any:
    """An affine expression of numbers or arrays."""
    if isinstance(expr, int):
        return expr
    name, left, right = expr
    if name in ("dim", "symbol"):
        return dims[left] if name == "dim" else symbols[left]
    a, b = evaluate(left, dims, symbols), evaluate(right, dims, symbols)
    if name == "+":
        return a + b
    if name == "*":
        return a * b
    if name == "mod":
        return a % b
    return a // b if name == "floordiv" else -(-a // b)


def grid(box: Sequence[Span]) -> list[Array]:
    """The index of each loop, as arrays that broadcast to all iterations."""
    return [
        np.arange(start, start + count).reshape([-1 if e == d else 1 for e in range(len(box))])
        for d, (start, count) in enumerate(box)
    ]


@lru_cache(maxsize=1 << 12)
def _plain_dims(access: Access) -> tuple[int, ...] | None:
    """The dim that each result is; None if one is another expression, or comes twice."""
    if not all(isinstance(e, tuple) and e[0] == "dim" for e in access.exprs):
        return None
    dims = tuple(e[1] for e in access.exprs if isinstance(e, tuple))
    return dims if len(set(dims)) == len(dims) else None


def window(array: Array, access: Access, box: Sequence[Span]) -> Array:
    """What the iterations of a box access: a view if the map is linear, else a copy.

    The result broadcasts to the box: it has extent 1 along the loops that the map does not
    depend on.

    Raises:
        InterpreterError: a place is outside of the array.
    """
    dims = _plain_dims(access)
    if dims is not None:
        return _projected(array, dims, box)
    if access.linear is not None:
        return _strided(array, access, box)
    return array[places(array, access, box)]


def places(array: Array, access: Access, box: Sequence[Span]) -> tuple[Array, ...]:
    """The indices at which the iterations of a box access an array.

    Raises:
        InterpreterError: one is outside of the array.
    """
    used = access.used
    loops = grid([span if d in used else (0, 1) for d, span in enumerate(box)])
    whole = np.broadcast_shapes(*(loop.shape for loop in loops)) if loops else ()
    indices = tuple(np.broadcast_to(np.asarray(i), whole) for i in access.indices(loops))
    check_inside(indices, array.shape)
    return indices


def _projected(array: Array, dims: tuple[int, ...], box: Sequence[Span]) -> Array:
    spans = [box[d] for d in dims]
    if any(s < 0 or s + n > size for (s, n), size in zip(spans, array.shape, strict=True)):
        raise InterpreterError(f"loops {list(box)} leave the extents {list(array.shape)}")
    if any(span != (0, size) for span, size in zip(spans, array.shape, strict=True)):
        array = array[tuple(slice(start, start + count) for start, count in spans)]
    order = tuple(sorted(range(len(dims)), key=dims.__getitem__))
    moved = array if order == tuple(range(len(dims))) else array.transpose(order)
    if len(dims) == len(box):
        return moved
    return moved[tuple(slice(None) if d in dims else None for d in range(len(box)))]


def _strided(array: Array, access: Access, box: Sequence[Span]) -> Array:
    assert access.linear is not None
    starts: list[int] = []
    for (factors, const), size in zip(access.linear, array.shape, strict=True):
        steps = [(f, s, n) for f, (s, n) in zip(factors, box, strict=True)]
        starts.append(const + sum(f * s for f, s, _ in steps))
        low = starts[-1] + sum(min(f * (n - 1), 0) for f, _, n in steps)
        high = starts[-1] + sum(max(f * (n - 1), 0) for f, _, n in steps)
        if low < 0 or high >= size:
            raise InterpreterError(
                f"indices from {low} to {high} leave a dim of {size}, of {list(array.shape)}"
            )
    base = array[tuple(slice(start, start + 1) for start in starts)]
    terms = [*zip(access.linear, array.strides, strict=True)]
    strides = [sum(form[0][d] * stride for form, stride in terms) for d in range(len(box))]
    used = [any(factors[d] for factors, _ in access.linear) for d in range(len(box))]
    shape = [n if u else 1 for (_, n), u in zip(box, used, strict=True)]
    return as_strided(base, shape, strides)


def check_inside(indices: Sequence[Array], shape: Sequence[int]) -> None:
    """Raises InterpreterError if an index is outside of an array of this shape."""
    for index, size in zip(indices, shape, strict=True):
        if index.size and (index.min() < 0 or index.max() >= size):
            wrong = index.min() if index.min() < 0 else index.max()
            raise InterpreterError(f"index {wrong} leaves a dim of {size}, of {list(shape)}")
