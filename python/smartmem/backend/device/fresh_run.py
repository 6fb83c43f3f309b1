"""Runs a module in a process of its own: with any loader, layer and other environment.

A process takes Vulkan's loader and layers from its environment when it first opens a device,
so whatever compares these needs a process for each. Nothing that another run left in the
device's memory is there in a new process, either: with ``fill`` there are NaNs in its place.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smartmem.backend.device.hal import LOADER_VARIABLE
from smartmem.backend.device.image_library import (
    FILL_VARIABLE,
    find_image_library,
    image_statistics,
)
from smartmem.backend.device.runtime import LoadedModule
from smartmem.errors import SmartMemError, TargetError
from smartmem.parameters import Array
from smartmem.runtime.inputs import fit_arrays

_LAYER = "VK_LAYER_KHRONOS_validation"
_LAYER_FOLDERS = (Path("/usr/share/vulkan/explicit_layer.d"), Path("/etc/vulkan"))
_VALIDATION = {
    "VK_INSTANCE_LAYERS": _LAYER,
    "VK_LAYER_ENABLES": "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT",
    "VK_KHRONOS_VALIDATION_LOG_FILENAME": "stdout",
    "VK_KHRONOS_VALIDATION_DEBUG_ACTION": "VK_DBG_LAYER_ACTION_LOG_MSG",
}
_NAME = re.compile(r"\b(?:VUID|UNASSIGNED|SYNC-HAZARD)[\w-]+")
_NUMBER = re.compile(r"\b0x[0-9a-fA-F]+\b|%?\b\d+\b")
# The layer itself calls this "most likely a validation bug".
_LAYERS_OWN_FAULTS = {"UNASSIGNED-VkSemaphore-state-timeout"}


@dataclass(frozen=True)
class FreshRun:
    """What one process computed, and how.

    Attributes:
        results: those of each inference.
        seconds: wall time of each inference, inputs and outputs copied.
        is_through_library: whether SmartMem's Vulkan library was loaded.
        statistics: what the library counted, if it was.
        messages: what the validation layer found, if it was asked for: names and texts,
            with N for each number.
    """

    results: tuple[list[Array], ...]
    seconds: tuple[float, ...]
    is_through_library: bool
    statistics: Mapping[str, int]
    messages: frozenset[str]

    @property
    def outputs(self) -> list[Array]:
        """The results of the last inference."""
        return self.results[-1]

    @property
    def is_filled(self) -> bool:
        """Whether memory was filled with NaNs before it was used."""
        return self.statistics.get("filled_bytes", 0) > 0


def has_validation_layer() -> bool:
    """Whether Khronos's validation layer is installed."""
    return any(list(f.glob("**/*khronos_validation*.json")) for f in _LAYER_FOLDERS)


def run_fresh(
    module: Path,
    *inputs: Sequence[Array],
    device: str = "vulkan",
    fill: bool = False,
    validate: bool = False,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 600.0,
) -> FreshRun:
    """Runs a module for a Vulkan device in a new process, once on each of ``inputs``.

    Args:
        module: the ``.vmfb``.
        inputs: the arrays of each inference, in the module's order.
        device: as for ``LoadedModule``.
        fill: with NaNs (-1 for integers) in memory that was not written, if SmartMem's
            Vulkan library is built.
        validate: with the validation layer and its synchronization validation.
        environment: variables to add.
        timeout_s: wall time of the process.

    Raises:
        TargetError: the module does not run, the process crashed or took too long.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, arrays in enumerate(inputs):
            np.savez(folder / f"inputs{number}.npz", *map(_bits, arrays))
        added = {
            **(_VALIDATION if validate else {}),
            **(_filling() if fill else {}),
            **(environment or {}),
        }
        (folder / "asked.json").write_text(json.dumps([str(module), device, len(inputs)]))
        said = _run(folder, added, timeout_s)
        told: dict[str, Any] = json.loads((folder / "told.json").read_text())
        if "error" in told:
            raise TargetError(told["error"])
        dtypes = [np.dtype(name) for name in told["dtypes"]]
        results = tuple(_read(folder / f"outputs{k}.npz", dtypes) for k in range(len(inputs)))
    return FreshRun(
        results=results,
        seconds=tuple(told["seconds"]),
        is_through_library=told["is_through_library"],
        statistics=told["statistics"],
        messages=_messages(said),
    )


def _filling() -> dict[str, str]:
    library = find_image_library()
    if library is None:
        return {}
    return {FILL_VARIABLE: "nan", LOADER_VARIABLE: str(library)}


def _run(folder: Path, environment: Mapping[str, str], timeout_s: float) -> str:
    """Runs this file on what ``folder`` holds; what it said."""
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(folder)]
    try:
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(f"the module ran for more than {timeout_s:g} s") from None
    if done.returncode:
        status = done.returncode
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        raise TargetError(f"the process that ran the module ended with {how}")
    return done.stdout


def _bits(array: Array) -> Array:
    """The array as NumPy's files can hold it: bfloat16 and the like as their bits."""
    # ascontiguousarray makes 0-d arrays 1-d.
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array


def _read(path: Path, dtypes: Sequence[np.dtype[Any]]) -> list[Array]:
    with np.load(path) as file:
        return [_typed(file[key], dtype) for key, dtype in zip(file, dtypes, strict=True)]


def _typed(array: Array, dtype: np.dtype[Any]) -> Array:
    return array if array.dtype == dtype else array.view(dtype)


def _messages(said: str) -> frozenset[str]:
    """Each line with a name: "NAME(ERROR): ... | MessageID = 0x12 | TEXT"."""
    found = set()
    for line in said.splitlines():
        name = _NAME.search(line)
        if name and name[0] not in _LAYERS_OWN_FAULTS:
            text = line.rpartition(" | ")[2]
            found.add(f"{name[0]}: {_NUMBER.sub('N', text).strip()}")
    return frozenset(found)


def same_bits(some: Sequence[Array], others: Sequence[Array]) -> bool:
    """Whether two lists of results are the same, NaNs and signs of zeros included."""
    if len(some) != len(others):
        return False
    pairs = zip(some, others, strict=True)
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


def are_finite(arrays: Sequence[Array]) -> bool:
    """Whether no array of floats has a NaN or an infinity."""
    floats = [array for array in arrays if np.issubdtype(array.dtype, np.floating)]
    return all(bool(np.isfinite(array).all()) for array in floats)


def _run_here(folder: Path) -> None:
    path, device, count = json.loads((folder / "asked.json").read_text())
    try:
        told = _run_all(LoadedModule(path, device), folder, count)
    except SmartMemError as error:
        told = {"error": str(error)}
    (folder / "told.json").write_text(json.dumps(told))


def _run_all(module: LoadedModule, folder: Path, count: int) -> dict[str, Any]:
    dtypes = [spec.dtype for spec in module.inputs]
    seconds = []
    for number in range(count):
        arrays = fit_arrays(module.inputs, _read(folder / f"inputs{number}.npz", dtypes))
        start = time.perf_counter()
        outputs = module(*arrays)
        seconds.append(time.perf_counter() - start)
        np.savez(folder / f"outputs{number}.npz", *map(_bits, outputs))
    library = _loaded_library()
    counted = image_statistics(library) if library else None
    names = [name for name, *_ in counted._fields_] if counted else []
    return {
        "seconds": seconds,
        "dtypes": [spec.dtype.name for spec in module.outputs],
        "is_through_library": library is not None,
        "statistics": {name: getattr(counted, name) for name in names},
    }


def _loaded_library() -> Path | None:
    """SmartMem's library if this process has it in memory (Linux only)."""
    library = find_image_library()
    mapped = Path("/proc/self/maps").read_text()
    return library if library and str(library.resolve()) in mapped else None


if __name__ == "__main__":
    _run_here(Path(sys.argv[1]))
