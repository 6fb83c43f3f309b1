"""How fast candidates of a kernel are: compiled with a time limit, run in another process."""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from smartmem.backend.iree import target_flags
from smartmem.backend.targets import Target
from smartmem.backend.tool import run_iree_compile

logger = logging.getLogger(__name__)

MARGIN = 0.05
"""A candidate is taken only if it is faster by more than this part of the time."""

_TOLERANCE = 1e-4
_ROUNDS = 11


@dataclass(frozen=True)
class Bench:
    """Where and how kernels are measured.

    Attributes:
        target: what they are compiled for.
        device: what runs them, as for ``LoadedModule``.
        threads: worker threads on a CPU.
        opt_level: iree-compile's optimization level.
        timeout_s: for compiling one candidate, and for running those of one kernel.
    """

    target: Target
    device: str
    threads: int | None = None
    opt_level: str = "O3"
    timeout_s: float = 60.0

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        """The modules that IREE makes of the files; None where it fails."""
        workers = min(os.cpu_count() or 1, len(sources)) or 1
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self._compile, sources))

    def _compile(self, source: Path) -> Path | None:
        output = source.with_suffix(".vmfb")
        flags = [*target_flags(self.target, self.opt_level, ()), "-o", str(output)]
        run = run_iree_compile(source, flags, timeout_s=self.timeout_s)
        return output if run.returncode == 0 and not run.timed_out else None

    def ratios(self, first: Path, others: Sequence[Path | None]) -> list[float | None]:
        """Seconds of each module over those of ``first``, run in turn with it.

        None stands for one that does not run, or computes something else.
        """
        files = [path for path in others if path is not None]
        found = self._run([first, *files])
        if found is None and len(files) > 1:  # one of them crashes: find it
            alone = {path: self._run([first, path]) for path in files}
            times = {path: _ratio(result, 1) for path, result in alone.items()}
        else:
            times = {path: _ratio(found, k + 1) for k, path in enumerate(files)}
        return [None if path is None else times[path] for path in others]

    def seconds(self, module: Path) -> float | None:
        """Median seconds of one run of a module; None where it does not run."""
        found = self._run([module])
        return None if found is None else statistics.median(found.seconds[0])

    def _run(self, files: Sequence[Path]) -> _Times | None:
        asked = {
            "files": [str(path) for path in files],
            "device": self.device,
            "threads": self.threads,
            "rounds": _ROUNDS,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "smartmem.tuning.runner"],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                timeout=self.timeout_s,
                check=True,
            )
            values = json.loads(done.stdout)
        except (subprocess.SubprocessError, ValueError) as error:
            logger.info("candidates did not run: %s", error)
            return None
        return _Times(values["seconds"], values["errors"])


@dataclass(frozen=True)
class _Times:
    """What ``runner`` measured."""

    seconds: list[list[float]]
    errors: list[float]


def _ratio(times: _Times | None, number: int) -> float | None:
    """The median of the ratios of neighbouring runs, if the results agree."""
    if times is None or not times.errors[number] <= _TOLERANCE:
        return None
    pairs = zip(times.seconds[number], times.seconds[0], strict=True)
    return statistics.median(a / b for a, b in pairs)
