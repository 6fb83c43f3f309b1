"""Runs iree-compile as a child process, bounded in time and memory, and measured."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from smartmem.backend.iree_compile.processes import ending_with_caller
from smartmem.errors import InvalidInputError, ToolMissingError

logger = logging.getLogger(__name__)

# A name for the child's standard input that it can map into memory like any file.
SOURCE_NAME = "/dev/stdin"

_POLL_SECONDS = 0.02

_INEXACT_BYTES = 1 << 20
"""The kernel counts resident memory in batches, and starting a process takes some."""

_SHARE_OF_MEMORY = 0.8
_GROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",  # of version 1
)


@dataclass(frozen=True)
class IreeOptions:
    """How iree-compile is to compile a module, whatever the target.

    Attributes:
        opt_level: IREE's optimization level, ``O0`` to ``O3``.
        extra_flags: further flags; they win over the target's.
        timeout_s: wall time after which it is killed.
        memory_limit: bytes of memory with more of which it is killed; None for
            ``default_memory_limit``.
    """

    opt_level: str = "O3"
    extra_flags: Sequence[str] = ()
    timeout_s: float = 600.0
    memory_limit: int | None = None

    @property
    def flags(self) -> list[str]:
        """For iree-compile, after those of the target."""
        return [f"--iree-opt-level={self.opt_level}", *self.extra_flags]


DEFAULTS = IreeOptions()


@dataclass(frozen=True)
class ToolRun:
    """One finished run.

    Attributes:
        returncode: negative if a signal ended it.
        seconds: wall time.
        peak_rss_bytes: largest resident memory of the process.
        timed_out: it was killed because it ran past its limit.
        out_of_memory: it was killed because it took more memory than its limit.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    peak_rss_bytes: int
    timed_out: bool
    out_of_memory: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end without a fault."""
        return self.returncode == 0 and not (self.timed_out or self.out_of_memory)

    def followed_by(self, later: ToolRun) -> ToolRun:
        """Both runs as one, with the outcome of the later."""
        return replace(
            later,
            stderr=self.stderr + later.stderr,
            seconds=self.seconds + later.seconds,
            peak_rss_bytes=max(self.peak_rss_bytes, later.peak_rss_bytes),
        )


@functools.cache
def default_memory_limit() -> int:
    """Bytes that iree-compile may take where nobody says: four fifths of what there is.

    That is the machine's memory, or what the control group (a container) may use of it.
    """
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(file).read_text()))  # "max" where there is none
    return int(min(found) * _SHARE_OF_MEMORY)


@functools.cache
def iree_compile_path() -> Path:
    """The iree-compile binary of the installed wheel.

    Raises:
        ToolMissingError: the wheel is not installed.
    """
    try:
        from iree.compiler.tools.binaries import find_tool

        return Path(find_tool("iree-compile")).resolve()
    except (ImportError, ValueError) as error:
        raise ToolMissingError(
            "iree-compile is missing: pip install iree-base-compiler==3.13.0"
        ) from error


def run_iree_compile(
    source: bytes | Path,
    arguments: Sequence[str],
    *,
    timeout_s: float = 600.0,
    memory_limit: int | None = None,
    stop: threading.Event | None = None,
) -> ToolRun:
    """Runs iree-compile to its end or to one of its limits.

    The process and its children are killed at a limit and when the caller is
    interrupted; on Linux the process is killed, too, when the caller is. A failure is not
    an exception here: see ``ToolRun.returncode``.

    Args:
        source: the module to compile, or the path of its file. The compiler sees it as
            ``SOURCE_NAME``, which it writes into its output: a constant name makes equal
            modules compile to equal files.
        timeout_s: wall time.
        memory_limit: bytes of its own that the process may hold in memory (mapped files
            do not count); None for ``default_memory_limit``. Watched on Linux only.
        stop: kills it when set.

    Raises:
        StoppedError: ``stop`` was set.
        InvalidInputError: ``source`` cannot be read, or the disk for temporary files
            is full.
    """
    command = [str(iree_compile_path()), SOURCE_NAME, *arguments]
    logger.debug("run: %s", " ".join(command))
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(_opened(source))
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        start = time.monotonic()
        process = subprocess.Popen(
            ending_with_caller(command),
            stdin=given,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            limit = memory_limit or default_memory_limit()
            watch = _Watch(process, start + timeout_s, limit, stop)
            peak = watch.wait(floor=_own_peak_rss() + _INEXACT_BYTES)
        except BaseException:
            _kill_group(process)
            process.wait()
            raise
        seconds = time.monotonic() - start
        if process.returncode:
            _check_space(out)
        texts = _text(out), _text(err)
        ends = watch.timed_out, watch.out_of_memory
        return ToolRun(process.returncode, *texts, seconds, peak, *ends)


def _check_space(file: IO[bytes]) -> None:
    """Raises InvalidInputError if the disk of a temporary file is full.

    What a tool printed is lost there, so its own message would mislead.
    """
    disk = os.fstatvfs(file.fileno())
    if disk.f_bavail == 0:
        raise InvalidInputError(
            f"iree-compile failed: No space left on device for its messages in "
            f"{tempfile.gettempdir()}; free some space or set TMPDIR to another folder"
        )


def _opened(source: bytes | Path) -> IO[bytes]:
    if isinstance(source, Path):
        try:
            return source.open("rb")
        except OSError as error:
            raise InvalidInputError(f"cannot read {source}: {error.strerror}") from error
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    try:
        file.write(source)
        file.seek(0)
    except OSError as error:
        file.close()
        raise InvalidInputError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror}; "
            "free some space or set TMPDIR to another folder"
        ) from error
    return file


class StoppedError(Exception):
    """A run was ended because what it was for was given up."""


class _Watch:
    """Waits for the end of a process, and kills it at its limits."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        deadline: float,
        memory_limit: int,
        stop: threading.Event | None,
    ) -> None:
        self._process, self._deadline, self._memory_limit = process, deadline, memory_limit
        self._stop = stop
        self._peak = 0
        self.timed_out = self.out_of_memory = False

    def wait(self, floor: int) -> int:
        """The peak of its resident memory in bytes; ``floor`` is that of this process."""
        while True:
            self._check()
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(_POLL_SECONDS)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        # Linux starts a child's ru_maxrss at its parent's peak, so the exact value counts
        # only above that; below it the last sample is the best there is.
        exact = usage.ru_maxrss * 1024
        return exact if exact > floor else self._peak

    def _check(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise StoppedError
        held = memory_of(self._process.pid)
        self._peak = max(self._peak, held.get("VmHWM", 0))
        if self.timed_out or self.out_of_memory:
            return
        self.out_of_memory = held.get("RssAnon", 0) > self._memory_limit
        self.timed_out = not self.out_of_memory and time.monotonic() > self._deadline
        if self.timed_out or self.out_of_memory:
            _kill_group(self._process)


def memory_of(pid: int) -> dict[str, int]:
    """Bytes of resident memory: the peak (VmHWM) and what is no file's (RssAnon).

    Nothing for a process that has ended, and outside of Linux.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            lines = [line.split() for line in status]
    except OSError:  # no /proc, or the process has ended
        return {}
    wanted = ("VmHWM:", "RssAnon:")
    return {line[0][:-1]: int(line[1]) * 1024 for line in lines if line[0] in wanted}


def _own_peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
