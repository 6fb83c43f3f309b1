"""What this process is at, told to one that watches it from outside.

Code of MLIR's own can crash, and it cannot be stopped from within its process. The command
``smartmem`` does its work in a child process (``tools/supervisor.py``), which tells here what
it begins; where nobody watches, nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smartmem.backend.iree_compile.tool import default_memory_limit
from smartmem.options import CompileOptions


@dataclass(frozen=True)
class Activity:
    """A piece of work that ends by itself, or at a limit.

    Attributes:
        name: for people, e.g. ``the import of model.onnx``.
        deadline: when its time is over, as ``time.monotonic`` tells it; None: never.
        timeout_s: the time limit, for people.
        memory_limit: bytes of its own that the process may hold in memory meanwhile.
        is_over: it has come to its end, and nothing limits what follows.
    """

    name: str
    deadline: float | None
    timeout_s: float
    memory_limit: int
    is_over: bool = False


Watcher = Callable[[Activity], None]

_watchers: list[Watcher] = []


def tell(watcher: Watcher) -> None:
    """Makes ``watcher`` hear of each activity of this process that begins or ends."""
    _watchers.append(watcher)


@contextmanager
def activity(name: str, options: CompileOptions, deadline: float | None) -> Iterator[None]:
    """Tells that the body does what ``name`` says, within the limits of ``options``."""
    with activities(options, deadline) as begin:
        begin(name)
        yield


@contextmanager
def activities(
    options: CompileOptions, deadline: float | None
) -> Iterator[Callable[[str], None]]:
    """What to call with the name of each thing that begins; the body's end is that of the last."""
    if not _watchers:
        yield lambda name: None
        return
    limit, last = options.memory_limit or default_memory_limit(), ""

    def begin(name: str) -> None:
        nonlocal last
        last = name
        _tell_all(Activity(name, deadline, options.timeout_s, limit))

    try:
        yield begin
    finally:
        if last:
            _tell_all(Activity(last, None, options.timeout_s, limit, is_over=True))


def _tell_all(now: Activity) -> None:
    for watcher in _watchers:
        watcher(now)


def time_is_over(name: str, timeout_s: float) -> str:
    """The message about an activity that did not end in time."""
    return (
        f"{name} did not end within the time limit of {timeout_s:g} s; give more with --timeout"
    )
