"""What a failure of iree-compile means, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from smartmem.backend.iree_compile.tool import SOURCE_NAME, ToolRun
from smartmem.backend.module.shader_races import Race
from smartmem.errors import BackendError
from smartmem.passes.base import GROUP_FILE

_FIRST_ERROR = re.compile(
    r"^(?P<where>.*?):? ?\b(?:error|LLVM ERROR): (?P<what>.*)$", re.MULTILINE
)
_MESSAGE_LIMIT = 300

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


def compile_error(
    run: ToolRun, source: bytes | Path, target_name: str, timeout_s: float
) -> CompileError:
    """The error of a run on ``source`` that failed."""
    name = str(source) if isinstance(source, Path) else "the module"
    message = failure_message(run, target_name, timeout_s).replace(SOURCE_NAME, name)
    return CompileError(
        message,
        run.stderr,
        reason=first_error(run),
        timed_out=run.timed_out,
        out_of_memory=run.out_of_memory,
        crashed=run.returncode < 0 and not (run.timed_out or run.out_of_memory),
        is_usage=_USAGE.search(run.stderr) is not None,
    )


def race_error(
    races: Sequence[Race], groups: Mapping[str, int], target_name: str
) -> CompileError:
    """The error of a module that was compiled, and whose results would not be determined.

    Args:
        races: in its kernels; at least one.
        groups: by kernel; what it does not name is of no group.
    """
    places = [(groups.get(race.kernel), race) for race in races]
    log = "".join(
        f"{GROUP_FILE}:{group}:0: error: {race}\n"
        for group, race in places
        if group is not None
    )
    message = (
        f"iree-compile for target {target_name} made a kernel whose results vary: "
        f"{races[0]}; compile for another target"
    )
    return CompileError(message, log, reason=str(races[0]))


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
