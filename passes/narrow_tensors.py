"""Store weights in 16 bits, and widen them where that costs no time.

Rewrites, where f16 or bf16 is asked for, or the model's own precision, which is the attribute
``smartmem.precision`` of the module:
  %w = arith.constant dense_resource : tensor<256x1024xf32>
    ->
  %n = arith.constant dense_resource : tensor<256x1024xf16>
  %w = linalg.generic ins(%n) { arith.extf }

For CPUs, weights that a kernel reads more than twice are widened when the module is loaded: the
file has half of the bytes, and the kernels are those of a model in f32. What it reads once, such
as the weights of a linear layer for one token, is widened in the kernel, which waits for memory:

  %y[n] += %x[k] * %w[k, n]
    ->
  %y[n] += %x[k] * arith.extf %n[k, n]

Why so late: the passes before see f32 alone, and so fold and pack weights of a model in half
precision as they do in f32. A factor that a weight takes up is rounded with it, once.

Keeps, with a remark, weights that the narrow type has no numbers for. Keeps small constants: they
cost no bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.errors import PassError
from smartmem.parameters import resource_key
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.precision.narrow_constants import NarrowConstant, narrow_constant
from smartmem.passes.analysis.precision.precisions import (
    MODEL,
    NARROW,
    PRECISIONS,
    precision_of,
)
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.convert_elements import convert_elements, with_element
from smartmem.passes.rewrites.precision.read_narrow import read_narrow

_FEW_READS = 2


@dataclass(frozen=True)
class NarrowTensors(Pass):
    """Gives tensors 16 bits where that pays on the target, and widens what kernels read."""

    argument = "smartmem-narrow-tensors"
    summary = "Store tensors in 16 bits, and widen them where they are read"

    precision: str = MODEL
    """f16, bf16 or f32; "model" is what the compilation asks for, or else the model's own."""

    fewest: int = 1024
    """Elements of a constant of which it pays to store fewer bytes."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Narrows the weights, or says why one stays."""
        precision = self._precision(module, context)
        if precision not in NARROW:
            return
        found = [
            (op, narrow_constant(op, precision, self.fewest, context.parameters))
            for op in outer_operations(module)
        ]
        for op, constant in context.each(
            [(op, c) for op, c in found if c is not None], lambda pair: pair[0]
        ):
            if isinstance(constant, Refusal):
                context.remark(self.argument, op, False, constant.reason)
            else:
                self._narrow(constant, precision, context)

    def _precision(self, module: ir.Operation, context: PassContext) -> str | None:
        asked = context.precision if self.precision == MODEL else self.precision
        if asked not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise PassError(
                self.argument, f"precision '{asked}' is unknown; use one of {known}"
            )
        return precision_of(module) if asked == MODEL else asked

    def _narrow(self, constant: NarrowConstant, precision: str, context: PassContext) -> None:
        op, wide = constant.op, constant.op.results[0]
        in_kernels = not isinstance(context.processor, Cpu) or constant.reads <= _FEW_READS
        where = "in kernels" if in_kernels else "at load"
        reason = f"{precision}, rounding error {constant.error:.1e}, widened {where}"
        context.remark(self.argument, op, True, reason)
        with op.location, ir.InsertionPoint.after(op):
            element = ir.Type.parse(precision)
            key = resource_key(op.attributes["value"]) or "narrow"
            narrow = constant_tensor(
                key, constant.array, with_element(wide.type, element), context.parameters
            )
            widened = narrow if in_kernels else convert_elements(narrow, wide.type.element_type)
        if in_kernels:
            read_narrow(wide, narrow)
        else:
            wide.replace_all_uses_with(widened)
        op.erase()
