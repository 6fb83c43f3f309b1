"""Measures the kernels of a model within a budget of time, and keeps what it learns.

Every kernel that is done is saved at once, so that a session which was interrupted, or
whose time was over, goes on where it ended.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles
from smartmem.tuning.candidates import rounds
from smartmem.tuning.kernels import KernelCase
from smartmem.tuning.measure import MARGIN, Bench, OutOfTimeError
from smartmem.tuning.shader_candidates import shader_rounds
from smartmem.tuning.storages import ShaderChoices, with_storage
from smartmem.tuning.table import Measured, Table, Tiles

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
        images: kernels measured now that another storage makes faster.
        pairs: the same of pairs of kernels, ``faster`` those for which another decision
            than the rule's was; None if no plan was asked for them.
    """

    measured: int
    faster: int
    known: int
    left: int
    images: int = 0
    pairs: Outcome | None = None


class Session:
    """Fills a table with what is fastest for given kernels."""

    def __init__(
        self,
        table: Table,
        bench: Bench,
        save: Callable[[Table], None],
        budget_s: float,
        choices: ShaderChoices | None = None,
    ) -> None:
        """
        Args:
            table: changed in place.
            save: called after each kernel.
            budget_s: wall time after which no kernel is begun. One that ``bench`` has no
                time for is left for the next session.
            choices: None on a CPU.
        """
        self._table, self._bench, self._save, self._choices = table, bench, save, choices
        self._end = time.monotonic() + budget_s

    def run(self, cases: Iterable[KernelCase], progress: Progress | None = None) -> Outcome:
        """Measures what the table does not know of each kernel, in the order given."""
        cases = list(cases)
        waiting = [case for case in cases if not self._is_known(case)]
        measured = faster = images = 0
        for number, case in enumerate(waiting):
            if time.monotonic() > self._end:
                break
            if progress is not None:
                progress(case.name, number, len(waiting))
            try:
                found = self._best(case)
            except OutOfTimeError:
                break
            if found is not None:
                self._table.kernels[case.key] = found
                self._save(self._table)
                faster += found.tiles is not None
                images += self._has_images(found)
            measured += 1
        if progress is not None:
            progress("done", len(waiting), len(waiting))
        left = len(waiting) - measured
        return Outcome(measured, faster, len(cases) - len(waiting), left, images)

    def _has_images(self, found: Measured) -> bool:
        """Whether a kernel is to read otherwise than it would without measurement."""
        return self._choices is not None and found.storage not in (None, self._choices.storage)

    def _is_known(self, case: KernelCase) -> bool:
        found = self._table.kernels.get(case.key)
        asks = self._choices is not None and self._choices.storages
        return found is not None and not (asks and found.storage is None)

    def _best(self, case: KernelCase) -> Measured | None:
        """What is fastest for one kernel; None if not even its own tiles run."""
        known = self._table.kernels.get(case.key)
        bench = self._bench.reading(case.weights)
        with tempfile.TemporaryDirectory(prefix="smartmem-tune-") as name:
            folder = Path(name)
            found = self._fastest_tiles(case, bench, folder) if known is None else known
            if found is None or self._choices is None or not self._choices.storages:
                return found
            return with_storage(found, case, self._choices, bench, folder)

    def _fastest_tiles(self, case: KernelCase, bench: Bench, folder: Path) -> Measured | None:
        (default,) = self._built(case, [case.tiles], folder / "default")
        before = None if default is None else bench.seconds(default)
        if default is None or before is None:
            logger.warning("kernel %s does not run alone; it keeps its tiles", case.key)
            return None
        best, ratio = self._descend(case, bench, default, folder)
        if ratio > 1 - MARGIN:
            return Measured(None, before, before)
        return Measured(best, ratio * before, before)

    def _descend(
        self, case: KernelCase, bench: Bench, default: Path, folder: Path
    ) -> tuple[Tiles | None, float]:
        """The best tiles of all rounds, and their time over that of ``default``."""
        times: dict[Tiles | None, float] = {case.tiles: 1.0}
        modules: dict[Tiles | None, Path | None] = {}
        for number, neighbours in enumerate(self._rounds(case)):
            own = {tiles: time for tiles, time in times.items() if tiles is not None}
            centre = min(own, key=own.__getitem__, default=case.start)
            tiles = [t for t in (centre, *neighbours(centre)) if t not in modules | times]
            if not tiles:
                continue
            files = self._built(case, tiles, folder / f"round{number}")
            modules |= zip(tiles, files, strict=True)
            ratios = bench.ratios(default, files)
            times |= {t: r for t, r in zip(tiles, ratios, strict=True) if r is not None}
        best = min(times, key=times.__getitem__)
        if best == case.tiles:
            return best, 1.0
        # The best of many is partly luck: it must be fastest again, alone with the default.
        again = bench.ratios(default, [modules[best]])[0]
        return best, max(times[best], again if again is not None else 1.0)

    def _rounds(self, case: KernelCase) -> list[Callable[[Tiles | None], Sequence[Tiles]]]:
        """The rounds of a search: each gives the neighbours of tile sizes."""
        if isinstance(case.start, TileSizes):
            found = rounds(case.nest, self._bench.target.processor.vectors)
            return [_of(TileSizes, step.of) for step in found]
        if isinstance(case.start, GpuTiles) and self._choices is not None:
            steps = shader_rounds(case.nest, self._choices.gpu)
            return [_of(GpuTiles, step.of) for step in steps]
        return []  # there is nothing to choose

    def _built(
        self, case: KernelCase, tiles: Sequence[Tiles | None], folder: Path
    ) -> list[Path | None]:
        folder.mkdir()
        sources = [folder / f"{number}.mlirbc" for number in range(len(tiles))]
        for source, sizes in zip(sources, tiles, strict=True):
            case.write(source, sizes)
        return self._bench.compile(sources)


_T = TypeVar("_T", TileSizes, GpuTiles)


def _of(
    kind: type[_T], neighbours: Callable[[_T], list[_T]]
) -> Callable[[Tiles | None], Sequence[Tiles]]:
    """The same for tiles of any kind; there are no neighbours of another kind's."""
    return lambda tiles: neighbours(tiles) if isinstance(tiles, kind) else []
