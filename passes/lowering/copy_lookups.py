"""Give each kernel that reads a lookup a copy of it."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.lookups import is_lookup
from smartmem.passes.analysis.rows import row_operators


def copy_lookups(block: ir.Block) -> None:
    """Copies each lookup of ``block`` for each row-wise operator, or other reader.

    A copy that no kernel takes in costs nothing: iree-compile merges equal operations.
    """
    rows = {op: members[0] for members in row_operators(block) for op in members}
    for op in [o.operation for o in block.operations if is_lookup(o.operation)]:
        readers: dict[ir.Operation, list[ir.OpOperand]] = {}
        for use in op.results[0].uses:
            reader = use.owner.operation
            readers.setdefault(rows.get(reader, reader), []).append(use)
        for uses in list(readers.values())[1:]:
            with ir.InsertionPoint(op):
                copy = op.clone()
            for use in uses:
                use.owner.operands[use.operand_number] = copy.results[0]
