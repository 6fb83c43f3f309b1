"""Takes the kernels of a module apart: of which group each is, and which fail alone.

For failures that name no group: iree-compile crashed, or ran past its time limit
because of one kernel, or a kernel that it made cannot be right.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from smartmem.backend.iree_compile.compile import target_flags
from smartmem.backend.iree_compile.compile_errors import first_error
from smartmem.backend.iree_compile.processes import in_parallel
from smartmem.backend.iree_compile.tool import (
    IreeOptions,
    default_memory_limit,
    run_iree_compile,
)
from smartmem.backend.targets.targets import Target
from smartmem.passes.base import group_of

_SHARE = 0.25
"""Part of all the time that one kernel may take."""

_EXPORT = re.compile(r"^ *hal\.executable\.export public @(\S+) ", re.MULTILINE)


def groups_failing_alone(
    bytecode: Path, target: Target, options: IreeOptions
) -> dict[int, str]:
    """The groups whose kernels do not compile on their own, each with the reason.

    Kernels of no group, and kernels that the time is not enough to try, are left out.

    Args:
        bytecode: a module whose groups are placed (``regions.place_groups``).
        options: the time limit is for all kernels together, and a kernel that takes a
            quarter of it fails; the memory is for all that are compiled at a time.
    """
    workers = os.cpu_count() or 1
    share = (options.memory_limit or default_memory_limit()) // workers
    end = time.monotonic() + options.timeout_s
    flags = target_flags(target, options)
    with tempfile.TemporaryDirectory(prefix="smartmem-") as folder:
        sources = _write_kernels(bytecode, Path(folder), flags, options.timeout_s)

        def reason(source: Path, stop: threading.Event) -> str | None:
            left_s = end - time.monotonic()
            return _failure(source, flags, options.timeout_s * _SHARE, left_s, share, stop)

        found = zip(sources.values(), in_parallel(reason, sources, workers), strict=True)
        return {group: why for group, why in found if why is not None}


def groups_of_kernels(bytecode: Path, target: Target, options: IreeOptions) -> dict[str, int]:
    """The groups of a module's kernels by the names of the kernels' functions.

    Kernels of no group are left out, and of equal kernels all but one.

    Args:
        bytecode: a module whose groups are placed (``regions.place_groups``).
    """
    flags = target_flags(target, options)
    with tempfile.TemporaryDirectory(prefix="smartmem-") as folder:
        sources = _write_kernels(bytecode, Path(folder), flags, options.timeout_s)
        return {
            name: group
            for source, group in sources.items()
            for name in _EXPORT.findall(source.read_text())
        }


def _write_kernels(
    bytecode: Path, folder: Path, flags: Sequence[str], timeout_s: float
) -> dict[Path, int]:
    """Writes each kernel of a group to a file of its own; the files with their groups."""
    phase = (
        "--compile-to=executable-sources",
        f"--iree-hal-dump-executable-sources-to={folder}",
        "--mlir-print-debuginfo",
        "-o",
        os.devnull,
    )
    run_iree_compile(bytecode, [*flags, *phase], timeout_s=timeout_s)
    placed = {path: group_of(_last_line(path)) for path in sorted(folder.iterdir())}
    return {path: group for path, group in placed.items() if group is not None}


def _last_line(path: Path) -> str:
    """The line that closes the kernel; it ends with the kernel's own location."""
    return path.read_text().rstrip().rpartition("\n")[2]


def _failure(
    source: Path,
    flags: Sequence[str],
    limit_s: float,
    left_s: float,
    memory_limit: int,
    stop: threading.Event,
) -> str | None:
    """Why the kernel in ``source`` does not compile, or None if it does or time is up."""
    if left_s <= 0:
        return None
    mode = ("--compile-mode=hal-executable", "-o", os.devnull)
    run = run_iree_compile(
        source,
        [*flags, *mode],
        timeout_s=min(limit_s, left_s),
        memory_limit=memory_limit,
        stop=stop,
    )
    if run.timed_out:
        slow = f"its kernel alone takes more than {limit_s:.2g} s to compile"
        return slow if left_s > limit_s else None
    return first_error(run) if run.returncode else None
