"""Child processes that do not outlive their caller, in threads that an interrupt ends."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LAUNCHER = Path(__file__).with_name("launcher.py")


def ending_with_caller(command: Sequence[str]) -> list[str]:
    """The command line that runs ``command``, an absolute path and arguments, as a child.

    On Linux the child is killed when the thread that starts it ends, and so when the whole
    process does, by SIGKILL for instance. Whoever starts it must wait for it in that thread.
    """
    if sys.platform != "linux" or not sys.executable:
        return [*command]
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *command]


def in_parallel(
    function: Callable[[_Item, threading.Event], _Result],
    items: Iterable[_Item],
    workers: int,
) -> list[_Result]:
    """The results of ``function`` for each item, computed in threads.

    Args:
        function: gets an event, too, which is set when the caller is interrupted or a call
            fails: it has to end soon then (``run_iree_compile`` takes it as ``stop``).
    """
    stop = threading.Event()

    def call(item: _Item) -> _Result:
        if stop.is_set():
            raise CancelledError
        try:
            return function(item, stop)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
