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

VIEWS = ("tensor.extract_slice", "tensor.expand_shape", "tensor.collapse_shape", "tensor.cast")
_COPIES = ("linalg.transpose", "linalg.broadcast")
_ENDS = ("flow.return",)


def read_narrow(
    wide: ir.Value,
    narrow: ir.Value,
    element: ir.Type | None = None,
    writer: ir.Operation | None = None,
) -> None:
    """Replaces ``wide`` by ``narrow``, its elements in 16 bits, wherever it is read.

    Args:
        wide: may be ``narrow`` itself, of which the type has changed.
        element: the type that its readers compute in; None: that of ``wide``.
        writer: a reader that writes 16 bits itself, and reads them so.
    """
    old = wide.type.element_type if element is None else element
    # What built the narrow tensor of the wide one goes on reading that.
    maker = None if isinstance(narrow.owner, ir.Block) or wide == narrow else narrow.owner
    for use in list(wide.uses):
        op = use.owner.operation
        if op.name in _ENDS or (writer is not None and op == writer):
            op.operands[use.operand_number] = narrow
        elif maker is None or op != maker.operation:
            _read(op, use.operand_number, narrow, old)


def _read(op: ir.Operation, number: int, narrow: ir.Value, old: ir.Type) -> None:
    element = narrow.type.element_type
    if op.name in VIEWS or (op.name in _COPIES and number == 0):
        _move(op, narrow, old)
    elif op.name == "tensor.extract":
        op.operands[0] = narrow
        op.results[0].set_type(element)
        _widen_uses(op.results[0], ir.InsertionPoint.after(op), old)
    elif op.name.startswith("linalg.") and op.regions and number < len(op.operands) - 1:
        op.operands[number] = narrow
        _retype_argument(op, number, element, old)
    else:
        with op.location, ir.InsertionPoint(op):
            op.operands[number] = convert_elements(narrow, old)


def _move(op: ir.Operation, narrow: ir.Value, old: ir.Type) -> None:
    """Moves the narrow tensor, and lets readers read it."""
    result, element = op.results[0], narrow.type.element_type
    op.operands[0] = narrow
    result.set_type(with_element(result.type, element))
    if op.name in _COPIES:
        with op.location, ir.InsertionPoint(op):
            op.operands[1] = build.empty(result.type)
        for argument in op.regions[0].blocks[0].arguments:
            argument.set_type(element)
    read_narrow(result, result, old)


def _retype_argument(op: ir.Operation, number: int, element: ir.Type, old: ir.Type) -> None:
    """Gives the body of ``op`` an operand of another float type, which it converts back."""
    block = op.regions[0].blocks[0]
    argument = block.arguments[number]
    argument.set_type(element)
    if list(argument.uses):
        _widen_uses(argument, ir.InsertionPoint.at_block_begin(block), old)


def _widen_uses(value: ir.Value, at: ir.InsertionPoint, element: ir.Type) -> None:
    with value.location, at:
        wide = cast(value, element)
    value.replace_all_uses_except(wide, wide.owner.operation)
