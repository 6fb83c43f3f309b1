"""Compiles lowered modules with IREE.

``compile_bytecode`` writes a ``.vmfb``; ``dump_phase`` returns the IR that IREE has made
of a module at one of its phases, for tests and reports.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from smartmem.backend.targets import Target
from smartmem.backend.tool import DEFAULTS, SOURCE_NAME, IreeOptions, ToolRun, run_iree_compile
from smartmem.errors import BackendError, InvalidInputError
from smartmem.files import copy_file

logger = logging.getLogger(__name__)

_FIRST_ERROR = re.compile(
    r"^(?P<where>.*?):? ?\b(?:error|LLVM ERROR): (?P<what>.*)$", re.MULTILINE
)
_MESSAGE_LIMIT = 300

KERNELS = "executable-targets"
"""The phase of iree-compile behind code generation."""

_USAGE = re.compile(r"[Uu]nknown command line argument|for the --\S+ option:")

# What iree-compile's log says -> what to do about it; the first match counts.
_ADVICE = (
    (r"stack allocation", "pass --iree-llvmcpu-stack-allocation-limit with a larger value"),
    (r"shared memory|workgroup memory", "compile with a lower optimization level"),
    (r"failed to legalize operation", "compile with optimization level O1"),
    (_USAGE.pattern, "correct the extra flags"),
)
_MEMORY_ADVICE = "raise the memory limit, or compile a smaller model"
_DEFAULT_ADVICE = "-v shows the whole log"


class CompileError(BackendError):
    """iree-compile did not produce a module.

    Attributes:
        log: everything iree-compile printed.
        reason: what failed, without the advice that the message ends with.
        timed_out: it was stopped at its time limit.
        out_of_memory: it was stopped at its memory limit.
        crashed: a signal ended it.
        is_usage: it refused its flags; no other module would do better.
    """

    def __init__(
        self,
        message: str,
        log: str,
        *,
        reason: str = "",
        timed_out: bool = False,
        out_of_memory: bool = False,
        crashed: bool = False,
        is_usage: bool = False,
    ) -> None:
        super().__init__(message)
        self.log = log
        self.reason = reason or message
        self.timed_out = timed_out
        self.out_of_memory = out_of_memory
        self.crashed = crashed
        self.is_usage = is_usage

    @property
    def is_silent(self) -> bool:
        """Whether the log cannot say at what iree-compile failed."""
        return self.timed_out or self.out_of_memory or self.crashed


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
        if run.succeeded:
            return
        name = str(source) if isinstance(source, Path) else "the module"
        message = failure_message(run, self._target.name, self._options.timeout_s)
        raise CompileError(
            message.replace(SOURCE_NAME, name),
            run.stderr,
            reason=first_error(run),
            timed_out=run.timed_out,
            out_of_memory=run.out_of_memory,
            crashed=run.returncode < 0 and not (run.timed_out or run.out_of_memory),
            is_usage=_USAGE.search(run.stderr) is not None,
        )


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


def failure_message(run: ToolRun, target_name: str, timeout_s: float) -> str:
    """One line that says why iree-compile failed and what to do."""
    if run.timed_out:
        return timeout_message(target_name, timeout_s)
    if run.out_of_memory:
        return f"iree-compile for target {target_name} {first_error(run)}; {_MEMORY_ADVICE}"
    start = f"iree-compile for target {target_name}"
    if run.returncode < 0 and _FIRST_ERROR.search(run.stderr) is None:
        return f"{start} {first_error(run)}; {_signal_advice(-run.returncode)}"
    advice = next(
        (text for pattern, text in _ADVICE if re.search(pattern, run.stderr)), _DEFAULT_ADVICE
    )
    return f"{start} failed{_place(run)}: {first_error(run)}; {advice}"


def timeout_message(target_name: str, timeout_s: float) -> str:
    """One line that says that iree-compile ran past its time limit."""
    return (
        f"iree-compile for target {target_name} was stopped after {timeout_s:g} s; "
        "raise the time limit"
    )


def first_error(run: ToolRun) -> str:
    """What went wrong first in a run that failed, without its place."""
    if run.timed_out:
        return f"stopped after {run.seconds:.2g} s"
    if run.out_of_memory:
        return f"was stopped with {run.peak_rss_bytes / 1e9:.2g} GB of memory"
    match = _FIRST_ERROR.search(run.stderr)
    if match is not None:
        return _shorten(match["what"])
    if run.returncode < 0:
        return f"was ended by {signal.Signals(-run.returncode).name}"
    first = run.stderr.strip().splitlines()[:1] or [f"exit status {run.returncode}"]
    return _shorten(first[0])


def _place(run: ToolRun) -> str:
    match = _FIRST_ERROR.search(run.stderr)
    known = match is not None and re.search(r":[1-9]\d*:\d+$", match["where"])
    return f" at {match['where']}" if match is not None and known else ""


def _signal_advice(number: int) -> str:
    if number == signal.SIGKILL:
        return "it probably ran out of memory: free some, or compile a smaller model"
    return "this is a fault of iree-compile: try a lower optimization level"


def _shorten(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}..."


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
