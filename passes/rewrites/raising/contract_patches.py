"""Take the bias out of a convolution; make a contraction of a patchwise one."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.index_map import Shape
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.raising.convolutions import steps
from smartmem.passes.rewrites.builders import tensor_ops as build


def add_bias_behind(op: ir.Operation) -> ir.Operation:
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


def contract_patches(op: ir.Operation) -> None:
    """Replaces a patchwise convolution by a contraction of split height and width."""
    image, weights, _ = op.operands
    n, filters, height, width = shape_of(op.results[0])
    _, channels, rows, columns = shape_of(weights)
    with ir.InsertionPoint(op), op.location:
        last = build.transpose(image, [0, 2, 3, 1])
        if rows == columns == 1:
            contracted = _pointwise(op, last, build.reshape(weights, (filters, channels)))
        elif height == width == 1:
            # One sum: a layer of all elements of the image.
            inner = rows * columns * channels
            x = build.reshape(last, (n, inner))
            w = build.reshape(build.transpose(weights, [0, 2, 3, 1]), (filters, inner))
            contracted = _contraction(x, w, (n, filters), "pc,fc->pf")
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
    strides = steps(op, "strides")
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
