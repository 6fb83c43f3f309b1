"""Let an operation write 16 bits: it rounds what it has computed in f32.

  linalg.generic outs(tensor<4xf32>) { linalg.yield %v : f32 }
    ->
  linalg.generic outs(tensor<4xf16>) { linalg.yield (arith.truncf of %v within the range of f16) }

A number beyond the range becomes the largest one, not an infinity, of which the next sum would
make NaN. NaN stays NaN.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.passes.analysis.precision.narrow_constants import LARGEST
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.convert_elements import cast, with_element
from smartmem.passes.rewrites.precision.read_narrow import read_narrow

_GREATER, _LESS = 2, 4  # of arith.cmpf: ordered, so that NaN is neither


def write_narrow(value: ir.Value, element: ir.Type, writer: ir.Operation | None = None) -> None:
    """Makes ``value`` a tensor of ``element``, in place; readers widen.

    Args:
        value: of an elementwise generic operation, or a slice or reshape of one, or one that is
            inserted into a filled tensor (``narrow_results.refuse_result`` says no to others).
        writer: a reader that writes 16 bits, too.
    """
    op, old = value.owner.operation, value.type.element_type
    if op.name == "linalg.generic":
        _round_results(op, element)
    else:
        for number, operand in enumerate(op.operands):
            if not isinstance(operand.type, ir.RankedTensorType):
                continue
            if operand.owner.operation.name == "linalg.fill":
                op.operands[number] = _filled(operand, element)
            else:
                write_narrow(operand, element, op)
    value.set_type(with_element(value.type, element))
    read_narrow(value, value, old, writer)


def _round_results(op: ir.Operation, element: ir.Type) -> None:
    block = op.regions[0].blocks[0]
    *_, end = block.operations
    with end.location, ir.InsertionPoint(end):
        end.operation.operands[0] = round_to(end.operation.operands[0], element)
    *_, out = block.arguments
    out.set_type(element)
    with op.location, ir.InsertionPoint(op):
        op.operands[len(op.operands) - 1] = build.empty(
            with_element(op.results[0].type, element)
        )


def _filled(value: ir.Value, element: ir.Type) -> ir.Value:
    """The same number everywhere, where it is filled in: others may read the tensor in f32."""
    fill = value.owner.operation
    number = ir.FloatAttr(fill.operands[0].owner.attributes["value"]).value
    most = LARGEST[str(element)]
    with fill.location, ir.InsertionPoint(fill):
        bounded = arith.constant(element, min(max(number, -most), most))
        return build.splat(bounded, with_element(value.type, element))


def round_to(value: ir.Value, element: ir.Type) -> ir.Value:
    """A scalar in 16 bits: the nearest number that there is, or the largest."""
    if isinstance(element, ir.F16Type):
        most = LARGEST[str(element)]
        value = _bounded(value, _LESS, -most)
        value = _bounded(value, _GREATER, most)
    return cast(value, element)


def _bounded(value: ir.Value, beyond: int, bound: float) -> ir.Value:
    limit = arith.constant(value.type, bound)
    return arith.select(arith.cmpf(beyond, value, limit), limit, value)
