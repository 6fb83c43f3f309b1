"""Write convolutions in the forms that elimination and fusion work on.

Rewrites:
  a convolution onto a bias              ->  the convolution onto zeros, then an addition
  a convolution whose stride is its size ->  a contraction over channels and window

  linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<1x8x5x5xf32>, tensor<6x8x1x1xf32>)
    ->
  linalg.generic over (p, f, c): %out[p, f] += %x[p, c] * %w[f, c], p = (n * 5 + h) * 5 + w

Why: an addition fuses with the operations behind it, while a bias as initial value would first
be copied into the result. A contraction (a 1x1 convolution, the cutting of an image into
patches) reads its operands in any order and becomes one kernel with the elementwise operations
behind it. Its channels are innermost, so that they are loaded as vectors.

Keeps convolutions whose windows overlap, and integers of two widths.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.index_map import Shape
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.movement import is_static, shape_of
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.builders import tensor_ops as build

_CONVOLUTION = "linalg.conv_2d_nchw_fchw"


@dataclass(frozen=True)
class RewriteConvolutions(Pass):
    """Takes biases out of convolutions, and makes contractions of those that are ones."""

    argument = "smartmem-rewrite-convolutions"
    summary = "Add biases behind convolutions; make contractions of patchwise ones"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all convolutions of static shape, with a remark on each."""
        for op in context.each(list(filter(_is_convolution, outer_operations(module)))):
            if not _starts_at_zero(op):
                context.remark(self.argument, op, True, "the bias is added behind it")
                op = _add_behind(op)
            if _is_patchwise(op):
                reason = "no element is under two windows: a contraction"
                context.remark(self.argument, op, True, reason)
                _contract(op)


def _is_convolution(op: ir.Operation) -> bool:
    if not op.name.startswith("linalg.") or len(op.results) != 1:
        return False
    types = {v.type.element_type for v in op.operands if is_static(v)}
    windows = bool(linalg.isa_convolution_op(op)) and "pooling" not in op.name
    return windows and _sums(op) and len(types) == 1 and all(map(is_static, op.operands))


def _sums(op: ir.Operation) -> bool:
    """Whether it adds up: a generic over windows can also look for their maximum."""
    end = list(op.regions[0].blocks[0].operations)[-1]
    return end.operands[0].owner.name in ("arith.addf", "arith.addi")


def _starts_at_zero(op: ir.Operation) -> bool:
    init = op.operands[-1].owner
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
        total = build.combine(_plus, new.results[0], init, range(len(shape_of(init))))
    op.results[0].replace_all_uses_with(total)
    op.erase()
    return new


def _is_patchwise(op: ir.Operation) -> bool:
    """Whether no element is under two windows: of 1x1, or whose size is the stride."""
    if op.name != _CONVOLUTION:
        return False
    if shape_of(op.operands[1])[2:] == (1, 1):
        return True
    strides, dilations = _steps(op, "strides"), _steps(op, "dilations")
    windows, points = shape_of(op.operands[1])[2:], shape_of(op.results[0])[2:]
    covered = [n * stride for n, stride in zip(points, strides, strict=True)]
    undilated = all(d == 1 or n == 1 for d, n in zip(dilations, windows, strict=True))
    whole = list(shape_of(op.operands[0])[2:]) == covered
    return list(windows) == strides and undilated and whole


def _steps(op: ir.Operation, name: str) -> list[int]:
    """An attribute of a convolution over height and width; 1 where it is not written."""
    if name not in op.attributes:
        return [1, 1]
    return list(ir.DenseIntElementsAttr(op.attributes[name]))


def _contract(op: ir.Operation) -> None:
    """Replaces a patchwise convolution by a contraction of split height and width."""
    image, weights, _ = op.operands
    n, filters, height, width = shape_of(op.results[0])
    _, channels, rows, columns = shape_of(weights)
    with ir.InsertionPoint(op), op.location:
        last = build.transpose(image, [0, 2, 3, 1])
        if rows == columns == 1:
            contracted = _pointwise(op, last, build.reshape(weights, (filters, channels)))
        else:
            x = build.reshape(last, (n * height, rows, width, columns, channels))
            shape = (n * height, width, filters)
            contracted = _contraction(x, weights, shape, "hrwqc,fcrq->hwf")
        result = build.reshape(contracted, (n, height, width, filters))
        op.results[0].replace_all_uses_with(build.transpose(result, [0, 3, 1, 2]))
    op.erase()


def _pointwise(op: ir.Operation, last: ir.Value, w: ir.Value) -> ir.Value:
    """The contraction of each point, or of every second and so on in height and width."""
    n, filters, height, width = shape_of(op.results[0])
    channels = shape_of(w)[1]
    strides = _steps(op, "strides")
    if shape_of(last) == (n, height, width, channels):
        x = build.reshape(last, (n * height * width, channels))
        return _contraction(x, w, (n * height * width, filters), "pc,fc->pf")
    sizes = [n, height, width, channels]
    points = build.extract_slice(last, [0] * 4, sizes, [1, *strides, 1])
    if n > 1:
        return _contraction(points, w, (n, height, width, filters), "nhwc,fc->nhwf")
    x = build.reshape(points, (height, width, channels))
    return _contraction(x, w, (height, width, filters), "hwc,fc->hwf")


def _contraction(x: ir.Value, w: ir.Value, shape: Shape, subscripts: str) -> ir.Value:
    """The sum of products that ``subscripts`` names as ``numpy.einsum`` does."""
    reads, written = subscripts.split("->")
    operands = [*reads.split(","), written]
    loops = [*written, *(c for c in operands[1] if c not in written)]
    maps = [projection(len(loops), [loops.index(c) for c in operand]) for operand in operands]
    zeros = build.splat(build.zero(x.type.element_type), build.tensor_type(x, shape))
    kinds = build.iterators([loop not in written for loop in loops])
    generic = build.generic([x, w, zeros], maps, kinds)
    block = build.new_body(generic)
    with ir.InsertionPoint(block):
        a, b, accumulator = block.arguments
        linalg.YieldOp([_plus(_times(a, b), accumulator)])
    return generic.results[0]


def _plus(a: ir.Value, b: ir.Value) -> ir.Value:
    is_float = isinstance(a.type, ir.FloatType)
    return (arith.AddFOp(a, b) if is_float else arith.AddIOp(a, b)).result


def _times(a: ir.Value, b: ir.Value) -> ir.Value:
    is_float = isinstance(a.type, ir.FloatType)
    return (arith.MulFOp(a, b) if is_float else arith.MulIOp(a, b)).result
