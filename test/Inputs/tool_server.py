"""Runs tools in processes forked from one that has imported them.

Importing takes most of the time of a short command. What a user starts is a few lines longer
than what runs here: ``test_opt_process.py`` and ``test_supervisor.py`` start that.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

SECONDS_PER_COMMAND = 120

_MAINS = {
    "smartmem": "smartmem.tools.cli",
    "smartmem-opt": "smartmem.tools.opt",
    "filecheck": "filecheck.main",
}
_IMPORTED = ("smartmem.compiler.compile", "smartmem.frontend.onnx", "onnx")

_started: list[subprocess.Popen[bytes]] = []


def start() -> str:
    """Starts a server that ends with this process; returns the path of its socket."""
    path = str(Path(tempfile.mkdtemp(prefix="tools-"), "socket"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)  # who comes before the server has imported all that waits here
        command = [sys.executable, __file__, path, str(listener.fileno())]
        # The pipe is closed when this process ends, and those forked from it.
        server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
        _started.append(server)
    return path


def _serve(path: Path, listener: socket.socket) -> NoReturn:
    for module in _IMPORTED:
        if importlib.util.find_spec(module.partition(".")[0]):
            importlib.import_module(module)
    mains = {name: importlib.import_module(module).main for name, module in _MAINS.items()}
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run(mains, connection)
        connection.close()
    path.unlink()
    path.parent.rmdir()
    os._exit(0)  # without a word about what the bindings have not freed


def _run(mains: Mapping[str, Callable[[], int | None]], connection: socket.socket) -> NoReturn:
    """Runs what is asked for in this process and tells the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.alarm(SECONDS_PER_COMMAND)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as content:
        sys.argv, folder, environment = marshal.load(content)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The server's own know whether they could be sought in.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    connection.sendall(bytes([_status(mains[sys.argv[0]])]))
    os._exit(0)


def _status(main: Callable[[], int | None]) -> int:
    """The exit status of a tool, as Python ends with it."""
    try:
        return main() or 0
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 (as at the end of any process)
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
