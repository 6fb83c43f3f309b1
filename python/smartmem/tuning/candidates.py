"""Tile sizes to try for a kernel: neighbours of those that it has.

One property changes at a time, so that a round is short; the best of a round is where the
next one starts from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.cpu_workgroups import WORKGROUPS, workgroup_count

_ROWS = (1, 2, 4, 6, 7, 8, 10, 12, 13, 14, 16)
_STEPS = (1, 2, 4, 8)


def rounds(nest: LoopNest, vectors: Vectors) -> list[Neighbours]:
    """The rounds of a search, in order: registers first, then what a workgroup does."""
    return [
        Neighbours("vector", nest, vectors),
        Neighbours("reduction", nest, vectors),
        Neighbours("workgroup", nest, vectors),
    ]


class Neighbours:
    """The tile sizes that differ from given ones in one property."""

    def __init__(self, what: str, nest: LoopNest, vectors: Vectors) -> None:
        self.what = what
        self._nest, self._vectors = nest, vectors

    def of(self, tiles: TileSizes) -> list[TileSizes]:
        """The neighbours of ``tiles``, without them."""
        found = {"vector": self._vector, "reduction": self._reduction}.get(
            self.what, self._workgroup
        )(tiles)
        return [t for t in dict.fromkeys(found) if t != tiles]

    def _vector(self, tiles: TileSizes) -> Iterator[TileSizes]:
        """Other numbers of rows and of vectors in registers."""
        column = self._column()
        blocked = [d for d, n in enumerate(tiles.vector) if n > 1 and d != column]
        lanes, registers = self._vectors.lanes, self._vectors.registers
        rows = blocked[-1] if blocked else self._row(column)
        for width in (lanes, 2 * lanes, 4 * lanes):
            if width > self._nest.domain[column]:
                continue
            for height in _ROWS if rows is not None else ():
                fits = tiles.peeled or self._nest.domain[rows] % height == 0  # type: ignore[index]
                if fits and height * width <= registers * lanes:
                    yield self._with_block(tiles, {rows: height, column: width})

    def _with_block(self, tiles: TileSizes, sizes: dict[int | None, int]) -> TileSizes:
        """The tiles with another block, and workgroups of whole blocks."""
        vector, workgroup = list(tiles.vector), list(tiles.workgroup)
        for loop, size in sizes.items():
            assert loop is not None
            vector[loop] = size
            if workgroup[loop] and workgroup[loop] % size:
                whole = -(-workgroup[loop] // size) * size
                workgroup[loop] = min(whole, self._nest.domain[loop])
        return replace(tiles, workgroup=tuple(workgroup), vector=tuple(vector))

    def _reduction(self, tiles: TileSizes) -> Iterator[TileSizes]:
        """Other numbers of steps that are unrolled."""
        for loop in self._nest.reductions:
            if not tiles.reduction[loop]:
                continue
            for step in _STEPS:
                if self._nest.domain[loop] % step == 0:
                    steps = list(tiles.reduction)
                    steps[loop] = step
                    yield replace(tiles, reduction=tuple(steps))

    def _workgroup(self, tiles: TileSizes) -> Iterator[TileSizes]:
        """Smaller and larger workgroups, by half, double and whole loops.

        Not fewer than threads of other machines could run: the table is for them, too.
        """
        least = min(WORKGROUPS, workgroup_count(tiles.workgroup, self._nest.domain))
        for loop, size in enumerate(tiles.workgroup):
            block = tiles.vector[loop] or 1
            extent = self._nest.domain[loop]
            if not size and loop in self._nest.reductions:
                continue
            now = size or extent
            for other in (now // 4, now // 2, 2 * now, 4 * now, extent):
                whole = min(max(other // block, 1) * block, extent)
                sizes = list(tiles.workgroup)
                sizes[loop] = whole
                if workgroup_count(sizes, self._nest.domain) < least:
                    continue
                yield replace(tiles, workgroup=tuple(sizes))

    def _column(self) -> int:
        return self._nest.written[-1]

    def _row(self, column: int) -> int | None:
        written = self._nest.written
        rows = [loop for loop in written if loop != column]
        return rows[-1] if rows else None
