"""Conversion between this algebra and MLIR's affine maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.errors import UnsupportedError
from smartmem.index_map.expr import (
    Dim,
    Expr,
    FloorDiv,
    Shape,
    add,
    constant,
    dim,
    floordiv,
    mod,
    scale,
)


def to_affine_expr(expr: Expr, context: ir.Context) -> ir.AffineExpr:
    """``expr`` as an MLIR affine expression."""
    total = ir.AffineExpr.get_constant(expr.const, context)
    for atom, c in reversed(expr.terms):
        if isinstance(atom, Dim):
            value = ir.AffineExpr.get_dim(atom.index, context)
        elif isinstance(atom, FloorDiv):
            operand = to_affine_expr(atom.operand, context)
            value = ir.AffineExpr.get_floor_div(operand, atom.divisor)
        else:
            value = ir.AffineExpr.get_mod(to_affine_expr(atom.operand, context), atom.modulus)
        total = ir.AffineExpr.get_add(ir.AffineExpr.get_mul(value, c), total)
    return total


def to_affine_map(exprs: Sequence[Expr], n_dims: int, context: ir.Context) -> ir.AffineMap:
    """The affine map ``(d0, ..., d<n_dims - 1>) -> exprs``."""
    return ir.AffineMap.get(n_dims, 0, [to_affine_expr(e, context) for e in exprs], context)


def projection(n_dims: int, dims: Sequence[int]) -> ir.AffineMap:
    """The affine map ``(d0, ..., d<n_dims - 1>) -> dims``, in the current context."""
    return ir.AffineMap.get(n_dims, 0, [ir.AffineDimExpr.get(d) for d in dims])


def from_affine_map(affine_map: ir.AffineMap, shape: Shape) -> tuple[Expr, ...]:
    """The results of ``affine_map`` simplified over the box ``shape``.

    Raises:
        UnsupportedError: the map has symbols, or divides by something not constant.
        ValueError: the map has not one dimension for each of ``shape``.
    """
    if affine_map.n_symbols:
        raise UnsupportedError(f"{affine_map}: index maps with symbols are not supported")
    if affine_map.n_dims != len(shape):
        raise ValueError(f"{affine_map} has {affine_map.n_dims} dims, the shape {len(shape)}")
    return tuple(_from_affine_expr(e, shape) for e in affine_map.results)


def _from_affine_expr(expr: ir.AffineExpr, shape: Shape) -> Expr:
    if isinstance(expr, ir.AffineDimExpr):  # first: most are
        position = expr.position
        # An index into a dimension of size 1 is always 0.
        return constant(0) if shape[position] == 1 else dim(position)
    if isinstance(expr, ir.AffineConstantExpr):
        return constant(expr.value)
    left, right = _from_affine_expr(expr.lhs, shape), _from_affine_expr(expr.rhs, shape)
    if isinstance(expr, ir.AffineAddExpr):
        return add([left, right], shape)
    if isinstance(expr, ir.AffineMulExpr) and (left.is_constant or right.is_constant):
        return scale(left, right.const) if right.is_constant else scale(right, left.const)
    if not right.is_constant or right.const <= 0:
        raise UnsupportedError(f"{expr}: divisors and factors must be positive constants")
    if isinstance(expr, ir.AffineFloorDivExpr):
        return floordiv(left, right.const, shape)
    if isinstance(expr, ir.AffineModExpr):
        return mod(left, right.const, shape)
    ceil = add([left, constant(right.const - 1)], shape)
    return floordiv(ceil, right.const, shape)
