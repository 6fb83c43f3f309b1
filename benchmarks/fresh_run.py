"""Runs a module in a process of its own: with any loader, layer and other environment.

A process takes Vulkan's loader and layers from its environment when it first opens a device,
so whatever compares these needs a process for each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smartmem.backend.image_library import find_image_library, image_statistics
from smartmem.backend.runtime import LoadedModule
from smartmem.inputs import fit_arrays
from smartmem.parameters import Array

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
        outputs: the results of its last inference.
        seconds: wall time of each inference, inputs and outputs copied.
        is_through_library: whether SmartMem's Vulkan library was loaded.
        statistics: what the library counted, if it was.
        messages: what the validation layer found, if it was asked for: names and texts,
            with N for each number.
    """

    outputs: list[Array]
    seconds: tuple[float, ...]
    is_through_library: bool
    statistics: Mapping[str, int]
    messages: frozenset[str]


def has_validation_layer() -> bool:
    """Whether Khronos's validation layer is installed."""
    return any(list(f.glob("**/*khronos_validation*.json")) for f in _LAYER_FOLDERS)


def run_fresh(
    module: Path,
    arrays: Sequence[Array],
    *,
    runs: int = 1,
    validate: bool = False,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 600.0,
) -> FreshRun:
    """Runs a module for a Vulkan device in a new process.

    Args:
        module: the ``.vmfb``.
        arrays: its inputs, in order.
        runs: inferences.
        validate: with the validation layer and its synchronization validation.
        environment: variables to add.
        timeout_s: wall time of the process.

    Raises:
        subprocess.CalledProcessError: the process failed; what it said is on stderr.
        subprocess.TimeoutExpired: it took too long.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", *arrays)
        added = {**(_VALIDATION if validate else {}), **(environment or {})}
        said = subprocess.run(
            [sys.executable, __file__, module, folder, str(runs)],
            env={**os.environ, **added},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=timeout_s,
        ).stdout
        with np.load(folder / "outputs.npz") as results:
            outputs = [results[key] for key in results]
        told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return FreshRun(
        outputs=outputs,
        seconds=tuple(told["seconds"]),
        is_through_library=told["is_through_library"],
        statistics=told["statistics"],
        messages=_messages(said),
    )


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


def _run_here(path: Path, folder: Path, runs: int) -> None:
    module = LoadedModule(path, "vulkan")
    with np.load(folder / "inputs.npz") as given:
        arrays = fit_arrays(module.inputs, [given[key] for key in given])
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        outputs = module(*arrays)
        seconds.append(time.perf_counter() - start)
    library = _loaded_library()
    counted = image_statistics(library) if library else None
    names = [name for name, *_ in counted._fields_] if counted else []
    told = {
        "seconds": seconds,
        "is_through_library": library is not None,
        "statistics": {name: getattr(counted, name) for name in names},
    }
    np.savez(folder / "outputs.npz", *outputs)
    (folder / "told.json").write_text(json.dumps(told))


def _loaded_library() -> Path | None:
    """SmartMem's library if this process has it in memory (Linux only)."""
    library = find_image_library()
    mapped = Path("/proc/self/maps").read_text()
    return library if library and str(library.resolve()) in mapped else None


if __name__ == "__main__":
    _run_here(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
