"""The type that a model is to be stored in, as an attribute of its module."""

from __future__ import annotations

from torch_mlir import ir

NARROW = ("f16", "bf16")
"""The floats of 16 bits."""

MODEL = "model"
"""What the model itself computes in."""

PRECISIONS = (MODEL, "f32", *NARROW)

ATTRIBUTE = "smartmem.precision"
"""Of a module: what ``--smartmem-narrow-tensors`` stores, ``f16``, ``bf16`` or ``f32``."""


def element_type(type_: ir.Type) -> str:
    """The element type of a tensor, or the type of a scalar, as MLIR prints it."""
    element = type_.element_type if isinstance(type_, ir.ShapedType) else type_
    return str(element) if isinstance(element, ir.FloatType) else ""


def precision_of(module: ir.Operation) -> str | None:
    """What the attribute says; None: there is none."""
    if ATTRIBUTE not in module.attributes:
        return None
    return str(ir.StringAttr(module.attributes[ATTRIBUTE]).value)


def set_precision(module: ir.Operation, precision: str) -> None:
    """Writes the attribute."""
    module.attributes[ATTRIBUTE] = ir.StringAttr.get(precision, module.context)
