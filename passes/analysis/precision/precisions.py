"""The type that a model is to be stored in, as an attribute of its module."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu, Processor
from smartmem.passes.analysis.ir.movement import Refusal

NARROW = ("f16", "bf16")
"""The floats of 16 bits."""

MODEL = "model"
"""What the model itself computes in."""

AUTO = "auto"
"""What the error allows."""

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


def refuse_type(precision: str, processor: Processor) -> Refusal | None:
    """Why a processor stores nothing in this type of 16 bits."""
    if not isinstance(processor, Gpu):
        return None  # of CPUs the initializers and kernels widen it
    if precision == "bf16":
        return Refusal("iree-compile 3.13 makes no SPIR-V of vectors of bf16")
    if not processor.stores_halves:
        return Refusal("the target's kernels load no 16 bits")
    return None
