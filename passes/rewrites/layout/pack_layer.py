"""Rebuild a linear layer over blocks of channels, with weights in that order."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import digits_of, dim
from smartmem.index_map.physical_layout import lay_out
from smartmem.index_map.primitives import Primitive, Reorder, Split
from smartmem.index_map.taking import take
from smartmem.parameters import Parameters
from smartmem.passes.analysis.elimination.split_placement import split_read
from smartmem.passes.analysis.ir.accesses import Access
from smartmem.passes.analysis.ir.movement import Piece, Refusal, is_free, is_view, shape_of
from smartmem.passes.analysis.layout.packing import Packing
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.loops.split_loops import (
    Operand,
    read_through,
    rebuild,
    reshaped,
    split_operand,
)


def pack_layer(found: Packing, parameters: Parameters) -> None:
    """Replaces the layer; its elementwise end runs over the same blocks afterwards."""
    layer, op = found.layer, found.layer.op
    radices = _radices(found)
    with ir.InsertionPoint(op), op.location:
        operands = [split_operand(op.operands[k], layer.nest, k, radices) for k in (0, 1, 2)]
        operands[1 - layer.data] = _packed(found, radices, parameters)
        new = rebuild(op, layer.nest, radices, operands)
        op.results[0].replace_all_uses_with(reshaped(new, shape_of(op.results[0])))
    op.erase()
    split_end(new)


def _radices(found: Packing) -> list[tuple[int, ...]]:
    """What each loop becomes: blocks and channels of a block, none if it has one iteration."""
    layer = found.layer
    radices: list[tuple[int, ...]] = [(n,) if n > 1 else () for n in layer.nest.domain]
    if layer.width > found.width:
        radices[layer.channel] = (layer.width // found.width, found.width)
    return radices


def _packed(
    found: Packing, radices: Sequence[tuple[int, ...]], parameters: Parameters
) -> Operand:
    """The weights as [.., block, reduction.., channel of the block], and their loops."""
    layer, number = found.layer, 1 - found.layer.data
    loops = layer.nest.loops_of(number)
    own = [digit for loop in loops for digit in digits_of(radices, loop)]
    last = digits_of(radices, layer.channel)[-1]
    sums = {digit for loop in layer.nest.reductions for digit in digits_of(radices, loop)}
    order = sorted(range(len(own)), key=lambda k: (own[k] == last, own[k] in sums, own[k]))
    layout = (Split(loops.index(layer.channel), radices[layer.channel]), Reorder(tuple(order)))
    value = packed_weights(layer.stored, layout, parameters)
    return value, tuple(dim(own[k]) for k in order)


def packed_weights(
    stored: Piece, layout: Sequence[Primitive], parameters: Parameters
) -> ir.Value:
    """What is read of a constant, as a constant that lies in ``layout``."""
    array = constant_value(stored.source, parameters)
    assert array is not None, "its source is a constant"
    array = lay_out(take(stored.index_map, array), layout)
    type_ = build.tensor_type(stored.source, array.shape)
    return constant_tensor("packed", array, type_, parameters)


def split_end(value: ir.Value) -> None:
    """Splits the loops of the elementwise operations that alone read ``value`` reshaped.

    Those of as many elements: what repeats ``value`` is in no kernel with it.
    """
    while (view := _only_view(value)) is not None:
        behind = _only_view(view.results[0])
        if behind is not None and is_free(view) and is_free(behind):
            _merge(view, behind)
            continue
        access = split_read(view)
        if isinstance(access, Refusal) or _repeats(access):
            return
        value = read_through(access, view.operands[0])
        if is_view(value):
            value = value.owner.operands[0]


def _merge(view: ir.Operation, behind: ir.Operation) -> None:
    """Makes one reshape of two."""
    with ir.InsertionPoint(behind), behind.location:
        whole = reshaped(view.operands[0], shape_of(behind.results[0]))
    behind.results[0].replace_all_uses_with(whole)
    behind.erase()
    view.erase()


def _only_view(value: ir.Value) -> ir.Operation | None:
    """The view that alone reads ``value``, and all of it."""
    uses = list(value.uses)
    op = uses[0].owner.operation if len(uses) == 1 else None
    is_view = op is not None and op.name == ViewOp.OPERATION_NAME
    return op if is_view and op is not None and "domain" not in op.attributes else None


def _repeats(access: Access) -> bool:
    """Whether an elementwise operation reads each element more than once."""
    nest = access.nest
    read = set(nest.loops_of(access.operand))
    return any(n > 1 and loop not in read for loop, n in enumerate(nest.domain))
