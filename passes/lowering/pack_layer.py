"""Rebuild a linear layer over blocks of channels, with weights in that order."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import dim
from smartmem.parameters import Parameters
from smartmem.passes.analysis.accesses import Access
from smartmem.passes.analysis.constant_values import constant_value
from smartmem.passes.analysis.movement import shape_of
from smartmem.passes.analysis.packing import Packing
from smartmem.passes.analysis.split_placement import split_read
from smartmem.passes.lowering import tensor_ops as build
from smartmem.passes.lowering.constants import constant_tensor
from smartmem.passes.lowering.split_loops import (
    Operand,
    read_through,
    rebuild,
    reshaped,
    split_operand,
)


def pack_layer(found: Packing, parameters: Parameters) -> None:
    """Replaces the layer; its elementwise end runs over the same blocks afterwards."""
    layer, op = found.layer, found.layer.op
    blocks = layer.width // found.width
    radices = [
        (blocks, found.width) if loop == layer.channel and blocks > 1 else (extent,)
        for loop, extent in enumerate(layer.nest.domain)
    ]
    with ir.InsertionPoint(op), op.location:
        operands = [split_operand(op.operands[k], layer.nest, k, radices) for k in (0, 1, 2)]
        operands[1 - layer.data] = _packed(found, parameters)
        new = rebuild(op, layer.nest, radices, operands)
        op.results[0].replace_all_uses_with(reshaped(new, shape_of(op.results[0])))
    op.erase()
    split_end(new)


def _packed(found: Packing, parameters: Parameters) -> Operand:
    """The weights as [.., block, reduction.., channel of the block], and their loops."""
    layer = found.layer
    number = 1 - layer.data
    array = constant_value(layer.stored.source, parameters)
    assert array is not None, "its source is a constant"
    array = layer.stored.index_map.take(array)
    digits = layer.nest.loops_of(number)
    at, blocks = digits.index(layer.channel), layer.width // found.width
    last = layer.channel
    if blocks > 1:
        # Digits are numbered as the loops are, with one more behind the channel's first.
        last = layer.channel + 1
        array = array.reshape([*array.shape[:at], blocks, found.width, *array.shape[at + 1 :]])
        digits = [d + (d > layer.channel) for d in digits]
        digits.insert(at + 1, last)
    sums = {d + (blocks > 1 and d > layer.channel) for d in layer.nest.reductions}
    order = sorted(
        range(len(digits)), key=lambda k: (digits[k] == last, digits[k] in sums, digits[k])
    )
    array = array.transpose(order)
    type_ = build.tensor_type(layer.op.operands[number], array.shape)
    value = constant_tensor("packed", array, type_, parameters)
    return value, tuple(dim(digits[k]) for k in order)


def split_end(value: ir.Value) -> None:
    """Splits the loops of the elementwise operations that alone read ``value`` reshaped."""
    while len(uses := list(value.uses)) == 1:
        view = uses[0].owner.operation
        access = split_read(view) if view.name == ViewOp.OPERATION_NAME else None
        if not isinstance(access, Access):
            return
        value = read_through(access, view.operands[0])
        if not isinstance(value.owner, ir.Block) and value.owner.name == ViewOp.OPERATION_NAME:
            value = value.owner.operands[0]
