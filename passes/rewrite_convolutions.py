"""Write convolutions in the forms that elimination and fusion work on.

Rewrites:
  a convolution onto a bias          ->  the convolution onto zeros, then an addition
  a convolution of 1x1 and stride 1  ->  a contraction over the channels

  linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<1x8x5x5xf32>, tensor<6x8x1x1xf32>)
    ->
  linalg.generic over (n, f, p, c): %out[n, f, p] += %w[f, c] * %x[n, c, p], p = h * 5 + w

An addition fuses with what is behind it, and a constant as initial value would be copied
into the result first. A contraction reads any order, and is a kernel with its end.

Keeps convolutions whose strides or dilations are not all 1, and integers of two widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.passes.analysis.movement import is_static, shape_of
from smartmem.passes.base import Pass, PassContext, operations
from smartmem.passes.lowering import tensor_ops as build

_POINTWISE = "linalg.conv_2d_nchw_fchw"


@dataclass(frozen=True)
class RewriteConvolutions(Pass):
    """Rewrites convolutions of one or all elements into additions and contractions."""

    argument = "smartmem-rewrite-convolutions"
    summary = "Add biases behind convolutions; make contractions of 1x1 convolutions"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all convolutions of static shape, with a remark on each."""
        for op in operations(module):
            if not _is_convolution(op):
                continue
            if not _starts_at_zero(op):
                context.remark(self.argument, op, True, "the bias is added behind it")
                op = _add_behind(op)
            if _is_pointwise(op):
                context.remark(self.argument, op, True, "one tap: a contraction")
                _contract(op)


def _is_convolution(op: ir.Operation) -> bool:
    if not op.name.startswith("linalg.") or len(op.results) != 1:
        return False
    types = {v.type.element_type for v in op.operands if is_static(v)}
    sums = bool(linalg.isa_convolution_op(op)) and "pooling" not in op.name
    return sums and len(types) == 1 and all(map(is_static, op.operands))


def _starts_at_zero(op: ir.Operation) -> bool:
    init = op.operands[len(op.operands) - 1].owner
    if isinstance(init, ir.Block) or init.name != "linalg.fill":
        return False
    scalar = init.operands[0].owner
    if isinstance(scalar, ir.Block) or scalar.name != "arith.constant":
        return False
    value = scalar.attributes["value"]
    return bool(getattr(value, "value", None) == 0)


def _add_behind(op: ir.Operation) -> ir.Operation:
    """Replaces ``op`` by itself onto zeros and an addition; the new convolution."""
    *inputs, init = op.operands
    with ir.InsertionPoint(op), op.location:
        zeros = build.splat(build.zero(init.type.element_type), init.type)
        new = op.clone()
        new.operands[len(inputs)] = zeros
        total = _elementwise_sum(new.results[0], init)
    op.results[0].replace_all_uses_with(total)
    op.erase()
    return new


def _elementwise_sum(a: ir.Value, b: ir.Value) -> ir.Value:
    rank = len(shape_of(a))
    same = ir.AffineMapAttr.get(ir.AffineMap.get_identity(rank))
    generic = linalg.GenericOp(
        [a.type], [a, b], [build.empty(a.type)], ir.ArrayAttr.get([same] * 3), _loops(rank, 0)
    )
    block = generic.regions[0].blocks.append(*[a.type.element_type] * 3)
    with ir.InsertionPoint(block):
        linalg.YieldOp([_plus(*list(block.arguments)[:2])])
    return generic.results[0]


def _is_pointwise(op: ir.Operation) -> bool:
    if op.name != _POINTWISE or shape_of(op.operands[1])[2:] != (1, 1):
        return False
    strides = ir.DenseIntElementsAttr(op.attributes["strides"])
    return all(stride == 1 for stride in strides)


def _contract(op: ir.Operation) -> None:
    """Replaces a 1x1 convolution by a contraction over merged height and width."""
    image, weights, _ = op.operands
    result = shape_of(op.results[0])
    n, channels, height, width = shape_of(image)
    points = math.prod((height, width))
    with ir.InsertionPoint(op), op.location:
        x = build.reshape(image, (n, channels, points))
        w = build.reshape(weights, shape_of(weights)[:2])
        type_ = build.tensor_type(image, (n, result[1], points))
        zeros = build.splat(build.zero(type_.element_type), type_)
        contracted = _generic_contraction(w, x, zeros)
        op.results[0].replace_all_uses_with(build.reshape(contracted, result))
    op.erase()


def _generic_contraction(w: ir.Value, x: ir.Value, zeros: ir.Value) -> ir.Value:
    """``out[n, f, p] = sum over c of w[f, c] * x[n, c, p]``."""
    n, f, p, c = (ir.AffineDimExpr.get(d) for d in range(4))
    maps = [ir.AffineMap.get(4, 0, exprs) for exprs in ([f, c], [n, c, p], [n, f, p])]
    attribute = ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps])
    generic = linalg.GenericOp([zeros.type], [w, x], [zeros], attribute, _loops(3, 1))
    block = generic.regions[0].blocks.append(*[zeros.type.element_type] * 3)
    with ir.InsertionPoint(block):
        a, b, accumulator = block.arguments
        linalg.YieldOp([_plus(_times(a, b), accumulator)])
    return generic.results[0]


def _loops(parallel: int, reductions: int) -> ir.ArrayAttr:
    kinds = ["parallel"] * parallel + ["reduction"] * reductions
    return ir.ArrayAttr.get(
        [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
    )


def _plus(a: ir.Value, b: ir.Value) -> ir.Value:
    is_float = isinstance(a.type, ir.FloatType)
    return (arith.AddFOp(a, b) if is_float else arith.AddIOp(a, b)).result


def _times(a: ir.Value, b: ir.Value) -> ir.Value:
    is_float = isinstance(a.type, ir.FloatType)
    return (arith.MulFOp(a, b) if is_float else arith.MulIOp(a, b)).result
