"""Unrolled windows: operations that combine several slices of one tensor."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.ir.chains import defining_op

_SLICE = "tensor.extract_slice"


def is_window_sum(op: ir.Operation) -> bool:
    """Whether ``op`` reads several slices of one tensor: what a window has become."""
    sources: set[ir.Value] = set()
    for maker in filter(None, map(defining_op, op.operands)):
        if maker.name != _SLICE:
            continue
        if maker.operands[0] in sources:  # early: a window of 7 x 7 is 49 slices
            return True
        sources.add(maker.operands[0])
    return False
