"""Runs a model compiled for 64-bit Arm under emulation, and compares it with this machine.

    apt-get install qemu-user libc6-arm64-cross libstdc++6-arm64-cross
    python scripts/check_arm64.py examples/small_swin.onnx

IREE's runtime for Arm is downloaded from the package index into ``build/arm64``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

import smartmem
from smartmem.runtime.inputs import random_inputs

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "arm64"
LIBRARIES = Path("/usr/aarch64-linux-gnu")
TARGET = "cpu:aarch64-none-linux-gnu:cortex-x2"
TOLERANCE = 1e-4


def main() -> int:
    """Exits with 1 past the tolerance, and where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default=TARGET, help=f"by default {TARGET}")
    arguments = parser.parse_args()
    if shutil.which("qemu-aarch64") is None or not LIBRARIES.is_dir():
        print("error: no emulator: apt-get install qemu-user libc6-arm64-cross "
              "libstdc++6-arm64-cross", file=sys.stderr)  # fmt: skip
        return 1
    error = largest_error(arguments.model, arguments.target, runtime())
    print(f"{arguments.model.name} for {arguments.target}: error {error:.3g}")
    return int(not error <= TOLERANCE)


def runtime() -> Path:
    """The ``iree-run-module`` for Arm."""
    tool = FOLDER / "iree" / "_runtime_libs" / "iree-run-module"
    if tool.exists():
        return tool
    wanted = f"iree-base-runtime=={version('iree-base-runtime')}"
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--platform", "manylinux_2_28_aarch64", "--only-binary", ":all:"),
                *("--python-version", "3.11", "--dest", name, wanted),
            ],
            check=True,
        )
        [wheel] = Path(name).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(FOLDER)
    tool.chmod(0o755)
    return tool


def largest_error(model: Path, target: str, tool: Path) -> float:
    """max|emulated - native| / max|native| over all outputs."""
    native = smartmem.compile(model, target="cpu")
    arrays = random_inputs(native.inputs)
    wanted = native.run(dict(zip([spec.name for spec in native.inputs], arrays, strict=True)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smartmem.compile(model, target=target).save(folder / "model.vmfb")
        options = []
        for number, array in enumerate(arrays):
            np.save(folder / f"input{number}.npy", array)
            options.append(f"--input=@{folder}/input{number}.npy")
        options += [f"--output=@{folder}/output{k}.npy" for k in range(len(wanted))]
        command = ["qemu-aarch64", "-L", LIBRARIES, "-cpu", "max", tool, "--device=local-sync"]
        subprocess.run(
            [*command, f"--module={folder}/model.vmfb", "--function=main", *options], check=True
        )
        found = [np.load(folder / f"output{k}.npy") for k in range(len(wanted))]
    return max(
        float(np.abs(a.astype(float) - b).max() / max(np.abs(b).max(), 1e-30))
        for a, b in zip(found, wanted.values(), strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
