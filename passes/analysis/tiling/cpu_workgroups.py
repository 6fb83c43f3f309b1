"""What one workgroup of a kernel computes: rows and columns that stay in the cache of a core.

A workgroup that has fewer rows reads the weights again, one that has fewer columns the rows.
3136 rows of 96 and 384 columns: 0.74 of the time with all columns and 392 rows instead of 32
columns and 784 rows; 77 rows of 3072 and 768 columns: 0.5 with all rows. All choices are few:
every one is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from smartmem.passes.analysis.ir.loops import LoopNest, divisors
from smartmem.passes.analysis.tiling.cpu_workers import waiting

# Columns of the result in one workgroup, where they are not packed.
COLUMNS = 64

# Numbers of workgroups that rows are split for, where the loops give as many. A worker without
# any falls asleep, and is late for the next kernel: EfficientViT-B1 took 1.04 of the time with
# one workgroup in its smallest kernels.
_GOALS = range(4, 33)

# Workgroups that measured tile sizes have at least.
WORKGROUPS = 8

# Bytes of rows that stay in the cache of a core while a workgroup uses them, and of weights.
_CACHED_ROWS = 5 << 18
_CACHED_WEIGHTS = 1 << 20

# Blocks in a workgroup whose last one has fewer rows.
_FEWEST_BLOCKS = 4

# What it takes to start a workgroup, in multiplications of a contraction; what an element of a
# row of a softmax or a normalization takes, and one of a window that slides: that is less than
# its taps, as each workgroup reads weights and rows beside its own again. Of a single row, a
# multiplication takes as long as reading its weight.
_START = 1 << 16
_OF_ROW = 32
_OF_WINDOW = 4
_OF_SINGLE_ROW = 16

# Parts of a kernel's time, as measured. Weights that one workgroup streams from memory before
# it computes with them again: for all that the cache holds. Columns that are all in one
# workgroup, which writes whole rows. Weights read again from memory, for each row of the
# kernel: what a multiplication takes longer to read than to compute.
_STREAM = 0.1
_WHOLE_ROWS = 0.08
_READ_AGAIN = 12


def workgroup_sizes(nest: LoopNest, vector: Sequence[int], beside: int) -> list[int]:
    """What one workgroup computes, for each loop: some rows of some blocks of columns.

    Args:
        vector: the block of results that is kept in registers.
        beside: elements of each row that the kernel reads for other sums.
    """
    return list(_best_sizes(nest, tuple(vector), beside))


@lru_cache(maxsize=1024)  # the layers of a network are alike
def _best_sizes(nest: LoopNest, vector: tuple[int, ...], beside: int) -> tuple[int, ...]:
    choices = _Choices(nest, vector, beside)
    different = dict.fromkeys(map(tuple, choices.all()))
    return min(different, key=choices.cost)


def row_workgroups(extent: Sequence[int]) -> list[int]:
    """The rows that one workgroup of a softmax or a normalization computes.

    Args:
        extent: of its loops, the innermost one along the rows.
    """
    work = _OF_ROW * math.prod(extent)
    choices = (_split(extent[:-1], goal) for goal in _GOALS)
    return min(choices, key=lambda sizes: _time(workgroup_count(sizes, extent[:-1]), work))


def single_row_time(count: int, weights: int) -> float:
    """The time of a layer of one row in ``count`` workgroups, over that of reading weights."""
    return _time(count, _OF_SINGLE_ROW * weights)


def _split(extent: Sequence[int], goal: int) -> list[int]:
    """Sizes that make loops ``goal`` parts, or some more, the outermost loops first."""
    sizes = list(extent)
    for loop, size in enumerate(extent):
        sizes[loop] = _part(size, 1, math.ceil(goal / workgroup_count(sizes, extent)))
    return sizes


def _time(count: int, work: int) -> float:
    """The time of ``count`` workgroups that do ``work`` in all, over that of the work alone."""
    return waiting(count) + count * _START / work


@dataclass(frozen=True)
class _Choices:
    """The workgroups that a kernel can have, and what they cost."""

    nest: LoopNest
    vector: Sequence[int]
    beside: int

    def all(self) -> Iterator[list[int]]:
        """The sizes of each; those with the fewest workgroups first."""
        joined = self.vector[self._blocks[-1]] if self._blocks else 1
        if self._extent_of_blocks % joined:  # the last of them is cut off: all in one
            joined = self._extent_of_blocks
        for together in divisors(self._extent_of_blocks):
            fits = together == joined or together * self._weights <= _CACHED_WEIGHTS
            if fits and together % joined == 0:
                for goal in _GOALS:
                    yield self._sizes(together, goal)

    def cost(self, sizes: Sequence[int]) -> float:
        """The time of the kernel with these workgroups, over that of multiplying alone."""
        extent = self.nest.domain
        if self.nest.is_single_row:
            return single_row_time(workgroup_count(sizes, extent), math.prod(extent))
        work = math.prod(extent) * (1 if self.nest.is_contraction else _OF_WINDOW)
        return _time(workgroup_count(sizes, extent), work) + self._reading(sizes)

    def _reading(self, sizes: Sequence[int]) -> float:
        """What reading weights adds to the time."""
        if not self._blocks:
            return 0.0
        last = self._blocks[-1]
        blocks, together = self._extent_of_blocks, sizes[last]
        fits = blocks * self._weights <= _CACHED_WEIGHTS
        if fits and together == blocks:
            return -_WHOLE_ROWS
        rows = math.prod(self.nest.domain[d] for d in self._rows)
        parts = math.prod(math.ceil(self.nest.domain[d] / sizes[d]) for d in self._rows)
        again = 0 if fits else (parts - 1) * _READ_AGAIN / rows
        return _STREAM * together * self._weights / _CACHED_WEIGHTS + again

    def _sizes(self, together: int, goal: int) -> list[int]:
        """Rows that stay cached, in parts that make it ``goal`` workgroups if they can."""
        extent, column = self.nest.domain, self._written[-1]
        sizes = [extent[d] if d in self._written else 0 for d in range(len(extent))]
        if self.nest.scalar_loops and extent[column] % COLUMNS == 0:
            sizes[column] = COLUMNS
        for loop in self._blocks:
            sizes[loop] = 1  # a block of packed channels
        if self._blocks:
            sizes[self._blocks[-1]] = together
        row = 4 * (math.prod(extent[d] for d in self.nest.reductions) + self.beside)
        for loop in self._rows:
            others = math.prod(sizes[d] for d in self._rows if d != loop)
            parts = math.ceil(extent[loop] * others / max(_CACHED_ROWS // row, 1))
            cached = _whole_parts(extent[loop], self.vector[loop], parts)
            fewest = math.ceil(goal / workgroup_count(sizes, extent))
            sizes[loop] = _part(extent[loop], self.vector[loop], max(cached, fewest))
        return sizes

    @cached_property
    def _written(self) -> list[int]:
        """The loops of the result; the last one has its columns."""
        return self.nest.written

    @cached_property
    def _blocks(self) -> list[int]:
        return self.nest.packed_blocks

    @cached_property
    def _rows(self) -> list[int]:
        return [d for d in self._written[:-1] if d not in self._blocks]

    @cached_property
    def _extent_of_blocks(self) -> int:
        return self.nest.domain[self._blocks[-1]] if self._blocks else 1

    @cached_property
    def _weights(self) -> int:
        """Bytes of the weights of one block."""
        extent, column = self.nest.domain, self._written[-1]
        operands = sum(column in loops for loops in self.nest.read)
        return (
            4 * operands * extent[column] * math.prod(extent[d] for d in self.nest.reductions)
        )


def _whole_parts(extent: int, block: int, parts: int) -> int:
    """The number of parts of whole blocks next to ``parts``, as a ratio; less if in doubt."""
    blocks = extent // block
    if extent % block or parts >= blocks:
        return parts
    return min(reversed(divisors(blocks)), key=lambda n: max(n / parts, parts / n))


def _part(extent: int, block: int, parts: int) -> int:
    """The largest number of whole blocks of ``extent`` that make it ``parts`` parts.

    Where the last block has fewer rows, parts of equal size, each with such a block; all in
    one where that would be too many of them. Sizes must not differ: blocks would be
    computed row by row.
    """
    blocks = extent // block
    if parts <= 1:
        return extent
    if extent % block:
        size = next((n for n in divisors(extent) if n * parts <= extent), 1)
        return size if size >= _FEWEST_BLOCKS * block else extent
    return block * next(n for n in divisors(blocks) if n * min(parts, blocks) <= blocks)


def workgroup_count(workgroup: Sequence[int], extent: Sequence[int]) -> int:
    """Number of workgroups of a kernel whose loops have these extents."""
    sizes = zip(workgroup, extent, strict=True)
    return math.prod(math.ceil(n / size) for size, n in sizes if size)
