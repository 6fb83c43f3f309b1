"""Elements of another float type."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.rewrites.builders import tensor_ops as build


def with_element(type_: ir.Type, element: ir.Type) -> ir.Type:
    """A tensor type of other elements, or ``element`` itself in place of a scalar."""
    if isinstance(type_, ir.RankedTensorType):
        return ir.RankedTensorType.get(type_.shape, element, type_.encoding)
    return element


def convert_elements(value: ir.Value, element: ir.Type) -> ir.Value:
    """``value``, a tensor or a scalar, with elements of another float type."""
    if not isinstance(value.type, ir.RankedTensorType):
        return cast(value, element)
    init = build.empty(with_element(value.type, element))
    identity = ir.AffineMap.get_identity(len(shape_of(value)))
    return build.elementwise([value], [identity], init, lambda xs: cast(xs[0], element))


def cast(value: ir.Value, element: ir.Type) -> ir.Value:
    """A scalar as another float type; itself where it has that type."""
    if value.type == element:
        return value
    widens = ir.FloatType(element).width > ir.FloatType(value.type).width
    name = "arith.extf" if widens else "arith.truncf"
    return ir.Operation.create(name, [element], [value]).results[0]
