"""Let the readers of an f32 tensor read one of 16 bits instead, and widen what they read.

A reader's body widens, so that a kernel loads 16 bits and computes in f32:

  linalg.generic ins(%x : tensor<4xf32>) { ^bb0(%a: f32): f(%a) }
    ->
  linalg.generic ins(%n : tensor<4xf16>) { ^bb0(%a: f16): f(arith.extf %a) }

Slices, reshapes and transposes have 16 bits then, and their readers widen.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.convert_elements import (
    cast,
    convert_elements,
    with_element,
)

_VIEWS = ("tensor.extract_slice", "tensor.expand_shape", "tensor.collapse_shape", "tensor.cast")
_COPIES = ("linalg.transpose", "linalg.broadcast")


def read_narrow(wide: ir.Value, narrow: ir.Value) -> None:
    """Replaces ``wide`` by ``narrow``, its elements in 16 bits, wherever it is read."""
    for use in list(wide.uses):
        op = use.owner.operation
        # What built the narrow tensor of the wide one goes on reading it.
        if op != (None if isinstance(narrow.owner, ir.Block) else narrow.owner.operation):
            _read(op, use.operand_number, wide, narrow)


def _read(op: ir.Operation, number: int, wide: ir.Value, narrow: ir.Value) -> None:
    element = narrow.type.element_type
    if op.name in _VIEWS or (op.name in _COPIES and number == 0):
        _move(op, narrow)
    elif op.name == "tensor.extract":
        op.operands[0] = narrow
        op.results[0].set_type(element)
        _widen_uses(op.results[0], ir.InsertionPoint.after(op), wide.type.element_type)
    elif op.name.startswith("linalg.") and op.regions and number < len(op.operands) - 1:
        op.operands[number] = narrow
        retype_argument(op, number, element)
    else:
        with op.location, ir.InsertionPoint(op):
            op.operands[number] = convert_elements(narrow, wide.type.element_type)


def _move(op: ir.Operation, narrow: ir.Value) -> None:
    """A new movement of the narrow tensor, and what reads it."""
    result, element = op.results[0], narrow.type.element_type
    with op.location, ir.InsertionPoint(op):
        clone = op.clone()
        clone.operands[0] = narrow
        type_ = with_element(result.type, element)
        if op.name in _COPIES:
            clone.operands[1] = build.empty(type_)
            clone.move_after(clone.operands[1].owner.operation)
            for argument in clone.regions[0].blocks[0].arguments:
                argument.set_type(element)
        clone.results[0].set_type(type_)
    read_narrow(result, clone.results[0])
    if not list(result.uses):
        op.erase()


def retype_argument(op: ir.Operation, number: int, element: ir.Type) -> None:
    """Gives the body of ``op`` an operand of another float type, which it converts back."""
    block = op.regions[0].blocks[0]
    argument = block.arguments[number]
    old = argument.type
    argument.set_type(element)
    if list(argument.uses):
        _widen_uses(argument, ir.InsertionPoint.at_block_begin(block), old)


def _widen_uses(value: ir.Value, at: ir.InsertionPoint, element: ir.Type) -> None:
    with value.location, at:
        wide = cast(value, element)
    value.replace_all_uses_except(wide, wide.owner.operation)
