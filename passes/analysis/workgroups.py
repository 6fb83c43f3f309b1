"""What one workgroup of a kernel computes: rows and columns that stay in the cache of a core.

A workgroup that has fewer rows reads the weights again, one that has fewer columns the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from smartmem.passes.analysis.loops import LoopNest, divisors

# Columns of the result in one workgroup, where they are not packed.
COLUMNS = 64

# Bytes of rows, or of weights, that stay in the cache of a core while a workgroup uses them.
CACHED = 5 << 18

# Workgroups that a kernel has at least, where its loops give as many: threads that end
# early take over those that are left.
WORKGROUPS = 8

# Bytes of weights in one workgroup, for each row that they are used for. What few rows use
# streams from memory: many small workgroups let one thread compute while another one waits.
_WEIGHTS_PER_ROW = 1 << 11


def workgroup_sizes(
    nest: LoopNest, written: Sequence[int], vector: Sequence[int], beside: int
) -> list[int]:
    """What one workgroup computes: whole rows at first, then fewer, of some blocks of columns.

    A workgroup that has fewer rows reads the weights again, one that has fewer columns the
    rows. 3136 rows of 96 and 384 columns: 0.74 of the time with all columns and 392 rows
    instead of 32 columns and 784 rows; 77 rows of 3072 and 768 columns: 0.5 with all rows.
    """
    *rows, column = written
    extent = nest.domain
    sizes = [extent[d] if d in written else 0 for d in range(len(extent))]
    scalars = _scalar_loops(nest, column)
    if scalars and extent[column] % COLUMNS == 0:
        sizes[column] = COLUMNS
    blocks = [loop for loop in rows if scalars and loop not in scalars]
    for loop in blocks:
        sizes[loop] = 1  # a block of packed channels
    if blocks:
        sizes[blocks[-1]] = _blocks_together(nest, written, blocks[-1], sizes)
    row = 4 * (math.prod(extent[d] for d in nest.reductions) + beside)
    rows = [loop for loop in rows if loop not in blocks]
    for loop in rows:
        others = math.prod(sizes[d] for d in rows if d != loop and sizes[d])
        parts = math.ceil(extent[loop] * others / max(CACHED // row, 1))
        cached = _whole_parts(extent[loop], vector[loop], parts)
        fewest = math.ceil(WORKGROUPS / workgroup_count(sizes, extent))
        sizes[loop] = _part(extent[loop], vector[loop], max(cached, fewest))
    return sizes


def _scalar_loops(nest: LoopNest, column: int) -> set[int]:
    """The loops of operands that are read as scalars: the columns do not index them."""
    return {d for loops in nest.read_without(column) for d in loops}


def _blocks_together(
    nest: LoopNest, written: Sequence[int], blocks: int, sizes: Sequence[int]
) -> int:
    """How many blocks of packed channels one workgroup computes."""
    extent, column = nest.domain, written[-1]
    rows = math.prod(extent[d] for d in written if sizes[d] == extent[d] and d != column)
    operands = sum(column in loops for loops in nest.read)
    weights = 4 * operands * extent[column] * math.prod(extent[d] for d in nest.reductions)
    most = _WEIGHTS_PER_ROW * rows
    fitting = [n for n in divisors(extent[blocks]) if n * weights <= most] or [1]
    if extent[blocks] * weights <= CACHED:
        return fitting[0]  # rows are split then: weights that stay cached cost little twice
    others = workgroup_count(sizes, extent) // extent[blocks]
    return next((n for n in fitting if others * extent[blocks] // n >= WORKGROUPS), 1)


def _whole_parts(extent: int, block: int, parts: int) -> int:
    """The number of parts of whole blocks next to ``parts``, as a ratio; less if in doubt."""
    blocks = extent // block
    if extent % block or parts >= blocks:
        return parts
    return min(reversed(divisors(blocks)), key=lambda n: max(n / parts, parts / n))


def _part(extent: int, block: int, parts: int) -> int:
    """The largest number of whole blocks of ``extent`` that make it ``parts`` parts."""
    blocks = extent // block
    if extent % block or parts <= 1:
        return extent if parts <= 1 else block * math.ceil(math.ceil(extent / block) / parts)
    return block * next(n for n in divisors(blocks) if n * min(parts, blocks) <= blocks)


def workgroup_count(workgroup: Sequence[int], extent: Sequence[int]) -> int:
    """Number of workgroups of a kernel whose loops have these extents."""
    sizes = zip(workgroup, extent, strict=True)
    return math.prod(math.ceil(n / size) for size, n in sizes if size)
