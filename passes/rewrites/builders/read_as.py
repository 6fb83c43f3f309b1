"""Let views of views read the source itself."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.dialect import ViewOp, view
from smartmem.index_map import IndexMap, compose
from smartmem.passes.analysis.ir.movement import view_map
from smartmem.passes.rewrites.builders import tensor_ops as build


def read_as(op: ir.Operation, index_map: IndexMap, source: ir.Value) -> list[ir.Operation]:
    """Replaces ``op`` by a view of ``source``, and the views that read it likewise.

    Args:
        op: an operation whose result is ``source`` read through ``index_map``; it is erased.

    Returns:
        The views of ``source``, those of which something else than a view reads.
    """
    found = []
    for reader in [use.owner.operation for use in op.results[0].uses]:
        if reader.name == ViewOp.OPERATION_NAME and "domain" not in reader.attributes:
            found += read_as(reader, compose(view_map(reader), index_map), source)
    if list(op.results[0].uses):
        with ir.InsertionPoint(op), op.location:
            type_ = build.tensor_type(source, index_map.shape)
            new = view(source, index_map.to_affine(op.context), type_)
            op.results[0].replace_all_uses_with(new)
        found.append(new.owner.operation)
    op.erase()
    return found
