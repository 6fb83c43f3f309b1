"""Tile sizes to try for a contraction on a GPU: neighbours of those that it has.

Like ``candidates`` for CPUs: one property changes at a time. All are legal for the target,
and none has a block that is cut off.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import LoopNest, divisors
from smartmem.passes.analysis.tiling.gpu_tiles import VECTOR, GpuTiles, fits, threads_of

# Results of one thread at most: twice as many as are computed to be good. What spills on a
# phone does not where the registers are a cache, but drivers take long for more.
_RESULTS = 128
_ROWS = 16
_WIDTHS = (VECTOR, 2 * VECTOR, 4 * VECTOR)
_STEPS = (1, 2, VECTOR, 2 * VECTOR, 4 * VECTOR)


def shader_rounds(nest: LoopNest, gpu: Gpu) -> list[ShaderNeighbours]:
    """The rounds of a search, in order: what a thread does, then a workgroup."""
    return [ShaderNeighbours(w, nest, gpu) for w in ("thread", "workgroup", "reduction")]


class ShaderNeighbours:
    """The tile sizes that differ from given ones in one property."""

    def __init__(self, what: str, nest: LoopNest, gpu: Gpu) -> None:
        self.what = what
        self._nest, self._gpu = nest, gpu
        self._written = nest.loops_of(2)

    def of(self, tiles: GpuTiles) -> list[GpuTiles]:
        """The neighbours of ``tiles``, without them."""
        found = {"thread": self._thread, "workgroup": self._workgroup}.get(
            self.what, self._reduction
        )(tiles)
        return [
            other
            for other in dict.fromkeys(found)
            if other != tiles and fits(other, self._nest, self._gpu)
        ]

    def _thread(self, tiles: GpuTiles) -> Iterator[GpuTiles]:
        """Other blocks of rows and columns, for as many threads if they still divide."""
        column, row = self._written[-1], self._row()
        heights = [1] if row is None else divisors(self._nest.domain[row])
        widths = {self._block(tiles, column), *_WIDTHS}
        for width, height in itertools.product(sorted(widths), heights):
            fills = self._nest.domain[column] % width == 0
            if fills and height <= _ROWS and width * height <= _RESULTS:
                rows = {} if row is None else {row: height}
                yield from self._with(tiles, {column: width, **rows}, {})

    def _workgroup(self, tiles: GpuTiles) -> Iterator[GpuTiles]:
        """Fewer and more threads along the loops that they share out, also in exchange."""
        shared = [d for d in self._written if tiles.thread[d]]
        choices = [self._counts(tiles, d) for d in shared]
        for counts in itertools.product(*choices):
            yield from self._with(tiles, {}, dict(zip(shared, counts, strict=True)))

    def _reduction(self, tiles: GpuTiles) -> Iterator[GpuTiles]:
        """Other numbers of steps that are unrolled."""
        for loop in self._nest.reductions:
            vectors = tiles.reduction[loop] % VECTOR == 0
            for step in _STEPS:
                if vectors and step % VECTOR:
                    continue  # scalar loads instead of vectors
                steps = list(tiles.reduction)
                steps[loop] = step
                yield GpuTiles(tiles.workgroup, tiles.thread, tuple(steps), tiles.threads)

    def _with(
        self, tiles: GpuTiles, blocks: Mapping[int, int], counts: Mapping[int, int]
    ) -> Iterator[GpuTiles]:
        """The tiles with other blocks of a thread, and other numbers of threads, by loop."""
        workgroup, thread = list(tiles.workgroup), list(tiles.thread)
        for loop in self._written:
            size = blocks.get(loop, self._block(tiles, loop))
            if not tiles.thread[loop]:  # all of a workgroup's columns are one thread's
                workgroup[loop] = size if tiles.workgroup[loop] else 0
                continue
            most = counts.get(loop, tiles.workgroup[loop] // tiles.thread[loop])
            fitting = (n for n in divisors(self._nest.domain[loop] // size) if n <= most)
            workgroup[loop], thread[loop] = size * next(fitting, 1), size
        threads = threads_of(workgroup, thread)
        if threads is not None:
            yield GpuTiles(tuple(workgroup), tuple(thread), tiles.reduction, threads)

    def _counts(self, tiles: GpuTiles, loop: int) -> list[int]:
        """The number of threads along a loop, the next smaller and the next larger."""
        now = tiles.workgroup[loop] // tiles.thread[loop]
        known = divisors(self._nest.domain[loop] // tiles.thread[loop])
        larger = [n for n in known if n > now][-1:]
        return [now, *(n for n in known if n < now)][:2] + larger

    def _block(self, tiles: GpuTiles, loop: int) -> int:
        return tiles.thread[loop] or tiles.workgroup[loop] or self._nest.domain[loop]

    def _row(self) -> int | None:
        """The innermost loop of rows: one that a single operand has."""
        shared = set(self._nest.loops_of(0)) & set(self._nest.loops_of(1))
        rows: Sequence[int] = [d for d in self._written[:-1] if d not in shared]
        return rows[-1] if rows else None
