"""Bound how many elementwise operations are fused into one.

Rewrites:
  elementwise(elementwise(... elementwise(x)))   of more operations than the bound
    ->
  the same with an identity view in the middle, which fusion does not look through

  %b = linalg.exp ins(%a)  ->  %v = "smartmem.view"(%a) {map = identity}; %b = linalg.exp ins(%v)

Why: upstream's fusion, the vectorizer and register allocation take time quadratic in the size
of a body. ``smartmem-compose-views`` removes the views again; the plan of kernels has a bound
of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import view
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.base import Pass, PassContext, outer_operations


@dataclass(frozen=True)
class BoundFusion(Pass):
    """Cuts long chains of elementwise operations into parts that are fused each."""

    argument = "smartmem-bound-fusion"
    summary = "Bound how many elementwise operations are fused into one"

    max_operations: int = 128
    """Scalar operations in one fused body, but where one operation has more by itself."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Goes along the operations in program order, counting what fusion would make."""
        sizes: dict[ir.Value, int] = {}
        for op in context.each([op for op in outer_operations(module) if _is_elementwise(op)]):
            own = len(op.regions[0].blocks[0].operations)
            fused = {v for v in op.operands if v in sizes and _is_read_once(v)}
            while fused and own + sum(sizes[v] for v in fused) > self.max_operations:
                longest = max(fused, key=sizes.__getitem__)
                fused.remove(longest)
                reason = f"more than {self.max_operations} operations in one body"
                context.remark(self.argument, op, True, reason)
                _cut(op, longest)
            sizes[op.results[0]] = own + sum(sizes[v] for v in fused)


def _is_elementwise(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and nest.is_elementwise


def _is_read_once(value: ir.Value) -> bool:
    return len({use.owner for use in value.uses}) == 1


def _cut(op: ir.Operation, value: ir.Value) -> None:
    with ir.InsertionPoint(op), op.location:
        rank = value.type.rank
        kept = view(value, projection(rank, range(rank)), value.type)
    for number, operand in enumerate(op.operands):
        if operand == value:
            op.operands[number] = kept
