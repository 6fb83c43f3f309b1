"""Measures the yellow pairs of a model within a budget of time.

What one measurement decides changes the plan, which may meet other pairs then: the session
asks for them until it knows all.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from smartmem.passes.analysis.fusion.profile import CLEAR, PairTimes, advice
from smartmem.tuning.fusions import ModelPairs, PairCase
from smartmem.tuning.measure import Bench, OutOfTimeError
from smartmem.tuning.session import Outcome, Progress
from smartmem.tuning.table import Table

logger = logging.getLogger(__name__)


class PairSession:
    """Fills a table with the times of a model's pairs."""

    def __init__(
        self, table: Table, bench: Bench, save: Callable[[Table], None], budget_s: float
    ) -> None:
        """
        Args:
            table: changed in place.
            save: called after each pair.
            budget_s: wall time after which no pair is begun. One that ``bench`` has no time
                for is left for the next session.
        """
        self._table, self._bench, self._save = table, bench, save
        self._end = time.monotonic() + budget_s
        self._cannot: set[str] = set()

    def run(self, model: ModelPairs, progress: Progress | None = None) -> Outcome:
        """Measures each pair that the table does not know.

        Returns:
            ``faster`` counts the pairs that are faster the other way than by rule.
        """
        measured = faster = 0
        cases = model.cases()
        known = sum(case.key in self._table.fusions for case in cases)
        while waiting := self._waiting(cases):
            if time.monotonic() > self._end:
                break
            case = waiting[0]
            if progress is not None:
                progress(case.name, measured, measured + len(waiting))
            try:
                faster += self._measure(case)
            except OutOfTimeError:
                break
            measured += 1
            cases = model.cases()
        return Outcome(measured, faster, known, len(self._waiting(cases)))

    def _waiting(self, cases: list[PairCase]) -> list[PairCase]:
        known = self._table.fusions.keys() | self._cannot
        return [case for case in cases if case.key not in known]

    def _measure(self, case: PairCase) -> bool:
        """Measures one pair; whether the rule would decide otherwise."""
        with tempfile.TemporaryDirectory(prefix="smartmem-tune-") as name:
            found = self._times(case, Path(name))
        if found is None:
            logger.info("pair %s cannot be measured; the rule decides", case.key)
            self._cannot.add(case.key)
            return False
        self._table.fusions[case.key] = found
        self._save(self._table)
        said = advice(self._table.fusions, case.key)
        return said is not None and said.fuse != case.pair.by_rule

    def _times(self, case: PairCase, folder: Path) -> PairTimes | None:
        """Both times; None if not even two kernels run, or no region is made of both."""
        sources = [folder / "apart.mlirbc", folder / "fused.mlirbc"]
        if not all(map(_write, (case, case), sources, (False, True))):
            return None
        bench = self._bench.reading(case.weights)
        apart, fused = bench.compile(sources)
        before = None if apart is None else bench.seconds(apart)
        if apart is None or before is None:
            return None
        ratio = None if fused is None else _ratio(bench, apart, fused)
        return PairTimes(None if ratio is None else ratio * before, before)


def _ratio(bench: Bench, apart: Path, fused: Path) -> float | None:
    """The time of one kernel over that of two; what is clear must be so twice."""
    (first,) = bench.ratios(apart, [fused])
    if first is None or abs(first - 1) <= CLEAR:
        return first
    (again,) = bench.ratios(apart, [fused])
    return None if again is None else statistics.median((first, again, 1.0))


def _write(case: PairCase, path: Path, fused: bool) -> bool:
    """Writes a case; false if that is no case, also because a pass fails."""
    try:
        return case.write(path, fused)
    except Exception as error:  # noqa: BLE001 (no pass has to do what the rule refuses)
        logger.info("pair %s cannot be written: %s", case.key, error)
        return False
