"""Channels that no vector divides, and how many more are whole vectors of a CPU.

1512 channels are six blocks of 252, whose last vector is cut off, or 48 blocks of 32 with a
few channels more. All tensors that have these channels get the longer rows, from where
weights make them to where they are summed up, cut into groups or read in part: there a
kernel reads the first channels, at offsets, of rows between which it leaves gaps.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, view_map
from smartmem.passes.analysis.layout.packing import Packing, packing, whole_vectors
from smartmem.passes.analysis.operators.strided_slices import slice_of
from smartmem.passes.analysis.padding.row_padding import RowPadding, Search, sums_along

# More work than this part would be lost on channels that nobody reads.
_MOST = 0.04


def block_padding(
    op: ir.Operation, lanes: int, parameters: Parameters
) -> RowPadding | Refusal | None:
    """How the channels of a linear layer become whole vectors; None if there is no need."""
    packed = packing(op, lanes)
    if not isinstance(packed, Packing) or packed.width % lanes == 0 or packed.width < lanes:
        return None  # blocks of half a vector are whole ones, too
    old = packed.layer.width
    new = _fitting(old, lanes)
    if new is None:
        return Refusal("whole vectors of its channels would be much more work")
    search = Search(RowPadding(old, new), parameters, parts=True)
    found = search.run(op, packed.layer.channel)
    if isinstance(found, Refusal):
        return found
    return next(_refusals(found), None) or found


def _fitting(channels: int, lanes: int) -> int | None:
    """The fewest channels that are the widest blocks, up to ``_MOST`` more than ``channels``."""
    most = int(channels * (1 + _MOST))
    return next((n for n in whole_vectors(channels, lanes) if channels < n <= most), None)


def _refusals(found: RowPadding) -> Iterator[Refusal]:
    """Why readers that keep their channels could not read a part of longer rows in place."""
    longer = {value for value, _ in found.places}
    for value, d in found.places:
        for use in value.uses:
            op = use.owner.operation
            if op not in found.loops and not (op.results and op.results[0] in longer):
                reason = _refuse_part(use, d, found)
                if reason is not None:
                    yield Refusal(reason)


def _refuse_part(use: ir.OpOperand, d: int, found: RowPadding) -> str | None:
    op = use.owner.operation
    if op.name == ViewOp.OPERATION_NAME:
        # Where groups do not divide the longer rows, a kernel loads element by element.
        read = slice_of(view_map(op), found.shape(op.operands[0]))
        apart = "domain" in op.attributes or use.operand_number > 0 or read is None
        return "a view of its channels is no slice of longer rows" if apart else None
    nest = loop_nest(op)
    if nest is None:
        return f"{op.name} would read a copy of its channels"
    if sums_along(use, d) and not nest.is_contraction:
        return "a normalization has its channels, of which a kernel has all rows"
    return None
