"""Runs iree-compile on a model until an attempt succeeds: the safety net.

``fallback`` decides what to try, this module does it, and bounds the time: attempts on
what the passes made share three quarters of the time limit, the last quarter is for the
import itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from smartmem.backend.iree_compile.compile import CompileStatistics, compile_bytecode
from smartmem.backend.iree_compile.compile_errors import (
    CompileError,
    race_error,
    timeout_message,
)
from smartmem.backend.iree_compile.isolation import groups_failing_alone, groups_of_kernels
from smartmem.backend.iree_compile.regions import Group, failed_groups, give_up, groups_in
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.module.shader_races import shader_races
from smartmem.backend.targets.targets import Target
from smartmem.compiler.fallback import (
    Attempt,
    Fallback,
    first_attempts,
    following,
    repaired,
    steps,
)
from smartmem.compiler.kernel_stage import KernelStage
from smartmem.errors import SmartMemError, StrictError, TimeLimitError
from smartmem.options import CompileOptions

logger = logging.getLogger(__name__)

DEFAULT_LEVELS = ("O3", "O1")
"""The optimization levels to try, in this order, where the user asks for none."""

_RESERVE = 0.25
"""Part of the time limit that is kept for compiling the import itself."""

_SHARE = 2 / 3
"""Part of the rest that one attempt may take: a repair after a time-out needs time too."""


@dataclass(frozen=True)
class Built:
    """A compilation that succeeded.

    Attributes:
        bytecode: the module that was compiled.
        level: at this optimization level.
        statistics: what iree-compile made of it.
        fallbacks: the steps that led to it; empty if the first attempt succeeded.
        is_plain: it is the model as it was imported.
        kernels: what was done to its kernels; None if nothing was to be done.
    """

    bytecode: Path
    level: str
    statistics: CompileStatistics
    fallbacks: tuple[Fallback, ...]
    is_plain: bool
    kernels: KernelStage | None


def levels_of(options: CompileOptions) -> tuple[str, ...]:
    """The optimization levels to try, in this order."""
    return DEFAULT_LEVELS if options.opt_level is None else (options.opt_level,)


def compile_with_fallbacks(
    bytecode: Path,
    plain: Callable[[Path, float], None],
    target: Target,
    options: CompileOptions,
    output: Path,
    kernels: KernelStage | None = None,
    left_s: float | None = None,
) -> Built:
    """Compiles a lowered module, or what is left of it after giving up what fails.

    Args:
        bytecode: the lowered module, its groups placed (``regions.place_groups``). Other
            forms of it are written beside it.
        plain: writes the model as it was imported to a file, until a time of
            ``time.monotonic``.
        output: where the compiled module goes.
        kernels: rewrites the kernels that iree-compile makes.
        left_s: what is left of the time limit; None: all of it.

    Raises:
        TimeLimitError: nothing is left.
        CompileError: no attempt succeeded; tells of the last.
        StrictError: something was to be given up, and that is to be an error.
    """
    seconds = options.timeout_s if left_s is None else left_s
    if seconds <= 0:
        raise TimeLimitError(
            f"the import and the passes took the time limit of {options.timeout_s:g} s; "
            "give more with --timeout"
        )
    return _Run(bytecode, plain, target, options, output, kernels, seconds).run()


class _Run:
    """One run of the attempts: what is left of the time, and what was given up."""

    def __init__(
        self,
        bytecode: Path,
        plain: Callable[[Path, float], None],
        target: Target,
        options: CompileOptions,
        output: Path,
        kernels: KernelStage | None,
        left_s: float,
    ) -> None:
        self._bytecode, self._plain, self._output = bytecode, plain, output
        self._kernels = kernels
        self._target, self._options = target, options
        self._levels = levels_of(options)
        self._reserve_s = left_s * _RESERVE
        self._left_s = left_s
        self._fallbacks: list[Fallback] = []

    def run(self) -> Built:
        attempt = Attempt("grouped", self._levels[0])
        source = self._bytecode
        while isinstance(outcome := self._compile(source, attempt), CompileError):
            attempt = self._next(attempt, source, outcome)
            source = self._source(attempt, outcome)
        if self._kernels is not None and self._kernels.failure is not None:
            reason = self._kernels.failure
            self._take([Fallback("buffers_only", (), attempt.level, reason)])
        for step in self._fallbacks:
            logger.warning("%s, because %s", step, step.reason)
        return Built(
            bytecode=source,
            level=attempt.level,
            statistics=outcome,
            fallbacks=tuple(self._fallbacks),
            is_plain=attempt.lowering == "plain",
            kernels=self._kernels,
        )

    @cached_property
    def _groups(self) -> dict[int, Group]:
        return groups_in(self._bytecode, spirv=self._target.kind == "vulkan")

    def _compile(self, source: Path, attempt: Attempt) -> CompileStatistics | CompileError:
        options = self._options.for_iree(attempt.level, self._limit_s(attempt))
        try:
            with self._spending():
                statistics = compile_bytecode(
                    source, self._target, options, output=self._output, kernels=self._kernels
                )
                self._refuse_races(source, options)
        except CompileError as error:
            return error
        return statistics

    def _refuse_races(self, source: Path, options: IreeOptions) -> None:
        """Raises CompileError if the results of a kernel are not determined."""
        if self._target.kind != "vulkan":
            return
        races = shader_races(self._output.read_bytes())
        if races:
            groups = groups_of_kernels(source, self._target, options)
            raise race_error(races, groups, self._target.name)

    def _limit_s(self, attempt: Attempt) -> float:
        if attempt.lowering == "plain":
            return self._left_s
        return (self._left_s - self._reserve_s) * _SHARE

    @contextmanager
    def _spending(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._left_s -= time.monotonic() - start

    def _next(self, attempt: Attempt, source: Path, error: CompileError) -> Attempt:
        """The attempt after one that failed.

        Raises:
            CompileError: there is none, or no time.
        """
        if error.is_usage or (error.out_of_memory and self._options.memory_limit is not None):
            raise error  # what else there is needs as much, or has nothing to do with it
        failed = failed_groups(error.log)
        if not failed and error.is_silent and attempt.lowering == "grouped":
            failed = self._isolate(source, attempt)
        attempts = first_attempts(self._levels, bool(self._groups))
        after = repaired(attempt, failed, self._groups) or following(
            attempt, attempts, was_silent=error.is_silent
        )
        if after is not None and self._limit_s(after) <= 0:
            after = next(a for a in attempts if a.lowering == "plain")
        if after is None or self._left_s <= 0:
            raise self._final(error)
        self._take(steps(attempt, after, failed, error.reason))
        return after

    def _take(self, taken: list[Fallback]) -> None:
        """Takes steps back.

        Raises:
            StrictError: one gives something up, and that is to be an error.
        """
        for step in taken:
            logger.debug("%s, because %s", step, step.reason)
            if self._options.strict and step.action != "change_level":
                raise StrictError(f"{step}, because {step.reason}")
        self._fallbacks += taken

    def _isolate(self, source: Path, attempt: Attempt) -> dict[int, str]:
        time_s = (self._left_s - self._reserve_s) / 2
        if time_s <= 0 or not self._groups:
            return {}
        with self._spending():
            options = self._options.for_iree(attempt.level, time_s)
            return groups_failing_alone(source, self._target, options)

    def _source(self, attempt: Attempt, error: CompileError) -> Path:
        """The file of the module that ``attempt`` compiles.

        Raises:
            CompileError: ``error``, if the model cannot be lowered without the passes.
            TimeLimitError: that took all the time that was left.
            InvalidInputError: the file cannot be written.
        """
        if attempt.lowering == "grouped" and not attempt.repairs:
            return self._bytecode
        path = self._bytecode.with_name(f"{attempt.lowering}.mlirbc")
        if attempt.lowering == "plain":
            self._write_plain(path, error)
            return path
        dissolved = attempt.dissolved if attempt.lowering == "grouped" else [*self._groups]
        give_up(
            self._bytecode,
            path,
            configuration=attempt.unconfigured,
            region=dissolved,
            spirv=self._target.kind == "vulkan",
        )
        return path

    def _write_plain(self, path: Path, error: CompileError) -> None:
        if path.exists():  # of another level
            return
        try:
            with self._spending():
                self._plain(path, time.monotonic() + self._left_s)
        except TimeLimitError:
            raise
        except SmartMemError as reason:
            logger.info("the import itself cannot be compiled: %s", reason)
            raise error from reason

    def _final(self, error: CompileError) -> CompileError:
        if not error.timed_out:
            return error
        message = timeout_message(self._target.name, self._options.timeout_s)
        return CompileError(message, error.log, timed_out=True)
