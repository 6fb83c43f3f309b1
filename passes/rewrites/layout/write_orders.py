"""Write on tensors in which order they lie, with a relayout where a reader knows no layouts."""

from __future__ import annotations

from collections.abc import Mapping

from torch_mlir import ir

from smartmem.dialect import ConcatOp, RelayoutOp, ViewOp, layout, layout_of, relayout
from smartmem.index_map.primitives import Reorder
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.layout_classes import Order


def write_orders(orders: Mapping[ir.Value, Order]) -> None:
    """Gives each tensor the type that says its order; indices keep their meaning."""
    for value, order in orders.items():
        with value.owner.operation.location:
            value.set_type(laid_type(value, order))
    for value in orders:
        op = value.owner.operation
        if op.name == ConcatOp.OPERATION_NAME:
            _agree_sources(op)
        elif op.name.startswith("linalg."):
            _agree_output(op)
        _relayout_readers(value)


def laid_type(value: ir.Value, order: Order) -> ir.RankedTensorType:
    """The type of ``value`` with its dims in ``order``."""
    shape, element = list(shape_of(value)), value.type.element_type
    return ir.RankedTensorType.get(shape, element, layout([Reorder(order)]))


def reads_layouts(op: ir.Operation) -> bool:
    """Whether ``op`` reads a tensor in whatever layout: by its maps."""
    names = (ViewOp.OPERATION_NAME, ConcatOp.OPERATION_NAME, RelayoutOp.OPERATION_NAME)
    return op.name in (*names, "linalg.generic")


def _agree_sources(concat: ir.Operation) -> None:
    """Gives all sources of a concat its layout."""
    attribute = layout_of(concat.results[0].type)
    for number, source in enumerate(concat.operands):
        if layout_of(source.type) is None:
            with ir.InsertionPoint(concat), concat.location:
                concat.operands[number] = relayout(source, attribute)


def _agree_output(op: ir.Operation) -> None:
    """Gives the initial value of an output the layout of the result."""
    number = len(op.operands) - 1
    init, type_ = op.operands[number], op.results[0].type
    if init.type == type_:
        return
    with ir.InsertionPoint(op), op.location:
        op.operands[number] = _new_init(init, type_)


def _new_init(init: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    name = "" if isinstance(init.owner, ir.Block) else init.owner.name
    if name == "tensor.empty":
        return ir.Operation.create("tensor.empty", [type_]).results[0]
    if name == "linalg.fill":
        fill = init.owner.operation.clone()
        fill.operands[1] = ir.Operation.create("tensor.empty", [type_]).results[0]
        fill.results[0].set_type(type_)
        fill.move_after(fill.operands[1].owner)
        return fill.results[0]
    return relayout(init, layout_of(type_))


def _relayout_readers(value: ir.Value) -> None:
    """Lets what reads no layouts read a relayout to the plain type."""
    uses = [use for use in value.uses if not _takes(use)]
    if not uses:
        return
    op = value.owner.operation
    with ir.InsertionPoint.after(op), op.location:
        plain = relayout(value, None)
    for use in uses:
        use.owner.operation.operands[use.operand_number] = plain


def _takes(use: ir.OpOperand) -> bool:
    op = use.owner.operation
    value = op.operands[use.operand_number]
    if op.name == ConcatOp.OPERATION_NAME:  # of the same class, or of none
        return layout_of(op.results[0].type) == layout_of(value.type)
    if op.name.startswith("linalg.") and use.operand_number == len(op.operands) - 1:
        return op.results[0].type == value.type
    return reads_layouts(op)
