"""Compiles lowered modules with IREE.

``compile_bytecode`` writes a ``.vmfb``; ``dump_phase`` returns the IR that IREE has made
of a module at one of its phases, for tests and reports.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from smartmem.backend.iree_compile.compile_errors import compile_error, first_error
from smartmem.backend.iree_compile.tool import DEFAULTS, IreeOptions, ToolRun, run_iree_compile
from smartmem.backend.targets.targets import Target
from smartmem.errors import InvalidInputError
from smartmem.files import copy_file

logger = logging.getLogger(__name__)

KERNELS = "executable-targets"
"""The phase of iree-compile behind code generation."""


class KernelRewriter(Protocol):
    """Changes the kernels of a module behind iree-compile's code generation.

    Attributes:
        flags: for both runs of iree-compile.
        failure: why the kernels were not changed, or None.
    """

    flags: tuple[str, ...]
    failure: str | None

    def run(self, source: Path, output: Path) -> None:
        """Writes the module in the file ``source``, changed, to ``output``."""

    def give_up(self, reason: str) -> None:
        """Told that the changed kernels do not compile."""


@dataclass(frozen=True)
class CompileStatistics:
    """What one compilation produced and cost.

    Attributes:
        kernels: dispatches of one inference, repeated ones counted each time.
        copies: buffer copies between dispatches.
        fills: buffer fills between dispatches.
        transient_bytes: memory for intermediate values.
        constant_bytes: memory for constants.
        seconds: wall time of iree-compile.
        peak_rss_bytes: its largest resident memory.
    """

    kernels: int
    copies: int
    fills: int
    transient_bytes: int
    constant_bytes: int
    seconds: float
    peak_rss_bytes: int


def compile_bytecode(
    bytecode: bytes | Path,
    target: Target,
    options: IreeOptions = DEFAULTS,
    *,
    output: Path,
    kernels: KernelRewriter | None = None,
) -> CompileStatistics:
    """Compiles an MLIR module and writes the result to ``output``, whole or not at all.

    Args:
        bytecode: the module as bytecode or text, or the path of a file that holds it.
        kernels: rewrites the kernels between code generation and the end of iree-compile,
            which then runs twice.

    Raises:
        CompileError: iree-compile failed, crashed or ran past a limit.
        InvalidInputError: ``bytecode`` cannot be read or ``output`` cannot be written.
    """
    output = output.resolve()
    compiler = _Compiler(target, options)
    with _scratch_folder(output) as scratch:
        module, statistics = scratch / "module.vmfb", scratch / "statistics.json"
        first = [
            "--iree-scheduling-dump-statistics-format=json",
            f"--iree-scheduling-dump-statistics-file={statistics}",
        ]
        if kernels is None:
            run = compiler.run(bytecode, [*first, "-o", str(module)])
        else:
            text = scratch / "kernels.mlir"
            stop = [*first, *kernels.flags, f"--compile-to={KERNELS}", "-o", str(text)]
            run = compiler.run(bytecode, stop)
            if run.succeeded:
                run = run.followed_by(_finish(text, module, kernels, compiler))
        _check_space(run, output)
        compiler.check(run, bytecode)
        result = _statistics(statistics, run)
        _publish(module, output)
    return result


def finish_kernels(
    kernels: Path, target: Target, options: IreeOptions = DEFAULTS, *, output: Path
) -> ToolRun:
    """Compiles a module whose kernels are generated to its end; as ``compile_bytecode``.

    Args:
        kernels: the file of the module, as it is behind the phase ``KERNELS``.
    """
    output = output.resolve()
    compiler = _Compiler(target, options)
    with _scratch_folder(output) as scratch:
        module = scratch / "module.vmfb"
        run = compiler.run(kernels, [f"--compile-from={KERNELS}", "-o", str(module)])
        _check_space(run, output)
        compiler.check(run, kernels)
        _publish(module, output)
    return run


def _finish(text: Path, module: Path, kernels: KernelRewriter, compiler: _Compiler) -> ToolRun:
    """Rewrites the kernels in ``text`` and compiles to the end; if that fails, without."""
    end = [*kernels.flags, f"--compile-from={KERNELS}", "-o", str(module)]
    rewritten = text.with_name("rewritten.mlir")
    kernels.run(text, rewritten)
    run = compiler.run(rewritten, end)
    if run.succeeded or run.timed_out or kernels.failure is not None:
        return run
    kernels.give_up(first_error(run))
    return run.followed_by(compiler.run(text, end))


def dump_phase(
    bytecode: bytes | Path, target: Target, phase: str, options: IreeOptions = DEFAULTS
) -> str:
    """The IR at the end of one of IREE's phases, as text with large constants elided.

    Args:
        phase: a value of iree-compile's ``--compile-to``, such as ``flow``,
            ``executable-sources`` or ``executable-targets``.

    Raises:
        CompileError: iree-compile failed, crashed or ran past the limit.
        InvalidInputError: ``bytecode`` cannot be read.
    """
    flags = [
        f"--compile-to={phase}",
        "--mlir-elide-elementsattrs-if-larger=16",
        "--mlir-elide-resource-strings-if-larger=16",
    ]
    compiler = _Compiler(target, options)
    run = compiler.run(bytecode, flags)
    compiler.check(run, bytecode)
    return run.stdout


class _Compiler:
    """iree-compile for one target, with one time limit for all runs together."""

    def __init__(self, target: Target, options: IreeOptions) -> None:
        self._target, self._options = target, options
        self._left_s = options.timeout_s

    def run(self, source: bytes | Path, flags: Sequence[str]) -> ToolRun:
        run = run_iree_compile(
            source,
            [*target_flags(self._target, self._options), *flags],
            timeout_s=self._left_s,
            memory_limit=self._options.memory_limit,
        )
        self._left_s = max(self._left_s - run.seconds, 0.1)
        return run

    def check(self, run: ToolRun, source: bytes | Path) -> None:
        """Raises CompileError if ``run``, on ``source``, failed."""
        if run.stderr:
            logger.debug("iree-compile printed:\n%s", run.stderr)
        if not run.succeeded:
            raise compile_error(run, source, self._target.name, self._options.timeout_s)


def target_flags(target: Target, options: IreeOptions) -> list[str]:
    """The flags that make iree-compile generate code as the user asked for."""
    return [*target.iree_flags, *options.flags]


@contextlib.contextmanager
def _scratch_folder(output: Path) -> Iterator[Path]:
    """A folder on the same file system as ``output``, so that a rename can publish it."""
    regular = output.is_file() or not output.exists()
    if output.is_dir():
        raise InvalidInputError(f"cannot write {output}: it is a folder; name a file")
    try:
        folder = tempfile.TemporaryDirectory(
            prefix=f".{output.name}.", dir=output.parent if regular else None
        )
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {output}: {error.strerror}; choose another place"
        ) from error
    with folder as name:
        yield Path(name)


def _publish(module: Path, output: Path) -> None:
    if output.exists() and not output.is_file():  # such as /dev/stdout
        copy_file(module, output)
        return
    try:
        os.replace(module, output)
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {output}: {error.strerror}; choose another place"
        ) from error


def _check_space(run: ToolRun, output: Path) -> None:
    if run.returncode and "No space left on device" in run.stderr:
        raise InvalidInputError(
            f"cannot write {output}: No space left on device; "
            "choose another place or free some space"
        )


def _statistics(path: Path, run: ToolRun) -> CompileStatistics:
    values: dict[str, Any] = json.loads(path.read_text())["stream-aggregate"]
    execution = values["execution"]
    return CompileStatistics(
        kernels=execution["dispatch-count"],
        copies=execution["copy-count"],
        fills=execution["fill-count"],
        transient_bytes=execution["transient-memory-size"],
        constant_bytes=values["global"]["constant-size"],
        seconds=run.seconds,
        peak_rss_bytes=run.peak_rss_bytes,
    )
