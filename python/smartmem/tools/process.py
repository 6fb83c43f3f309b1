"""What the tools have in common as processes: their standard streams and how they end."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

from smartmem.files import discard_stdout
from smartmem.tools.signals import exit_status, handled_signals

_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def run_tool(tool: Callable[[], int | None]) -> int:
    """Runs a tool; returns its exit status: 1 if stdout cannot be written.

    SIGTERM and SIGHUP end it as Ctrl-C does.
    """
    prepare_streams()
    try:
        with handled_signals():
            status = _status(tool)
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
    except KeyboardInterrupt as end:
        return exit_status(end)
    except BrokenPipeError:
        discard_stdout()
        return 1
    except OSError as error:
        if error.filename is not None or error.errno not in _WRITING:
            raise
        discard_stdout()  # all other writes name their file
        say(f"error: cannot write to standard output: {error.strerror}; redirect it elsewhere")
        return 1


def say(text: str) -> None:
    """Prints a line on stderr; where that cannot be written, nothing can be said."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _to_null(sys.stderr.fileno())


def _status(tool: Callable[[], int | None]) -> int:
    try:
        return tool() or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            say(end.code)
            return 1
        return int(end.code or 0)


def prepare_streams() -> None:
    """Opens standard streams that are closed, to nowhere, and lets any text be printed."""
    # What a closed stream's number would be given to next is a file of ours: prints of C++
    # would end in it.
    while not all(map(_is_open, range(3))):
        os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # print would take stdout
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    # Names of files need not be text.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _to_null(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
