"""Index expressions as arith operations on index values.

``affine.apply`` would be shorter, but inside a ``linalg.generic`` IREE 3.13 vectorizes
a ``tensor.extract`` at ``(d0 + 6) mod 8``, given as affine.apply, as one contiguous
load: wrong values. With arith operations it sees the remainder and gathers.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.index_map import Dim, Expr, Shape, bounds
from smartmem.index_map.expr import Atom, FloorDiv


def index_constant(value: int) -> ir.Value:
    """A constant of type ``index``."""
    return arith.constant(ir.IndexType.get(), value)


def compute_index(expr: Expr, indices: list[ir.Value], shape: Shape) -> ir.Value:
    """The value of ``expr`` at ``indices``, which lie in the box ``shape``."""
    total: ir.Value | None = None
    for atom, c in expr.terms:
        value = _compute_atom(atom, indices, shape)
        value = value if c == 1 else arith.muli(value, index_constant(c))
        total = value if total is None else arith.addi(total, value)
    if total is None:
        return index_constant(expr.const)
    return total if expr.const == 0 else arith.addi(total, index_constant(expr.const))


def _compute_atom(atom: Atom, indices: list[ir.Value], shape: Shape) -> ir.Value:
    if isinstance(atom, Dim):
        return indices[atom.index]
    k = atom.divisor if isinstance(atom, FloorDiv) else atom.modulus
    # Unsigned division wants an operand >= 0: add as many k as its range needs.
    lift = max(-(bounds(atom.operand, shape)[0] // k), 0)
    lifted = Expr(atom.operand.terms, atom.operand.const + lift * k)
    operand = compute_index(lifted, indices, shape)
    if not isinstance(atom, FloorDiv):
        return arith.remui(operand, index_constant(k))
    quotient = arith.divui(operand, index_constant(k))
    return quotient if lift == 0 else arith.subi(quotient, index_constant(lift))
