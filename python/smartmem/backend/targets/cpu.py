"""CPU targets: what LLVM generates code for, and what this machine's processor has."""

from __future__ import annotations

import functools
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.vectors import AVX512, Vectors

_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}

# LLVM's name of an instruction set extension -> Linux's in /proc/cpuinfo. Only those
# compiled code is likely to use; the rest of LLVM's names say how to tune or belong to
# the kernel.
_CPUINFO_NAMES = {
    "x86_64": {
        "sse3": "pni",
        "ssse3": "ssse3",
        "sse4.1": "sse4_1",
        "sse4.2": "sse4_2",
        "popcnt": "popcnt",
        "lzcnt": "abm",
        "bmi": "bmi1",
        "bmi2": "bmi2",
        "movbe": "movbe",
        "f16c": "f16c",
        "fma": "fma",
        "avx": "avx",
        "avx2": "avx2",
        "avxvnni": "avx_vnni",
        "avxifma": "avx_ifma",
        "avx512f": "avx512f",
        "avx512bw": "avx512bw",
        "avx512cd": "avx512cd",
        "avx512dq": "avx512dq",
        "avx512vl": "avx512vl",
        "avx512ifma": "avx512ifma",
        "avx512vbmi": "avx512vbmi",
        "avx512vbmi2": "avx512_vbmi2",
        "avx512vnni": "avx512_vnni",
        "avx512bitalg": "avx512_bitalg",
        "avx512vpopcntdq": "avx512_vpopcntdq",
        "avx512bf16": "avx512_bf16",
        "avx512fp16": "avx512_fp16",
        "gfni": "gfni",
        "amx-tile": "amx_tile",
        "amx-int8": "amx_int8",
        "amx-bf16": "amx_bf16",
    },
    "aarch64": {
        "neon": "asimd",
        "fullfp16": "asimdhp",
        "fp16fml": "asimdfhm",
        "dotprod": "asimddp",
        "rdm": "asimdrdm",
        "complxnum": "fcma",
        "lse": "atomics",
        "crc": "crc32",
        "i8mm": "i8mm",
        "bf16": "bf16",
        "sve": "sve",
        "sve2": "sve2",
        "sme": "sme",
        "sme2": "sme2",
    },
}


@dataclass(frozen=True)
class HostCpu:
    """This machine's processor.

    Attributes:
        architecture: such as ``x86_64`` or ``aarch64``.
        features: LLVM names of the extensions it has, or None where they can't be told.
    """

    architecture: str
    features: frozenset[str] | None


@functools.cache
def host_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> HostCpu:
    """The processor of this machine; extensions are known on Linux only."""
    machine = platform.machine().lower()
    architecture = _ARCHITECTURES.get(machine, machine)
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return HostCpu(architecture, None)
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    if match is None:
        return HostCpu(architecture, None)
    words = set(match.group(1).split())
    names = _CPUINFO_NAMES.get(architecture, {})
    return HostCpu(architecture, frozenset(k for k, word in names.items() if word in words))


def cpu_requirements(attribute: str) -> DeviceRequirements:
    """What code for a ``"llvm-cpu"`` target asks of the processor.

    Args:
        attribute: IR that holds the ``#hal.executable.target``, as iree-compile prints it.

    Raises:
        ValueError: the attribute's form is not the known one.
    """
    triple = re.search(r'target_triple = "([^"-]+)', attribute)
    features = re.search(r'cpu_features = "([^"]*)"', attribute)
    if triple is None or features is None:
        raise ValueError(f"no target_triple or cpu_features in {attribute}")
    # A later mention wins: LLVM prints the CPU's own features, then the host's.
    switches = [word for word in features.group(1).split(",") if word[:1] in ("+", "-")]
    state = {word[1:]: word[0] == "+" for word in switches}
    known = _CPUINFO_NAMES.get(triple.group(1), {})
    return DeviceRequirements(
        cpu_architecture=triple.group(1),
        cpu_features=frozenset(name for name, on in state.items() if on and name in known),
    )


def cpu_vectors(attribute: str) -> Vectors:
    """The vector registers that code for a ``"llvm-cpu"`` target uses.

    AVX-512 and Arm have 32 of them, x86 without it 16.

    Args:
        attribute: IR that holds the ``#hal.executable.target``, as iree-compile prints it.
    """
    size = re.search(r"native_vector_size = (\d+)", attribute)
    lanes = int(size.group(1)) // 4 if size else 4
    is_x86 = re.search(r'target_triple = "(x86_64|i\d86)', attribute) is not None
    return Vectors(lanes, 16 if is_x86 and lanes < AVX512.lanes else 32)
