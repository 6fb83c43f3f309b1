"""Which loops of a contraction are to be longer, and the classes of dims that become so.

A loop over rows is best a multiple of the rows of a block of registers: 197 tokens are a prime
number, 208 are 16 blocks of 13. A loop over columns is best a multiple of a vector: of 49 keys
only the first row begins where a vector can, and the last vector of 1512 channels is cut off.
How much more work that may be the target says (``backend/targets/processor.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu, Processor
from smartmem.backend.targets.vectors import Vectors
from smartmem.dialect import ViewOp
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, is_view, view_map
from smartmem.passes.analysis.layout.packing import Packing, packing
from smartmem.passes.analysis.operators.strided_slices import slice_of
from smartmem.passes.analysis.padding.dim_classes import DimClass, Search, sums_along
from smartmem.passes.analysis.tiling.cpu_tiles import dividing_rows

# More work than this part would be lost on rows that nobody reads.
_MOST_ROWS = 0.08

# Fewer rows in a block leave most of the registers unused, and read columns about once.
_FEW = 4

_FEWEST_ROWS = 32

Found = DimClass | Refusal | None


@dataclass(frozen=True)
class Padding:
    """A class of dims that is to be longer.

    Attributes:
        found: the class.
        role: of the loop, in the plural: ``columns``.
        use: of its new length: ``whole vectors``.
    """

    found: DimClass
    role: str
    use: str

    def __str__(self) -> str:
        return f"{self.found.new} {self.role} instead of {self.found.old}: {self.use}"


def paddings(
    op: ir.Operation, processor: Processor, parameters: Parameters
) -> Iterator[Padding | Refusal]:
    """The loops of a contraction that are to be longer, one by one, or why they are not."""
    nest = plain_nest(op)
    if isinstance(nest, Refusal) or not nest.is_contraction or not nest.loops_of(2):
        return
    for decide, role, use in _ROLES:
        found = decide(op, nest, processor, parameters)
        if found is not None:
            yield found if isinstance(found, Refusal) else Padding(found, role, use)


def longer_rows(rows: int, vectors: Vectors) -> int | None:
    """The number of rows to compute instead of ``rows``; None if they are well as they are."""
    highest = vectors.rows_of(2)
    if rows < _FEWEST_ROWS or dividing_rows(rows, highest) >= _FEW:
        return None
    most = int(rows * (1 + _MOST_ROWS))
    fitting = [n for n in range(rows, most + 1) if dividing_rows(n, highest) > highest // 2]
    even = [n for n in fitting if n % vectors.lanes == 0]
    return next(iter(even or fitting), None)


def _rows(
    op: ir.Operation, nest: LoopNest, processor: Processor, parameters: Parameters
) -> Found:
    """Of a linear layer: those dims of its result that its data has."""
    layer = linear_layer(op)
    if not isinstance(layer, LinearLayer):
        return None
    rows = [d for d in nest.loops_of(2) if d in nest.loops_of(layer.data)]
    old = nest.domain[rows[0]] if len(rows) == 1 else 0
    new = longer_rows(old, processor.vectors)
    if new is None:
        return None
    # Sums along the rows, as columns of a softmax, are masked where that makes whole vectors.
    columns = processor.masked_columns
    masks = columns is not None and any(new % n == 0 for n in columns.multiples)
    found = Search(DimClass(old, new), parameters, masks=masks).run(op, rows[0])
    if masks and isinstance(found, Refusal):
        return Search(DimClass(old, new), parameters).run(op, rows[0])
    return found


def _masked_columns(
    op: ir.Operation, nest: LoopNest, processor: Processor, parameters: Parameters
) -> Found:
    """Of scores, which become weights of a sum."""
    loop, wanted = nest.loops_of(2)[-1], processor.masked_columns
    old = nest.domain[loop]
    lengths = [] if wanted is None or wanted.fits(old) else wanted.longer(old)
    if not lengths:
        return None
    new = lengths[0]
    found = Search(DimClass(old, new), parameters).narrow(op, loop)
    if isinstance(found, DimClass) and found.zeros is not None:
        rows = longer_rows(old, processor.vectors)
        if rows is not None and not is_view(found.zeros[0]):
            return Refusal("all rows of its keys are padded")
    return found


def _columns(
    op: ir.Operation, nest: LoopNest, processor: Processor, parameters: Parameters
) -> Found:
    """The innermost dim of what it computes, which nothing sums on GPUs."""
    loop, wanted = nest.loops_of(2)[-1], processor.columns
    old = nest.domain[loop]
    if wanted.fits(old) or not _has_blocks(op, nest, processor):
        return None
    lengths = wanted.longer(old)
    if not lengths:
        return Refusal("whole vectors of its columns would be much more work")
    found = [
        _longer_columns(op, DimClass(old, new), loop, processor, parameters) for new in lengths
    ]
    return next((f for f in found if not isinstance(f, Refusal)), found[0])


def _longer_columns(
    op: ir.Operation, wanted: DimClass, loop: int, processor: Processor, parameters: Parameters
) -> Found:
    parts = not isinstance(processor, Gpu)  # a kernel sums up the first ones at offsets
    found = Search(wanted, parameters, parts=parts).run(op, loop)
    if isinstance(found, Refusal):
        return found
    summed = any(sums_along(use, d) for value, d in found.places for use in value.uses)
    if summed and not parts:
        return None
    return next(readers_in_place(found), None) or found


def _has_blocks(op: ir.Operation, nest: LoopNest, processor: Processor) -> bool:
    """Whether vectors of columns are used for several rows."""
    if isinstance(processor, Gpu):
        return math.prod(nest.domain[d] for d in nest.loops_of(2)[:-1]) >= _FEW
    packed = packing(op, processor.vectors.lanes)
    # Blocks of half a vector are whole ones, too.
    return isinstance(packed, Packing) and packed.width >= processor.vectors.lanes


def readers_in_place(found: DimClass) -> Iterator[Refusal]:
    """Why readers that keep a dim could not read the first elements of it in place, if so."""
    longer = {value for value, _ in found.places}
    for value, d in found.places:
        for use in value.uses:
            op = use.owner.operation
            if op not in found.loops and not (op.results and op.results[0] in longer):
                reason = _refuse_part(use, d, found)
                if reason is not None:
                    yield Refusal(reason)


def _refuse_part(use: ir.OpOperand, d: int, found: DimClass) -> str | None:
    op = use.owner.operation
    if op.name == ViewOp.OPERATION_NAME:
        # Where groups do not divide the longer rows, a kernel loads element by element.
        read = slice_of(view_map(op), found.shape(op.operands[0]))
        apart = "domain" in op.attributes or use.operand_number > 0 or read is None
        return "a view of its columns is no slice of longer rows" if apart else None
    nest = loop_nest(op)
    if nest is None:
        return f"{op.name} would read a copy of its columns"
    if sums_along(use, d) and not nest.is_contraction:
        return "a normalization has its columns, of which a kernel has all rows"
    return None


_ROLES = (
    (_masked_columns, "keys", "whole vectors"),
    (_columns, "columns", "whole vectors"),
    (_rows, "rows", "whole blocks"),
)
