"""Targets: what a module is compiled for.

``resolve_target`` accepts

- ``cpu``: this machine's processor; ``cpu:NAME`` another one by LLVM's name, such as
  ``cpu:znver4``; ``cpu:TRIPLE`` or ``cpu:TRIPLE:NAME`` another architecture, such as
  ``cpu:aarch64-none-linux-android30:cortex-x2``;
- ``vulkan``: the Vulkan device of this machine; ``vulkan:1`` or ``vulkan:PART-OF-NAME``
  another one;
- any name that iree-compile takes for ``--iree-vulkan-target``, such as ``adreno``,
  ``adreno-740``, ``valhall4`` or ``mali-g715``; no such device is needed;
- the path of a target file (see ``device_file``);
- ``auto``: ``vulkan`` if this machine has a real Vulkan device, else ``cpu``.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smartmem.backend.device.devices import probe_vulkan, real_device, select_device
from smartmem.backend.iree_compile.tool import run_iree_compile
from smartmem.backend.targets.cpu import cpu_requirements, cpu_vectors
from smartmem.backend.targets.device_file import read_device
from smartmem.backend.targets.gpu_target import (
    architecture_of,
    device_flag,
    requirements_of,
    target_attribute,
)
from smartmem.backend.targets.processor import EVERY_GPU, Cpu, Gpu, Processor
from smartmem.backend.targets.registers import block_of
from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.vectors import SPIRV, Vectors
from smartmem.backend.targets.vulkan_device import VulkanDevice
from smartmem.errors import BackendError, TargetError

# Every Vulkan device can bind this much as one storage buffer; IREE packs constants into
# buffers up to the size it is told.
_GUARANTEED_BUFFER_RANGE = 2**27
_IREE_OFFSET_ALIGNMENT = 64

# The names people ask for most; iree-compile decides what exists, not this table.
VULKAN_NAMES = {
    "adreno": "Qualcomm Adreno; products as adreno-740",
    "arm5gen": "Arm 5th generation: Mali-G720, G725, G1",
    "valhall4": "Arm Valhall: Mali-G715, G615",
    "valhall3": "Arm Valhall: Mali-G710, G510, G310",
    "valhall2": "Arm Valhall: Mali-G78",
    "valhall1": "Arm Valhall: Mali-G77, G57",
    "mali-g725": "Arm Mali-G725",
    "mali-g720": "Arm Mali-G720",
    "mali-g715": "Arm Mali-G715",
    "mali-g710": "Arm Mali-G710",
    "mali-g78": "Arm Mali-G78",
    "mali-g57": "Arm Mali-G57",
    "rdna4": "AMD RDNA 4",
    "rdna3": "AMD RDNA 3; products as rx7900xtx",
    "rdna2": "AMD RDNA 2",
    "rdna1": "AMD RDNA",
    "ada": "NVIDIA Ada; products as rtx4090",
    "ampere": "NVIDIA Ampere; products as rtx3090",
    "turing": "NVIDIA Turing",
    "volta": "NVIDIA Volta",
    "pascal": "NVIDIA Pascal",
    "videocore_vii": "Broadcom VideoCore VII (Raspberry Pi 5)",
    "vp_android_baseline_2022": "any Android device; no subgroup operations",
    "llvmpipe": "Mesa's software Vulkan with 256-bit vectors",
}


@dataclass(frozen=True)
class Target:
    """What a module is compiled for.

    Attributes:
        name: how the target is called in reports and errors.
        kind: which of IREE's runtime drivers runs the module.
        iree_flags: the iree-compile flags that select it.
        requirements: what the module asks of its device; None if not asked for yet.
        description: one line for people.
        device: the properties of the device, where the target was built from one.
        architecture: IREE's name of the GPU's architecture; empty if not asked for yet.
        vectors: what the vectors of a CPU hold.
    """

    name: str
    kind: Literal["cpu", "vulkan"]
    iree_flags: tuple[str, ...]
    requirements: DeviceRequirements | None
    description: str
    device: VulkanDevice | None = None
    architecture: str = ""
    vectors: Vectors = SPIRV

    @property
    def processor(self) -> Processor:
        """What passes may know of the target."""
        asked = self.requirements
        if self.kind == "cpu" or asked is None:
            return Cpu(self.vectors)
        return Gpu(
            subgroup=asked.subgroup_size or 1,
            threads=asked.max_workgroup_invocations or EVERY_GPU.threads,
            sizes=asked.max_workgroup_size or EVERY_GPU.sizes,
            shared_memory=asked.max_workgroup_memory_bytes or EVERY_GPU.shared_memory,
            sums="subgroup-arithmetic" in asked.features,
            block=block_of(self.architecture),
            stores_halves="storage16" in asked.features,
            computes_halves={"storage16", "float16"} <= asked.features,
        )


def resolve_target(spec: str | Path) -> Target:
    """The target that ``spec`` names; see this module's docstring for the forms.

    Raises:
        TargetError: no such target or device, or a target file that cannot be read.
    """
    if isinstance(spec, Path) or _is_path(spec):
        return device_target(read_device(Path(spec)), name=Path(spec).stem)
    if spec == "auto":
        return resolve_target("vulkan" if real_device() else "cpu")
    kind, _, rest = spec.partition(":")
    if kind == "cpu":
        return _cpu_target(rest)
    if kind == "vulkan":
        return device_target(select_device(rest))
    return _named_target(spec.lower())


def list_targets() -> list[Target]:
    """The targets to offer: the CPU, this machine's Vulkan devices, and names.

    Requirements are left out: asking iree-compile for all of them takes seconds.
    """
    devices = [device for device in probe_vulkan().devices if not device.unusable_because]
    named = [
        Target(name, "vulkan", _named_flags(name), None, description)
        for name, description in VULKAN_NAMES.items()
    ]
    host = Target("cpu", "cpu", _cpu_flags("", "host"), None, "this machine's processor")
    return [host, *(device_target(device) for device in devices), *named]


def device_target(device: VulkanDevice, name: str | None = None) -> Target:
    """The target built from a device's Vulkan properties."""
    attribute = target_attribute(device)
    flags = [
        device_flag(attribute),
        f"--iree-stream-resource-max-allocation-size={device.max_storage_buffer_range}",
    ]
    alignment = device.min_storage_buffer_offset_alignment
    if alignment > _IREE_OFFSET_ALIGNMENT:
        flags.append(f"--iree-stream-resource-min-offset-alignment={alignment}")
    return Target(
        name=name or f"vulkan:{device.index}",
        kind="vulkan",
        iree_flags=tuple(flags),
        requirements=requirements_of(attribute),
        description=str(device),
        device=device,
        architecture=architecture_of(attribute),
    )


def _is_path(spec: str) -> bool:
    return spec.endswith(".json") or "/" in spec


def _cpu_flags(triple: str, cpu: str) -> tuple[str, ...]:
    flags = [
        "--iree-hal-target-device=local",
        "--iree-hal-local-target-device-backends=llvm-cpu",
        # CPUs compute in f64, and IREE 3.13 makes f32 of types but not of stored constants.
        "--iree-input-demote-f64-to-f32=false",
        # Weights that are unpacked when the model runs must not be stored unpacked.
        "--iree-opt-const-expr-max-size-increase-threshold=16384",
    ]
    if triple:
        flags.append(f"--iree-llvmcpu-target-triple={triple}")
    if cpu:
        flags.append(f"--iree-llvmcpu-target-cpu={cpu}")
    return tuple(flags)


def _cpu_target(rest: str) -> Target:
    # CPU names have dashes too (x86-64-v3); a triple starts with an architecture.
    is_triple = re.match(r"(x86_64|i\d86|aarch64|arm64|armv\w+|arm|riscv\d+|wasm\d+)-", rest)
    triple, _, cpu = rest.partition(":") if is_triple else ("", "", rest or "host")
    flags = _cpu_flags(triple, cpu)
    name = f"cpu:{rest}" if rest else "cpu"
    attribute, log = _probe(flags)
    if match := re.search(r"List of accepted CPUs: (.*)", log):
        raise TargetError(_unknown(name, [f"cpu:{known}" for known in _split(match[1])]))
    if attribute is None:
        raise TargetError(
            f"unknown target {name!r}: LLVM generates no code for {triple or cpu!r}; "
            "iree-compile --iree-llvmcpu-list-targets lists what it can"
        )
    requirements = cpu_requirements(attribute)
    description = f"{requirements.cpu_architecture} CPU"
    return Target(name, "cpu", flags, requirements, description, vectors=cpu_vectors(attribute))


def _named_flags(name: str) -> tuple[str, ...]:
    return (
        "--iree-hal-target-device=vulkan",
        f"--iree-vulkan-target={name}",
        f"--iree-stream-resource-max-allocation-size={_GUARANTEED_BUFFER_RANGE}",
    )


def _named_target(name: str) -> Target:
    flags = _named_flags(name)
    attribute, log = _probe(flags) if re.fullmatch(r"[\w.+-]+", name) else (None, "Unknown")
    if attribute is None and "Unknown" in log:
        raise TargetError(_unknown(name, ["cpu", "vulkan", "auto", *VULKAN_NAMES]))
    if attribute is None:
        raise BackendError(f"iree-compile fails on an empty module for target {name}: {log}")
    description = VULKAN_NAMES.get(name, f"{name}, by IREE's description")
    return Target(
        name=name,
        kind="vulkan",
        iree_flags=flags,
        requirements=requirements_of(attribute),
        description=description,
        architecture=architecture_of(attribute),
    )


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown target {name!r}: {hint}`smartmem targets` lists what there is"


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


@functools.cache
def _probe(flags: tuple[str, ...]) -> tuple[str | None, str]:
    """What iree-compile makes of target flags: the device's attribute or None, and its log.

    Asking the compiler keeps the names in step with it, whatever its version.
    """
    run = run_iree_compile(b"module {}", [*flags, "--compile-to=preprocessing"], timeout_s=60.0)
    match = re.search(r"#hal\.device\.target<.*", run.stdout)
    found = match[0] if match is not None and run.returncode == 0 else None
    return found, run.stderr[:4000]
