"""Ends the tools on SIGTERM and SIGHUP as on Ctrl-C: with what they started and wrote for a while.

The signal becomes an exception, so that child processes are killed and temporary files
removed on its way out. Python gives it to the program between two steps of its own; inside
of MLIR it waits for the end of the step.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
)
"""Those that ask for the end."""

_GRACE_S = 2.0
"""Further signals are ignored for so long: the end takes a moment. Later ones kill."""


class Terminated(KeyboardInterrupt):
    """A signal asked for the end.

    Attributes:
        status: the exit status, as shells report such an end.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number

    def __str__(self) -> str:
        number = signal.Signals(self.status - 128)
        return "interrupted" if number == signal.SIGINT else f"ended by {number.name}"


def exit_status(end: KeyboardInterrupt) -> int:
    """Of a tool that an interrupt ends."""
    return end.status if isinstance(end, Terminated) else 128 + signal.SIGINT


class _Handler:
    def __init__(self) -> None:
        self._since: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._since is None:
            self._since = time.monotonic()
            raise Terminated(number)
        if time.monotonic() - self._since > _GRACE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def handled_signals() -> Iterator[None]:
    """Makes the signals raise ``Terminated`` meanwhile, but for those this process ignores.

    ``nohup`` has SIGHUP ignored, and shells SIGINT for jobs in the background.
    """
    handler, before = _Handler(), {}
    is_main = threading.current_thread() is threading.main_thread()
    for number in SIGNALS if is_main else ():
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
