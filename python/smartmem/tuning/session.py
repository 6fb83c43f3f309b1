"""Measures the kernels of a model within a budget of time, and keeps what it learns.

Every kernel that is done is saved at once, so that a session which was interrupted, or
whose time was over, goes on where it ended.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from smartmem.passes.analysis.tile_sizes import TileSizes
from smartmem.tuning.candidates import rounds
from smartmem.tuning.kernels import KernelCase
from smartmem.tuning.measure import MARGIN, Bench
from smartmem.tuning.table import Measured, Table

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called as ``progress(kernel, index, count)`` before each kernel and when all are over."""


@dataclass(frozen=True)
class Outcome:
    """What a session did.

    Attributes:
        measured: kernels measured now.
        faster: those of them for which faster tile sizes were found.
        known: kernels that the table had already.
        left: kernels for which the time was over.
    """

    measured: int
    faster: int
    known: int
    left: int


class Session:
    """Fills a table with what is fastest for given kernels."""

    def __init__(
        self, table: Table, bench: Bench, save: Callable[[Table], None], budget_s: float
    ) -> None:
        """
        Args:
            table: changed in place.
            save: called after each kernel.
            budget_s: wall time; the kernel that is measured when it is over is finished.
        """
        self._table, self._bench, self._save = table, bench, save
        self._end = time.monotonic() + budget_s

    def run(self, cases: Iterable[KernelCase], progress: Progress | None = None) -> Outcome:
        """Measures each kernel that the table does not know, in the order given."""
        cases = list(cases)
        waiting = [case for case in cases if case.key not in self._table.kernels]
        measured = faster = 0
        for number, case in enumerate(waiting):
            if time.monotonic() > self._end:
                break
            if progress is not None:
                progress(case.name, number, len(waiting))
            found = self._best(case)
            if found is not None:
                self._table.kernels[case.key] = found
                self._save(self._table)
                faster += found.tiles is not None
            measured += 1
        if progress is not None:
            progress("done", len(waiting), len(waiting))
        left = len(waiting) - measured
        return Outcome(measured, faster, len(cases) - len(waiting), left)

    def _best(self, case: KernelCase) -> Measured | None:
        """What is fastest for one kernel; None if not even its own tiles run."""
        with tempfile.TemporaryDirectory(prefix="smartmem-tune-") as name:
            folder = Path(name)
            (default,) = self._built(case, [case.tiles], folder / "default")
            before = None if default is None else self._bench.seconds(default)
            if default is None or before is None:
                logger.warning("kernel %s does not run alone; it keeps its tiles", case.key)
                return None
            best, ratio = self._descend(case, default, folder)
        if ratio > 1 - MARGIN:
            return Measured(None, before, before)
        return Measured(best, ratio * before, before)

    def _descend(
        self, case: KernelCase, default: Path, folder: Path
    ) -> tuple[TileSizes, float]:
        """The best tiles of all rounds, and their time over that of ``default``."""
        best, ratio, tried = case.tiles, 1.0, {case.tiles}
        fastest: Path | None = None
        for number, neighbours in enumerate(rounds(case.nest, self._bench.target.vectors)):
            tiles = [t for t in neighbours.of(best) if t not in tried]
            tried.update(tiles)
            files = self._built(case, tiles, folder / f"round{number}")
            for found, file, measured in zip(
                tiles, files, self._bench.ratios(default, files), strict=True
            ):
                if measured is not None and measured < ratio:
                    best, ratio, fastest = found, measured, file
        if fastest is None:
            return best, ratio
        # The best of many is partly luck: it must be fastest again, alone with the default.
        again = self._bench.ratios(default, [fastest])[0]
        return best, max(ratio, again if again is not None else 1.0)

    def _built(
        self, case: KernelCase, tiles: list[TileSizes], folder: Path
    ) -> list[Path | None]:
        folder.mkdir()
        sources = [folder / f"{number}.mlirbc" for number in range(len(tiles))]
        for source, sizes in zip(sources, tiles, strict=True):
            case.write(source, sizes)
        return self._bench.compile(sources)
