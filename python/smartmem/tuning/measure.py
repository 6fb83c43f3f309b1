"""How fast candidates of a kernel are: compiled with a time limit, run in another process."""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smartmem.backend.iree_compile.compile import compile_bytecode, target_flags
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.processes import ending_with_caller, in_parallel
from smartmem.backend.iree_compile.tool import IreeOptions, run_iree_compile
from smartmem.backend.targets.kernel_passes import kernel_passes
from smartmem.backend.targets.targets import Target
from smartmem.compiler.kernel_stage import KernelStage
from smartmem.options import CompileOptions

logger = logging.getLogger(__name__)

MARGIN = 0.05
"""A candidate is taken only if it is faster by more than this part of the time."""

_TOLERANCE = 1e-4
_ROUNDS = 11
_PART = 1 / 3  # of the time limit: for the first run of a candidate, and for the rounds of all


class OutOfTimeError(Exception):
    """The time that the user gave is over."""


@dataclass(frozen=True)
class Bench:
    """Where and how kernels are measured.

    Attributes:
        target: what they are compiled for.
        device: what runs them, as for ``LoadedModule``.
        threads: worker threads on a CPU.
        opt_level: iree-compile's optimization level.
        timeout_s: for compiling one candidate, and for running those of one kernel.
        weights: numbers of inputs that are weights. A network reads each of them once, from
            memory: each run reads others.
        end: of ``time.monotonic()``: whatever is compiled or runs then is given up, with
            ``OutOfTimeError``; None for no end.
    """

    target: Target
    device: str
    threads: int | None = None
    opt_level: str = "O3"
    timeout_s: float = 60.0
    weights: tuple[int, ...] = ()
    end: float | None = None

    def until(self, end: float) -> Bench:
        """The same that gives up at ``end`` of ``time.monotonic()``."""
        return replace(self, end=end if self.end is None else min(end, self.end))

    def reading(self, weights: tuple[int, ...]) -> Bench:
        """The same for modules that have these inputs as weights."""
        return replace(self, weights=weights)

    @property
    def _options(self) -> IreeOptions:
        return IreeOptions(self.opt_level, timeout_s=self._left_s())

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        """The modules that IREE makes of the files; None where it fails."""
        workers = min(os.cpu_count() or 1, len(sources)) or 1
        return in_parallel(self._compile, sources, workers)

    def _compile(self, source: Path, stop: threading.Event) -> Path | None:
        output = source.with_suffix(".vmfb")
        flags = [*target_flags(self.target, self._options), "-o", str(output)]
        run = run_iree_compile(source, flags, timeout_s=self._left_s(), stop=stop)
        if run.timed_out:
            self._left_s()
        return output if run.succeeded else None

    def _left_s(self) -> float:
        """Seconds that one step may take.

        Raises:
            OutOfTimeError: there are none.
        """
        if self.end is None:
            return self.timeout_s
        left_s = self.end - time.monotonic()
        if left_s <= 0:
            raise OutOfTimeError
        return min(left_s, self.timeout_s)

    def compile_storage(self, source: Path, storage: str) -> Path | None:
        """The module of the file whose kernel reads through a storage; None if none can."""
        output = source.with_suffix(f".{storage}.vmfb")
        passes = kernel_passes(self.target, storage, "buffer")
        stage = KernelStage(passes, CompileOptions(keep_ir=False), 0) if passes else None
        try:
            compile_bytecode(source, self.target, self._options, output=output, kernels=stage)
        except CompileError as error:
            self._left_s()
            logger.info("a kernel does not compile with %s: %s", storage, error)
            return None
        bindings = stage.context.bindings if stage else ()
        chosen = {b.storage for b in bindings} or {"buffer"}
        return output if storage in chosen else None

    def ratios(
        self, first: Path, others: Sequence[Path | None], *, exact: bool = False
    ) -> list[float | None]:
        """Seconds of each module over those of ``first``, run in turn with it.

        None stands for one that does not run, or computes something else; ``exact``: whose
        results differ in a bit.
        """
        files = [path for path in others if path is not None]
        if not files:
            return [None for _ in others]
        found, ran = self._run([first, *files])
        times = {path: ratio_of(found, k, exact) for k, path in enumerate(ran)}
        return [None if path is None else times.get(path) for path in others]

    def seconds(self, module: Path) -> float | None:
        """Median seconds of one run of a module; None where it does not run."""
        found, _ = self._run([module])
        return None if found is None else statistics.median(found.seconds[0])

    def least_seconds(self, modules: Sequence[Path]) -> list[float] | None:
        """Those of the fastest run of each: what else the machine does adds least to it.

        Args:
            modules: take the same inputs; run in turn.
        """
        found, ran = self._run(modules)
        if found is None or len(ran) < len(modules):
            return None
        return [min(seconds) for seconds in found.seconds]

    def _run(self, files: Sequence[Path]) -> tuple[Times | None, list[Path]]:
        """What was measured, and of which modules: those left out crash or take too long."""
        left = list(files)
        while left and left[0] == files[0]:
            result, lines = self._start(left)
            if result is not None:
                return result, left
            begun = [line["begins"] for line in lines if "begins" in line]
            if len(begun) < len(left) or len(left) == 1:
                wrong = left.pop(begun[-1] if begun else 0)
            else:  # all have run once: what goes on too long cannot be told
                return None, left
            logger.info("%s does not run: left out", wrong)
        return None, left

    def _start(self, files: Sequence[Path]) -> tuple[Times | None, list[dict[str, Any]]]:
        """One run of ``runner``: its result, or what it said until it failed."""
        asked = {
            "files": [str(path) for path in files],
            "device": self.device,
            "threads": self.threads,
            "rounds": _ROUNDS,
            "first_s": self.timeout_s * _PART,
            "rounds_s": self.timeout_s * _PART,
            "weights": self.weights,
        }
        left_s = self._left_s()
        command = [sys.executable, "-m", "smartmem.tuning.runner"]
        with subprocess.Popen(
            ending_with_caller(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, log = process.communicate(json.dumps(asked), left_s)
            except subprocess.TimeoutExpired:
                process.kill()
                out, log = process.communicate()
                self._left_s()
            except BaseException:  # an interrupt: the process would be waited for
                process.kill()
                raise
        if process.returncode:
            logger.info("candidates did not run (%s): %s", process.returncode, log[-300:])
        lines = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
        if process.returncode or not lines or "seconds" not in lines[-1]:
            return None, lines
        values = lines[-1]
        return Times(values["seconds"], values["errors"], values["same"]), lines


@dataclass(frozen=True)
class Times:
    """What ``runner`` measured."""

    seconds: list[list[float]]
    errors: list[float]
    same: list[bool]


def ratio_of(times: Times | None, number: int, exact: bool) -> float | None:
    """The ratio of neighbouring runs, its median, if the results agree.

    Or that of the fastest runs if it is larger: what else a machine does can make either
    look better than it is, but seldom both.
    """
    if times is None or not times.errors[number] <= _TOLERANCE:
        return None
    if exact and not times.same[number]:
        return None
    pairs = zip(times.seconds[number], times.seconds[0], strict=True)
    fastest = min(times.seconds[number]) / min(times.seconds[0])
    return max(statistics.median(a / b for a, b in pairs), fastest)
