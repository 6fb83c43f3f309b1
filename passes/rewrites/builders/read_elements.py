"""Let what reads a tensor element by element read another one instead."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import tensor

from smartmem.index_map import IndexMap
from smartmem.passes.rewrites.builders.index_arithmetic import compute_index

EXTRACT = "tensor.extract"


def extracts(value: ir.Value) -> list[ir.Operation]:
    """The operations that read ``value`` element by element."""
    return [u.owner.operation for u in value.uses if u.owner.operation.name == EXTRACT]


def read_element(extract: ir.Operation, source: ir.Value, index_map: IndexMap) -> None:
    """Lets ``extract`` read the same element of ``source``.

    Args:
        index_map: index of what it reads now -> index of ``source``.
    """
    with ir.InsertionPoint(extract), extract.location:
        at = list(extract.operands)[1:]
        indices = [compute_index(e, at, index_map.shape) for e in index_map.exprs]
        extract.results[0].replace_all_uses_with(tensor.extract(source, indices))
    extract.erase()
