"""Split the loops of a kernel's operations until no reshape lies between them.

  %b = linalg.generic ... -> tensor<32x49xf32>
  %c = tensor.expand_shape %b : tensor<32x49xf32> into tensor<16x2x49xf32>
  %d = linalg.generic ins(%c) ...
    ->
  %b = linalg.generic ... -> tensor<16x2x49xf32>
  %d = linalg.generic ins(%b) ...

What the kernel reads, and what it gives, is reshaped outside of it, which costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.index_map import Dim, Expr, Shape, constant, digits_of, dim
from smartmem.index_map.affine import to_affine_map
from smartmem.index_map.expr import add, scale
from smartmem.passes.analysis.fusion.tile_space import Radices, common_digits
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.base import erase_if_unused
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import inline_body
from smartmem.passes.rewrites.builders.index_arithmetic import compute_index


def align_loops(operations: Sequence[ir.Operation]) -> list[ir.Operation]:
    """The operations of a kernel with the loops that ``common_digits`` finds."""
    radices = common_digits(operations)
    aligned = [_split(op, radices[op]) if op in radices else op for op in operations]
    for op in aligned if radices else ():
        for number, value in enumerate(op.operands):
            op.operands[number] = _reshaped(value, shape_of(value))
            _erase_unread([value])
    return aligned


def _erase_unread(values: Sequence[ir.Value]) -> None:
    """Erases the reshapes that make ``values``, where nothing reads them any more."""
    gone: set[ir.Value] = set()  # a value can be there twice
    for value in values:
        while value not in gone and not isinstance(value.owner, ir.Block):
            reshape = value.owner.operation
            if reshape.name not in RESHAPES:
                break
            source = reshape.operands[0]
            if not erase_if_unused(reshape):
                break
            gone.add(value)
            value = source


def _split(op: ir.Operation, radices: Radices) -> ir.Operation:
    nest = loop_nest(op)
    assert nest is not None and not nest.reductions  # common_digits has seen to that
    box = tuple(n for radix in radices for n in radix)
    *inputs, init = list(op.operands)
    old = op.results[0]
    with ir.InsertionPoint(op), op.location:
        operands = [_operand(value, nest, k, radices) for k, value in enumerate(inputs)]
        shape, exprs = _digits(shape_of(init), nest, -1, radices)
        values = [*(value for value, _ in operands), _initial(init, shape)]
        every = [*(e for _, e in operands), exprs]
        maps = [to_affine_map(e, len(box), op.context) for e in every]
        generic = build.generic(values, maps, build.iterators([False] * len(box)))
        _fill(op, generic, radices, box)
        old.replace_all_uses_with(build.reshape(generic.results[0], shape_of(old)))
    op.erase()
    _erase_unread(inputs)
    return generic


def _operand(
    value: ir.Value, nest: LoopNest, operand: int, radices: Radices
) -> tuple[ir.Value, tuple[Expr, ...]]:
    shape, exprs = _digits(shape_of(value), nest, operand, radices)
    return _reshaped(value, shape), exprs


def _reshaped(value: ir.Value, shape: Shape) -> ir.Value:
    """``value`` in ``shape``; what reshapes make of a value of that shape is that value."""
    source = value
    while not isinstance(source.owner, ir.Block) and source.owner.name in RESHAPES:
        source = source.owner.operands[0]
        if shape_of(source) == shape:
            return source
    return build.reshape(value, shape)


def _initial(init: ir.Value, shape: Shape) -> ir.Value:
    type_, owner = build.tensor_type(init, shape), init.owner
    if not isinstance(owner, ir.Block) and owner.name == "linalg.fill":
        return build.splat(owner.operands[0], type_)
    if not isinstance(owner, ir.Block) and owner.name == "tensor.empty":
        return build.empty(type_)
    return _reshaped(init, shape)


def _digits(
    extents: Shape, nest: LoopNest, operand: int, radices: Radices
) -> tuple[Shape, tuple[Expr, ...]]:
    """The long dims of an operand whose loops are split, and the digits that index them."""
    shape: list[int] = []
    exprs: list[Expr] = []
    for expr, extent in zip(nest.accesses[operand].exprs, extents, strict=True):
        if extent == 1:
            continue
        if expr.is_constant:
            shape.append(extent)
            exprs.append(constant(expr.const))
            continue
        atom = expr.terms[0][0]
        assert isinstance(atom, Dim)
        loop = atom.index
        shape += radices[loop]
        exprs += [dim(digit) for digit in digits_of(radices, loop)]
    return tuple(shape), tuple(exprs)


def _fill(old: ir.Operation, new: ir.Operation, radices: Radices, box: Shape) -> None:
    block = build.new_body(new)

    def index(loop: int) -> ir.Value:
        sizes = radices[loop]
        terms = (
            scale(dim(digit), math.prod(sizes[k + 1 :]))
            for k, digit in enumerate(digits_of(radices, loop))
        )
        total = add(terms, box)
        indices = [linalg.IndexOp(d).result for d in range(len(box))]
        return compute_index(total, indices, box)

    with ir.InsertionPoint(block):
        linalg.YieldOp([inline_body(old, list(block.arguments), index)])
