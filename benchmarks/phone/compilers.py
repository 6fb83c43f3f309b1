"""The compilers of phones' GPUs: Mesa's turnip and panvk, which run without the hardware.

``setup.sh`` builds them in the folder that ``PHONE_ROOT`` names, with drm-shim, a kernel
interface that does nothing: pipelines are compiled for real, and nothing is executed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartmem.errors import ToolMissingError

ROOT_VARIABLE = "PHONE_ROOT"

_OK = 0
_LIMIT_S = 60
"""Seconds after which a shader is given up."""


@dataclass(frozen=True)
class Gpu:
    """One GPU that there is a compiler for.

    Attributes:
        title: for readers.
        driver: folder of the driver in Mesa.
        chip: the driver's number of the GPU, as its environment variable takes it.
        target: what SmartMem compiles for.
        storage: how its kernels read on such a GPU unless told otherwise.
        subgroup: the size that kernels are written for, and that is required of the driver;
            0 where it has one alone.
        lanes: threads that run in step.
    """

    title: str
    driver: str
    chip: str
    target: str
    storage: str
    subgroup: int
    lanes: int


def _adreno(chip: int) -> Gpu:
    return Gpu(f"Adreno {chip}", "freedreno", str(chip), "adreno", "texel_buffer", 64, 64)


def _mali(name: str, chip: str) -> Gpu:
    # valhall4 is valhall3 to IREE but for the name.
    return Gpu(f"Mali-{name}", "panfrost", chip, "valhall4", "buffer", 0, 16)


GPUS = {
    **{f"a{chip}": _adreno(chip) for chip in (618, 630, 660, 730, 740, 750)},
    "g610": _mali("G610", "a867"),
    "g310": _mali("G310", "ac74"),
}


@dataclass(frozen=True)
class Compiled:
    """What a driver's compiler made of one shader.

    Attributes:
        name: the shader's entry point.
        error: why there is nothing; empty if there is.
        seconds: of the compilation.
        statistics: what the driver counts, by its own names.
        log: what it printed.
        assembly: what it can show of the code; empty if it shows none.
    """

    name: str
    error: str
    seconds: float
    statistics: dict[str, Any]
    log: str
    assembly: str


def compile_shaders(folder: Path, names: Sequence[str], gpu: Gpu) -> list[Compiled]:
    """Compiles the shaders ``NAME.spv`` of a folder.

    Raises:
        ToolMissingError: ``PHONE_ROOT`` has no compilers.
        RuntimeError: the driver does not start.
    """
    root = _root()
    inside = Path("data") / folder.name
    shutil.rmtree(root / inside, ignore_errors=True)
    (root / inside).mkdir(parents=True)
    for name in names:
        shutil.copy(folder / f"{name}.spv", root / inside)
    run = _run(root, inside, names, gpu)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if len(rows) != len(names):
        raise RuntimeError(f"{gpu.title}: {run.stderr[-2000:]}")
    logs = dict(_logs(run.stderr))
    found = [_compiled(row, logs, root / inside) for row in rows]
    shutil.rmtree(root / inside)
    return found


def _root() -> Path:
    root = os.environ.get(ROOT_VARIABLE)
    if root is None or not (Path(root) / "lab" / "shader_stats").exists():
        raise ToolMissingError(
            f"the compilers of phones are not in {ROOT_VARIABLE}={root or ''}; "
            "install them with benchmarks/phone/setup.sh"
        )
    return Path(root)


def _run(
    root: Path, inside: Path, names: Sequence[str], gpu: Gpu
) -> subprocess.CompletedProcess[str]:
    shim = f"/src/build/src/{gpu.driver}/drm-shim/lib{gpu.driver}_noop_drm_shim.so"
    environment = {
        "PATH": "/usr/bin:/bin",
        "VK_DRIVER_FILES": f"/lab/{gpu.driver}.json",
        "LD_PRELOAD": shim,
        "MESA_SHADER_CACHE_DISABLE": "true",
        "XDG_RUNTIME_DIR": "/tmp",
        **_SWITCHES[gpu.driver](gpu.chip),
    }
    settings = [f"{key}={value}" for key, value in environment.items()]
    tool = ["/lab/shader_stats", f"/{inside}/out", str(_LIMIT_S), str(gpu.subgroup)]
    return subprocess.run(
        ["chroot", str(root), "/usr/bin/env", "-i", *settings, *tool],
        input="".join(f"/{inside}/{name}.spv\n" for name in names),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


_SWITCHES = {
    "freedreno": lambda chip: {"FD_GPU_ID": chip},
    "panfrost": lambda chip: {
        "PAN_GPU_ID": chip,
        "PAN_I_WANT_A_BROKEN_VULKAN_DRIVER": "1",
        "BIFROST_MESA_DEBUG": "shaderdb",
    },
}


def _logs(text: str) -> Iterator[tuple[str, str]]:
    """What was printed while each shader was compiled, by its name."""
    for part in text.split("#SHADER ")[1:]:
        path, _, log = part.partition("\n")
        yield Path(path).stem, log


def _compiled(row: dict[str, Any], logs: dict[str, str], folder: Path) -> Compiled:
    name = Path(row.pop("file")).stem
    row.pop("entry", None)
    result, milliseconds = row.pop("result"), row.pop("compile_ms", 1e3 * _LIMIT_S)
    assembly = folder / "out" / f"{name}.spv.asm"
    return Compiled(
        name=name,
        error="" if result == _OK else str(result),
        seconds=milliseconds / 1e3,
        statistics=row,
        log=logs.get(name, ""),
        assembly=assembly.read_text(errors="replace") if assembly.exists() else "",
    )
