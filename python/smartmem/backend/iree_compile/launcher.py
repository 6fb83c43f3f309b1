"""Starts a program that the kernel kills when its parent ends, whatever ends the parent.

Run as a script, ``python -I -S launcher.py PARENT PROGRAM ARGUMENTS``: the request must be
made in the new process before it becomes the program, and code between fork and exec is not
safe in a process with threads. Linux only.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Makes the kernel kill this process when ``parent`` ends; exits if it has."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (ImportError, OSError, AttributeError):  # without, it merely lives on
        pass
    if os.getppid() != parent:  # it ended before the request
        sys.exit(1)


def _main() -> None:
    parent, *command = sys.argv[1:]
    end_with_parent(int(parent))
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"error: {command[0]} does not start: {error.strerror}")


if __name__ == "__main__":
    _main()
