"""Runs a function in a child process with a time limit.

A compiler's bug can end or hang the process it runs in. Here that is an exception.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")

# A fork starts with all modules imported; spawning would import them for each run.
_FORK = multiprocessing.get_context("fork")
_GRACE_S = 5.0


class ChildError(Exception):
    """The function raised, crashed or ran past its limit; the message says which."""


def run_isolated(function: Callable[[], T], *, timeout_s: float) -> T:
    """The result of ``function``, which is called in a process of its own.

    Args:
        function: returns something that can be pickled.
        timeout_s: wall time.

    Raises:
        ChildError: there is no result.
    """
    reader, writer = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_call, args=(function, writer))
    process.start()
    writer.close()  # the child's end is then the only one: its death ends the wait
    try:
        if not reader.poll(timeout_s):
            raise ChildError(f"time limit of {timeout_s:g} s")
        result, fault = reader.recv()
        process.join(_GRACE_S)  # it removes its temporary files
    except EOFError:
        process.join()
        raise ChildError(_ending(process.exitcode)) from None
    finally:
        process.terminate()
        process.join(_GRACE_S)
        process.kill()  # where native code hangs, the exception of _call never comes
        process.join()
    if fault:
        raise ChildError(fault)
    return result


def _call(function: Callable[[], Any], writer: Connection) -> None:
    # As an exception, so that iree-compile is ended with the process that started it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        writer.send((function(), ""))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the result)
        writer.send((None, f"{type(error).__name__}: {error}"))


def _ending(status: int) -> str:
    return f"crash: {signal.Signals(-status).name if status < 0 else status}"
