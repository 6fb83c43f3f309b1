"""Rebuild an operation without the dims of size 1 of its tensors."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import Expr, dim, reshape
from smartmem.passes.analysis.ir.chains import root_of
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.formats import Node, is_squeeze, long_dims
from smartmem.passes.analysis.layout.kernel_costs import Loops
from smartmem.passes.rewrites.loops.order_loops import order_loops
from smartmem.passes.rewrites.loops.split_loops import Operand, new_init, rebuild, reshaped


def squeeze(node: Node) -> None:
    """Replaces an operation by one without the dims of size 1; it is left without readers."""
    old = node.op.results[0]
    with ir.InsertionPoint(node.op), node.op.location:
        new = _rebuilt(node)
        old.replace_all_uses_with(reshaped(new, shape_of(old)))
    order_loops(new)


def _rebuilt(node: Node) -> ir.Value:
    """The operation over its long loops."""
    long = [loop for loop, extent in enumerate(node.nest.domain) if extent > 1]
    operands: list[Operand] = [
        (_squeezed(value), _exprs(loops, long))
        for value, loops in zip(node.op.operands, node.einsum.read, strict=False)
    ]
    init = node.op.operands[-1]
    shape = tuple(shape_of(init)[d] for d in long_dims(init))
    new = new_init(init, shape, reshape(shape_of(init), shape))
    operands.append((new, _exprs(node.einsum.written, long)))
    radices = [(extent,) if extent > 1 else () for extent in node.nest.domain]
    return rebuild(node.op, node.nest, radices, operands)


def _exprs(loops: Loops, long: list[int]) -> tuple[Expr, ...]:
    return tuple(dim(long.index(loop)) for loop in loops)


def _squeezed(value: ir.Value) -> ir.Value:
    """``value`` without its dims of size 1; seen through views that only add some."""
    value = root_of(value, is_squeeze)
    shape = shape_of(value)
    return reshaped(value, [shape[d] for d in long_dims(value)])
