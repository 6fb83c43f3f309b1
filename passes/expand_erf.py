"""Compute the error function, which GELU has, as one quotient of two polynomials.

Rewrites:
  erf(x)  ->  y * P(y * y) / Q(y * y), where y is x between -3.92 and 3.92

  %r = math.erf %x : f32
    ->
  %0 = arith.maximumf %x, %low : f32
  %y = arith.minimumf %0, %high : f32
  %z = arith.mulf %y, %y : f32
  %p = (arith.mulf, arith.addf, five times, and five for %q)
  %n = arith.mulf %y, %p : f32
  %r = arith.divf %n, %q : f32

Why: iree-compile selects the coefficients of one of four polynomials for each element; the
quotient selects nothing. It is off by at most 3.2e-7.

Keeps, with a remark, erf of other types than f32.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.base import Pass, PassContext, operations
from smartmem.passes.rewrites.algebra.rational_erf import rational_erf


@dataclass(frozen=True)
class ExpandErf(Pass):
    """Replaces each erf of a scalar by arithmetic."""

    argument = "smartmem-expand-erf"
    summary = "Compute the error function as one quotient of two polynomials"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Replaces math.erf inside of all operations."""
        for op in context.each([op for op in operations(module) if op.name == "math.erf"]):
            type_ = op.results[0].type
            if not isinstance(type_, ir.F32Type):
                context.remark(self.argument, op, False, f"it is of type {type_}, not f32")
                continue
            with op.location, ir.InsertionPoint(op):
                value = rational_erf(op.operands[0])
            op.results[0].replace_all_uses_with(value)
            context.remark(self.argument, op, True, "one quotient of two polynomials")
            op.erase()
