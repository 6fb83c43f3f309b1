"""Runs ``smartmem`` in a process forked from one that has imported it: that takes most of
the time of a short command."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_IMPORTED = ["smartmem.tools.cli", "smartmem.compiler", "smartmem.frontend.onnx", "onnx"]
_TIMEOUT_S = 120

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(_IMPORTED)


def run_tool(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs the command line in ``folder`` and returns the finished process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (out, err)]
        process = _server.Process(target=_main, args=(arguments, folder, environment, streams))
        process.start()
        process.join(_TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), _TIMEOUT_S)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *texts)


def _main(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    streams: Sequence[str],
) -> None:
    for number, path in zip((1, 2), streams, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["smartmem", *arguments]
    from smartmem.tools.cli import main

    main()
