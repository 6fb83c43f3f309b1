"""Runs iree-compile as a child process, bounded in time and measured."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from smartmem.errors import InvalidInputError, ToolMissingError

logger = logging.getLogger(__name__)

# A name for the child's standard input that it can map into memory like any file.
SOURCE_NAME = "/dev/stdin"

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ToolRun:
    """One finished run.

    Attributes:
        returncode: negative if a signal ended it.
        seconds: wall time.
        peak_rss_bytes: largest resident memory of the process.
        timed_out: it was killed because it ran past its limit.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    peak_rss_bytes: int
    timed_out: bool


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
    source: bytes | Path, arguments: Sequence[str], *, timeout_s: float = 600.0
) -> ToolRun:
    """Runs iree-compile to its end or for ``timeout_s`` seconds.

    The process and its children are killed at the limit and when the caller is
    interrupted. A failure is not an exception here: see ``ToolRun.returncode``.

    Args:
        source: the module to compile, or the path of its file. The compiler sees it as
            ``SOURCE_NAME``, which it writes into its output: a constant name makes equal
            modules compile to equal files.

    Raises:
        InvalidInputError: ``source`` cannot be read, or the disk for temporary files
            is full.
    """
    command = [str(iree_compile_path()), SOURCE_NAME, *arguments]
    logger.debug("run: %s", " ".join(command))
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(_opened(source))
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        peak_before = _own_peak_rss()
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdin=given, stdout=out, stderr=err, start_new_session=True
        )
        try:
            timed_out, peak = _wait(process, start + timeout_s, peak_before)
        except BaseException:
            _kill_group(process)
            process.wait()
            raise
        seconds = time.monotonic() - start
        if process.returncode:
            _check_space(out)
        return ToolRun(process.returncode, _text(out), _text(err), seconds, peak, timed_out)


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


def _wait(process: subprocess.Popen[bytes], deadline: float, floor: int) -> tuple[bool, int]:
    """Waits for the end; returns whether it was killed, and the peak memory in bytes."""
    timed_out, sampled = False, 0
    while True:
        sampled = max(sampled, _high_water_mark(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if not timed_out and time.monotonic() > deadline:
            timed_out = True
            _kill_group(process)
        time.sleep(_POLL_SECONDS)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Linux starts a child's ru_maxrss at its parent's peak, so the exact value counts
    # only above that; below it the last sample is the best there is.
    exact = usage.ru_maxrss * 1024
    return timed_out, exact if exact > floor else sampled


def _high_water_mark(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # no /proc, or the process has ended
        pass
    return 0


def _own_peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
