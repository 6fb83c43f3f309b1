"""Fuse concats with the elementwise operations that make their pieces, and read them.

Rewrites:
  concat(f(x), y)     ->  g(x, y), which computes f or takes y, by position
  h(concat(f(x), y))  ->  h(g(x, y)), in one operation

  %r = "smartmem.concat"(view of f(%x), view of %y) {domains = [(d0) -> (15 - d0), ...]}
    ->
  %r = linalg.generic ins(slice of %x, slice of %y) {
    %d = linalg.index 0; ...; arith.select %is_below_16, f(%x), %y
  }

Why: without it a concat is stored, each computed piece is a kernel, and each stored piece is a
copy. Fused, it is one kernel that computes by position, such as the rotary embedding of a part
of each head.

Keeps pieces that are the result of a contraction or normalization, whose kernel they belong to,
and pieces with expensive arithmetic: all pieces are computed for each element, and one is
selected.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.passes.analysis.gathers.elements import (
    Element,
    computes_pieces,
    computing_nest,
    element_of,
    loads,
)
from smartmem.passes.analysis.ir.accesses import ends_contraction, ends_window, is_row_wise
from smartmem.passes.base import Pass, PassContext, erase_if_unused, outer_operations
from smartmem.passes.rewrites.fusion.compute_elements import compute


@dataclass(frozen=True)
class FuseConcats(Pass):
    """Computes the pieces of a concat where it is stored, or read."""

    argument = "smartmem-fuse-concats"
    summary = "Fuse concats with the elementwise operations that make their pieces"

    max_loads: int = 8
    """How many different elements one element of the result may need."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites readers first: what reads a concat computes its pieces itself."""
        found = outer_operations(module)
        choosing = _choosing(found)
        for op in context.each(reversed(found)):
            # What a reader has taken in must not count as a reader of what comes next.
            if erase_if_unused(op) or not _may_be_root(op, choosing):
                continue
            element = element_of(op.results[0])
            if computes_pieces(element):
                self._fuse(op, element, context)

    def _fuse(self, op: ir.Operation, element: Element, context: PassContext) -> None:
        if (needed := len(loads(element))) > self.max_loads:
            reason = f"{needed} elements would be read for each one, not {self.max_loads}"
            context.remark(self.argument, op, False, reason)
            return
        context.remark(self.argument, op, True, "one operation computes all pieces")
        result = op.results[0]
        with ir.InsertionPoint(op), op.location:
            new = compute(element, result.type, context)
        result.replace_all_uses_with(new)
        op.erase()


def _choosing(found: Sequence[ir.Operation]) -> set[ir.Value]:
    """The values whose elements may be chosen from pieces: of concats, paddings, and behind.

    Args:
        found: operations in program order.
    """
    choosing: set[ir.Value] = set()
    for op in found:
        if _chooses(op) or (any(v in choosing for v in op.operands) and _passes_on(op)):
            choosing.update(op.results)
    return choosing


def _chooses(op: ir.Operation) -> bool:
    is_padding = op.name == ViewOp.OPERATION_NAME and "domain" in op.attributes
    return is_padding or op.name == ConcatOp.OPERATION_NAME


def _passes_on(op: ir.Operation) -> bool:
    return op.name == ViewOp.OPERATION_NAME or computing_nest(op) is not None


def _may_be_root(op: ir.Operation, choosing: Container[ir.Value]) -> bool:
    if not op.results or op.results[0] not in choosing:
        return False
    if op.name == ConcatOp.OPERATION_NAME:
        return True
    if computing_nest(op) is None:
        return False
    return not (ends_contraction(op) or ends_window(op) or is_row_wise(op))
