"""Runs Python code with a stack for deep graphs, and stops it when its time is over.

Walks of passes go from operation to operation; in a chain of thousands of them that is
deeper than Python allows by default, and than the stack of the main thread.
"""

from __future__ import annotations

import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STACK_BYTES = 512 << 20
"""Of addresses; memory is taken as the stack grows."""

CALLS = 200_000
"""In each other, at most."""

_GRACE_S = 10.0
"""For code that was told to stop. MLIR's own cannot be told."""


_AGAIN_S = 0.2
"""Until a thread is told to stop again."""


class _Stopped(BaseException):
    """Raised in the code that is to stop; no handler of ``Exception`` keeps it going."""


def run_deep(work: Callable[[], T], deadline: float | None = None) -> T:
    """What ``work`` returns, run in a thread of its own.

    Args:
        deadline: in seconds of ``time.monotonic``; None: there is none.

    Raises:
        TimeoutError: it was over. ``work`` has been stopped, or will be as soon as it is
            back from MLIR.
        BaseException: whatever ``work`` raises; and Ctrl-C, which stops it.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
            failures.append(error)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, CALLS))
    try:
        thread = _start(body)
        try:
            thread.join(None if deadline is None else max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                raise TimeoutError
        except BaseException:
            _stop(thread)
            raise
    finally:
        sys.setrecursionlimit(limit)
    if failures:
        raise failures.pop()
    return results.pop()


def _start(body: Callable[[], None]) -> threading.Thread:
    size = threading.stack_size(STACK_BYTES)
    try:
        inherit = contextvars.copy_context().run  # what is remembered is known there, too
        thread = threading.Thread(
            target=inherit, args=(body,), name="smartmem-passes", daemon=True
        )
        thread.start()
    finally:
        threading.stack_size(size)
    return thread


def _stop(thread: threading.Thread) -> None:
    """Stops a thread. Says it again until it ends: Python drops what a callback raises."""
    end = time.monotonic() + _GRACE_S
    while thread.is_alive() and thread.ident is not None and time.monotonic() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(_Stopped)
        )
        thread.join(_AGAIN_S)
