"""The tables that come with SmartMem, and which one a compilation uses."""

from __future__ import annotations

import functools
import platform
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from pathlib import Path

from smartmem.backend.targets.cpu import host_cpu
from smartmem.backend.targets.targets import Target
from smartmem.tuning.table import Machine, Table, read_table


def machine_of(target: Target) -> Machine:
    """The machine that a table for ``target`` must be of."""
    needs = target.requirements
    is_cpu = target.kind == "cpu"
    architecture = (needs.cpu_architecture or "") if needs and is_cpu else target.description
    return Machine(
        kind=target.kind,
        architecture=architecture,
        vectors=target.processor.vectors,
        iree=_iree_version(),
        description=_processor() if is_cpu else target.description,
    )


def table_for(target: Target, tuning: Path | None, *, shipped: bool = True) -> Table | None:
    """The measured choices for ``target``: those of a file, then the shipped ones.

    Raises:
        InvalidInputError: the file is no table, or one of another machine.
    """
    machine = machine_of(target)
    known = shipped_table(machine) if shipped else None
    return known if tuning is None else read_table(tuning, machine).over(known)


@functools.cache
def shipped_table(machine: Machine) -> Table | None:
    """The table that comes with SmartMem for machines like this one."""
    if machine.kind != "cpu":
        return None
    lanes, registers = machine.vectors.lanes, machine.vectors.registers
    name = f"cpu-{machine.architecture}-{registers}x{lanes}.json"
    found = files("smartmem.tuning").joinpath("tables", name)
    if not found.is_file():
        return None
    with as_file(found) as path:
        table = read_table(path)
    if table.machine.mismatch(machine):
        return None
    fusions = {key: replace(times, shipped=True) for key, times in table.fusions.items()}
    return replace(table, fusions=fusions)


def _iree_version() -> str:
    try:
        return version("iree-base-compiler")
    except PackageNotFoundError:  # iree-compile of another origin
        return "unknown"


def _processor() -> str:
    """The name of this machine's processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return match[1] if match else platform.processor() or host_cpu().architecture
