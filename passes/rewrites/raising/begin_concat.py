"""Let a concat begin with the result of another one."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.rewrites.builders import tensor_ops as build


def begin_with(known: ir.Operation, op: ir.Operation, count: int) -> None:
    """Replaces the first ``count`` pieces of ``op`` by ``known``, which joins them."""
    axis = ir.IntegerAttr(op.attributes["dim"]).value
    pieces = [known.results[0], *list(op.operands)[count:]]
    with ir.InsertionPoint(op), op.location:
        joined = build.concat(pieces, axis, op.results[0].type)
    op.results[0].replace_all_uses_with(joined)
    op.erase()
