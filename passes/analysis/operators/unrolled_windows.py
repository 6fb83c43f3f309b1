"""Unrolled windows: operations that combine several slices of one tensor."""

from __future__ import annotations

from torch_mlir import ir

_SLICE = "tensor.extract_slice"


def is_window_sum(op: ir.Operation) -> bool:
    """Whether ``op`` reads several slices of one tensor: what a window has become."""
    sources = [
        value.owner.operands[0]
        for value in op.operands
        if not isinstance(value.owner, ir.Block) and value.owner.name == _SLICE
    ]
    return len(set(sources)) < len(sources)
