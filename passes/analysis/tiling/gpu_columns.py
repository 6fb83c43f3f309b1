"""Tiles of a sum across rows on a GPU: a mean over all places of a picture, by channel.

The columns lie side by side, and a thread has one vector of them. It adds up all rows, some
of which it loads at once. Left to itself the code generator gives each thread a vector only
where the vectors of a subgroup divide the columns, else a single column.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import LoopNest, divisors, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.gpu_rows import GpuRows, blocks_of_threads
from smartmem.passes.analysis.tiling.gpu_tiles import THREAD, VECTOR

# Rows that a thread loads at once.
_STEP = 8

# With more rows, a subgroup for each column has shorter loops. The code generator chooses
# that where the subgroup's threads divide the rows.
MANY_ROWS = 256


def gpu_columns(operations: Sequence[ir.Operation], gpu: Gpu) -> GpuRows | Refusal | None:
    """How the threads share the columns of a kernel of these operations.

    Returns:
        The tiles of its only sum; None if it sums no rows up, column by column.
    """
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    sums = [nest for nest in nests if nest.reductions]
    if len(sums) != 1 or not _sums_rows(sums[0]):
        return None
    (nest,) = sums
    *outer, columns, rows = nest.domain
    if nest is not nests[0] or any(n.domain != nest.domain[:-1] for n in nests[1:]):
        return Refusal("it computes more than the sum of its rows, and what is made of it")
    if columns % VECTOR:
        return Refusal("no vector divides its columns")
    if rows > MANY_ROWS and rows % gpu.subgroup == 0:
        return Refusal("its rows are many: a subgroup sums up each column")
    x, y = blocks_of_threads((*outer, columns // VECTOR), gpu, whole=True)
    thread = [*(1 for _ in outer), VECTOR, 0]
    workgroup = [*(1 for _ in outer), VECTOR * x, 0]
    if outer:
        workgroup[-3] = y
    step = next(n for n in divisors(rows) if n <= _STEP)
    levels = (tuple(workgroup), tuple(thread), (*(0 for _ in nest.domain[:-1]), step))
    return GpuRows(THREAD, levels, (x, y, 1), "a thread for each vector of columns")


def _sums_rows(nest: LoopNest) -> bool:
    """Whether the sum is along the innermost loop, and operands lie along the one before."""
    column, row = len(nest.domain) - 2, len(nest.domain) - 1
    if nest.is_contraction or nest.uses_index or nest.reductions != {row} or column < 0:
        return False
    if nest.written != list(range(row)):
        return False
    read = nest.read
    across = any({column, row} <= set(loops) for loops in read)
    return across and all(column not in loops[:-1] for loops in read)
