"""Runs a tool in a process forked from one that has imported it."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import tool_client
import tool_server

_server = functools.cache(tool_server.start)


def run_tool(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    tool: str = "smartmem",
) -> subprocess.CompletedProcess[str]:
    """Runs the command line in ``folder`` and returns the finished process."""
    command = [tool, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = (0, out.fileno(), err.fileno())
        status = tool_client.request(_server(), command, str(folder), environment, streams)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    if status is None:
        raise subprocess.TimeoutExpired(command, tool_server.SECONDS_PER_COMMAND, *texts)
    return subprocess.CompletedProcess(command, status, *texts)
