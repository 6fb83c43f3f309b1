"""Hoist a repeated part of an elementwise operation behind the producer of its operand.

Rewrites:
  f(x[h, w, c], g(y[c]))  ->  z = g(y); f(x[h, w, c], z[c])

  %r = linalg.generic over (h, w, c): %x[h, w, c] * sigmoid(%y[c])
    ->
  %z = linalg.generic over (c): sigmoid(%y[c])
  %r = linalg.generic over (h, w, c): %x[h, w, c] * %z[c]

Applies to functions and divisions of an operand with fewer dims than the operation. The operand
must be the result of an operation without other readers: the hoisted part becomes part of its
kernel. Why: upstream's fusion sinks such a part into the larger loop, where it is computed for
each element.

Keeps, with a remark, parts that would be a kernel of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.repeated_parts import repeated_part
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.algebra.compute_part import compute_part


@dataclass(frozen=True)
class ComputeOnce(Pass):
    """Moves repeated parts of elementwise operations to what makes their operands."""

    argument = "smartmem-compute-once"
    summary = "Compute repeated parts of elementwise operations once"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Moves the largest repeated part of each operation."""
        generics = [op for op in outer_operations(module) if op.name == "linalg.generic"]
        for op in context.each(generics):
            body = body_of(op, context.parameters)
            if isinstance(body, Refusal):
                continue
            part = repeated_part(body)
            if isinstance(part, Refusal):
                context.remark(self.argument, op, False, part.reason)
            elif part is not None:
                reason = "a part of it is computed once, where its operand is made"
                context.remark(self.argument, op, True, reason)
                compute_part(body, part)
