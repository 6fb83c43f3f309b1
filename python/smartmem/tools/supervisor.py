"""Does the work of a tool in a child process, and survives what that does not.

A model can make the C++ below the import and the passes crash, run for ever or take all
memory. Nothing within the process can turn that into a message; its parent can. The parent
imports nothing heavy, so it is forked off early.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

from smartmem.backend.iree_compile.launcher import end_with_parent
from smartmem.backend.iree_compile.tool import memory_of
from smartmem.compiler.activity import Activity, tell, time_is_over
from smartmem.errors import printable
from smartmem.tools.process import prepare_streams, say
from smartmem.tools.signals import SIGNALS, Terminated

_POLL_S = 0.05
_IDLE_S = 0.2
"""Between two looks at a child that has no limits just now; its end is noticed at once."""

_ENDING_S = 0.005
"""Between the end of what a child tells, and its own."""

_GRACE_S = 2.0
"""Beyond the time limit: a child that can still end by itself says so, and cleans up."""

_SIGNAL_GRACE_S = 5.0
"""After a signal, for the same."""

_REPORT = "this is a fault of SmartMem or of MLIR: please report it, with the model"


def supervised(tool: Callable[[], int], name: str = "smartmem") -> int:
    """Runs ``tool``, of this name, in a child process; returns its exit status.

    The status is 1, after a message, if the child crashed or went beyond the limits of an
    activity it told of (``activity``), and 128 + N if signal N ended it. Signals to this
    process go on to the child. Nothing of its temporary files is left. The child never
    returns from here, and ends when this process does (on Linux).
    """
    if not hasattr(os, "fork"):
        return tool()
    prepare_streams()  # before a pipe takes the number of a stream that is closed
    folder = _temporary_folder()
    try:
        return _start(tool, name, folder).wait()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _temporary_folder() -> str | None:
    """For all temporary files of the child: who is killed removes none."""
    try:
        return tempfile.mkdtemp(prefix="smartmem-")
    except OSError:  # the child says so where it needs one
        return None


def _start(tool: Callable[[], int], name: str, folder: str | None) -> _Supervisor:
    reading, writing = os.pipe()
    _flush()
    parent = os.getpid()
    # A signal that comes meanwhile waits until both processes can handle it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(tool, parent, writing, folder, before)
    os.close(writing)
    supervisor = _Supervisor(name, child, reading)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # so the child ignores it, too
            signal.signal(number, supervisor.forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return supervisor


def _be_child(
    tool: Callable[[], int], parent: int, writing: int, folder: str | None, mask: set[int]
) -> NoReturn:
    def watcher(now: Activity) -> None:
        with contextlib.suppress(OSError):  # the parent is gone
            os.write(writing, json.dumps(asdict(now)).encode() + b"\n")

    status = 1
    try:
        end_with_parent(parent)
        tell(watcher)
        if folder is not None:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = tool()
    except KeyboardInterrupt:  # just before the tool took signals, or behind
        status = 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 (as at the end of any process)
        sys.excepthook(*sys.exc_info())
    finally:
        # Neither the caller's code nor the finalizers of C++ libraries run a second time.
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError, ValueError):
            _flush()
        os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


class _Supervisor:
    """Waits for a child, and kills it at its limits."""

    def __init__(self, tool: str, child: int, reading: int) -> None:
        """
        Args:
            tool: its name.
            child: the number of the process.
            reading: the end of a pipe on which it tells its activities.
        """
        self._tool, self._child, self._reading = tool, child, reading
        self._told, self._open = b"", True
        self._activity: Activity | None = None
        self._why: str | None = None
        self._signal, self._signal_end = 0, math.inf

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        if not self._signal:
            self._signal, self._signal_end = number, time.monotonic() + _SIGNAL_GRACE_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def wait(self) -> int:
        """The exit status for the tool, after a message where the child says none."""
        while True:
            self._hear()
            found, status = os.waitpid(self._child, os.WNOHANG)
            if found:
                break
            self._check()
        self._hear()
        os.close(self._reading)
        return self._outcome(os.waitstatus_to_exitcode(status))

    def _hear(self) -> None:
        """Reads what the child tells; waits for it a little."""
        seconds = _IDLE_S if self._limited is None else _POLL_S
        if not self._open:
            time.sleep(_ENDING_S)
        elif select.select([self._reading], [], [], seconds)[0]:
            content = os.read(self._reading, 1 << 16)
            self._open = bool(content)
            *lines, self._told = (self._told + content).split(b"\n")
            for line in lines:
                self._activity = Activity(**json.loads(line))

    @property
    def _limited(self) -> Activity | None:
        now = self._activity
        return None if now is None or now.is_over else now

    def _check(self) -> None:
        """Kills the child if it is beyond a limit."""
        time_now, limited = time.monotonic(), self._limited
        if limited is not None and self._why is None:
            self._why = _excess(limited, time_now, self._child)
        if self._why is not None or time_now > self._signal_end:
            os.kill(self._child, signal.SIGKILL)  # it is there: nobody has waited for it

    def _outcome(self, code: int) -> int:
        if self._why is not None:
            return self._fail(self._why)
        if code >= 0:
            return code
        number = self._signal or -code
        if number in SIGNALS:
            end = Terminated(number)
            say(str(end))
            return end.status
        return self._fail(_crash(self._tool, number, self._activity))

    def _fail(self, message: str) -> int:
        if sys.stderr.isatty():  # there may be a progress bar, and no cursor
            sys.stderr.write("\r\x1b[2K\x1b[?25h")
        say(f"error: {printable(message)}")
        return 1


def _excess(now: Activity, time_now: float, child: int) -> str | None:
    """What is said of a child that is beyond a limit; None if it is not."""
    if now.deadline is not None and time_now > now.deadline + _GRACE_S:
        return time_is_over(now.name, now.timeout_s)
    if memory_of(child).get("RssAnon", 0) > now.memory_limit:
        return (
            f"{now.name} took more memory than the limit of {now.memory_limit / 1e9:.2g} GB; "
            "give more with --memory, or compile a smaller model"
        )
    return None


def _crash(tool: str, number: int, last: Activity | None) -> str:
    """What is said of a child that ``number`` ended, which nobody sent."""
    name = signal.Signals(number).name
    if last is None:
        subject = f"{tool} crashed ({name})"
    elif last.is_over:
        subject = f"{tool} crashed ({name}) after {last.name}"
    else:
        subject = f"{last.name} crashed ({name})"
    if number == signal.SIGKILL:
        subject = subject.replace("crashed", "was killed")
        return f"{subject}; it probably ran out of memory: free some, or set --memory"
    return f"{subject}; {_REPORT}"
