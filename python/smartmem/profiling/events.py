"""Runs a module under IREE's profiler, which times each kernel on the device.

``iree-benchmark-module`` writes a profile, ``iree-profile`` reads it: both come with IREE's
runtime. On a CPU a kernel's time is from its first workgroup to its last; a GPU stamps both ends.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smartmem.backend.device import hal
from smartmem.backend.device.image_library import library_for
from smartmem.backend.device.placement import Place, place
from smartmem.backend.iree_compile.processes import ending_with_caller
from smartmem.backend.module.module_file import ModuleFile
from smartmem.errors import TargetError, ToolMissingError, UnsupportedError
from smartmem.files import scratch_folder
from smartmem.parameters import Array

_MODES = {hal.CPU_URI: "host-execution"}
_GPU_MODE = "dispatch-events"
_TYPES = {
    **{f"float{bits}": f"f{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"si{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"ui{bits}" for bits in (8, 16, 32, 64)},
    "bool": "i1",
    "bfloat16": "bf16",
}


@dataclass(frozen=True)
class Event:
    """One run of a kernel.

    Attributes:
        kernel: its name.
        start: seconds, by a clock of the device.
        seconds: from its start to its end.
    """

    kernel: str
    start: float
    seconds: float


def profile_module(
    path: Path, arrays: Sequence[Array], *, device: str, runs: int, timeout_s: float
) -> tuple[Place, list[Event]]:
    """The runs of kernels in ``runs`` inferences or more, in the order of the program.

    Args:
        path: a compiled module.
        arrays: its inputs, as the model has them.
        device: as for ``smartmem.load``.
        timeout_s: for all of it.

    Raises:
        TargetError: no such device, it does not fit the module, or it has no profiler.
        ToolMissingError: IREE's tools are not installed.
        UnsupportedError: an input has elements that IREE's tools cannot read.
    """
    file = ModuleFile(path)
    where = place(file, device)
    library = library_for(
        file.name, has_images=bool(file.shader_use.images), is_software=where.is_software
    )
    environment = {**os.environ, **({hal.LOADER_VARIABLE: str(library)} if library else {})}
    with scratch_folder() as folder:
        profile = Path(folder, "model.ireeprof")
        command = [
            str(_tool("iree-benchmark-module")),
            f"--module={path}",
            f"--function={file.function.name}",
            f"--device={where.uri}",
            f"--device_profiling_mode={_MODES.get(where.uri, _GPU_MODE)}",
            f"--device_profiling_output={profile}",
            f"--benchmark_min_time={runs}x",
            *_inputs(arrays, file, Path(folder)),
        ]
        _run(command, environment, timeout_s, where)
        reader = [
            str(_tool("iree-profile")),
            *("dispatch", "--dispatch_events", "--format=jsonl", str(profile)),
        ]
        return where, _events(_run(reader, environment, timeout_s, where))


def _tool(name: str) -> Path:
    from iree import _runtime_libs

    path = Path(_runtime_libs.__path__[0], name)
    if not path.exists():
        raise ToolMissingError(f"{name} is missing: pip install iree-base-runtime==3.13.0")
    return path


def _inputs(arrays: Sequence[Array], file: ModuleFile, folder: Path) -> list[str]:
    """The options that name the inputs, which are written to files of plain bytes."""
    options = []
    for number, (array, dtype) in enumerate(zip(arrays, file.input_dtypes, strict=True)):
        name = _TYPES.get(dtype.name)
        if name is None:
            raise UnsupportedError(f"input {number} has elements of {dtype.name}, which IREE's "
                                   "tools do not read; profile another model")  # fmt: skip
        path = folder / f"input{number}.bin"
        np.ascontiguousarray(array.astype(dtype, copy=False)).tofile(path)
        options.append(f"--input={'x'.join([*map(str, array.shape), name])}=@{path}")
    return options


def _run(
    command: Sequence[str], environment: Mapping[str, str], timeout_s: float, where: Place
) -> str:
    try:
        done = subprocess.run(
            ending_with_caller(command),
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(
            f"profiling on {where.name} took more than {timeout_s:g} s; take fewer runs, or a "
            "larger --timeout"
        ) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise TargetError(
            f"profiling on {where.name} failed: {said[0] if said else done.returncode}"
        )
    return done.stdout


def _events(text: str) -> list[Event]:
    """The events of kernels in the lines that iree-profile printed, in program order."""
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    found = [row for row in rows if row["type"].endswith("dispatch_event") and row["valid"]]
    found.sort(key=lambda row: (row["submission_id"], row["command_index"]))
    return [_event(row) for row in found]


def _event(row: Mapping[str, Any]) -> Event:
    seconds = max(row["duration_ns"], 1) * 1e-9  # a clock can stand still for that long
    if "start_host_time_ns" in row:
        return Event(row["key"], row["start_host_time_ns"] * 1e-9, seconds)
    # A GPU's ticks: how long one is follows from a run's two lengths.
    tick = seconds / row["duration_ticks"] if row["duration_ticks"] else 1e-9
    return Event(row["key"], row["start_tick"] * tick, seconds)
