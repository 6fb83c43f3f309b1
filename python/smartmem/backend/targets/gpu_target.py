"""IREE's ``#iree_gpu.target`` attribute: written from a device, read into requirements.

The attribute tells IREE's SPIR-V code generator which types, subgroup operations and
limits it may use. IREE knows a few devices by name; for every other one the attribute is
built here from the Vulkan properties.
"""

from __future__ import annotations

import re

from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.vulkan_device import VulkanDevice

# Vulkan feature -> word in the attribute's list. 32-bit types need no feature.
_COMPUTE = {
    "float64": "fp64",
    "float16": "fp16",
    "int64": "int64",
    "int16": "int16",
    "int8": "int8",
}
_STORAGE = {"storage16": "b16", "storage8": "b8"}
# IREE's `shuffle` uses both kinds of shuffle instructions.
_SHUFFLE = frozenset({"subgroup-shuffle", "subgroup-shuffle-relative"})

# Vendor id -> an architecture name whose prefix selects IREE's heuristics for that
# vendor's GPUs; the rest of the name means nothing to them.
_ARCHITECTURES = {
    0x5143: "adreno",
    0x13B5: "arm-mali",
    0x1002: "rdna",
    0x10DE: "sm_75",
    0x14E4: "videocore_vii",
    0x106B: "apple",
}


def target_attribute(device: VulkanDevice) -> str:
    """The ``#iree_gpu.target`` attribute that describes ``device``.

    Cooperative matrices are left out: which shapes a device has can't be told from its
    feature bits, and IREE does not need them.
    """
    has = device.features
    compute = ["fp32", "int32", *(word for name, word in _COMPUTE.items() if name in has)]
    storage = ["b64", "b32", *(word for name, word in _STORAGE.items() if name in has)]
    subgroup = _subgroup_words(has) or ["none"]
    # Drivers emulate the dot product where the hardware lacks it; plain code is faster.
    dot = ["dp4xi8toi32"] if "integer-dot-product-accelerated" in has else ["none"]
    fields = [
        f"compute = {'|'.join(compute)}",
        f"storage = {'|'.join(storage)}",
        f"subgroup = {'|'.join(subgroup)}",
        f"dot = {'|'.join(dot)}",
        # One choice only: IREE's runtime does not request a size, so shaders get this one.
        f"subgroup_size_choices = [{device.subgroup_size}]",
        f"max_workgroup_sizes = {[*device.max_workgroup_size]}",
        f"max_thread_count_per_workgroup = {device.max_workgroup_invocations}",
        f"max_workgroup_memory_bytes = {device.max_workgroup_memory_bytes}",
        f"max_workgroup_counts = {[*device.max_workgroup_counts]}",
    ]
    architecture = _ARCHITECTURES.get(device.vendor_id, "generic")
    return (
        f'#iree_gpu.target<arch = "{architecture}", features = "spirv:v1.6,cap:Shader", '
        f"wgp = <{', '.join(fields)}>>"
    )


def _subgroup_words(has: frozenset[str]) -> list[str]:
    words = ["shuffle"] if has >= _SHUFFLE else []
    return [*words, "arithmetic"] if "subgroup-arithmetic" in has else words


def device_flag(attribute: str) -> str:
    """The iree-compile flag that selects a ``#iree_gpu.target`` attribute."""
    executable = (
        '#hal.executable.target<"vulkan-spirv", "vulkan-spirv-fb", '
        f"{{iree_codegen.target_info = {attribute}}}>"
    )
    device = f'#hal.device.target<"vulkan", [{executable}]> : !hal.device'
    return f"--iree-hal-target-device={device}"


def requirements_of(attribute: str) -> DeviceRequirements:
    """What the code generated for a ``#iree_gpu.target`` attribute may ask of a device.

    Args:
        attribute: IR that contains the attribute, as iree-compile prints it.

    Raises:
        ValueError: the attribute's form is not the known one.
    """
    compute, storage = _words(attribute, "compute"), _words(attribute, "storage")
    subgroup, dot = _words(attribute, "subgroup"), _words(attribute, "dot", "none")
    features = {name for name, word in _COMPUTE.items() if word in compute}
    features |= {name for name, word in _STORAGE.items() if word in storage}
    features |= _SHUFFLE if "shuffle" in subgroup else frozenset()
    features |= {"subgroup-arithmetic"} if "arithmetic" in subgroup else set()
    features |= set() if "none" in dot else {"integer-dot-product"}
    features |= {"cooperative-matrix"} if "mma = [" in attribute else set()
    x, y, z = _integers(attribute, "max_workgroup_sizes")
    # IREE generates code for the smallest of the choices.
    size = min(_integers(attribute, "subgroup_size_choices"))
    return DeviceRequirements(
        subgroup_size=None if "none" in subgroup else size,
        max_workgroup_size=(x, y, z),
        max_workgroup_invocations=_integers(attribute, "max_thread_count_per_workgroup")[0],
        max_workgroup_memory_bytes=_integers(attribute, "max_workgroup_memory_bytes")[0],
        features=frozenset(features),
    )


def architecture_of(attribute: str) -> str:
    """The architecture's name in a ``#iree_gpu.target`` attribute; empty if it has none."""
    match = re.search(r'\barch = "([^"]*)"', attribute)
    return match.group(1) if match else ""


def _words(attribute: str, key: str, default: str | None = None) -> list[str]:
    match = re.search(rf"\b{key} = ([\w|]+)", attribute)
    if match is None and default is None:
        raise ValueError(f"no {key} in {attribute}")
    return (match.group(1) if match else str(default)).split("|")


def _integers(attribute: str, key: str) -> list[int]:
    match = re.search(rf"\b{key} = \[?([\d, ]+)", attribute)
    if match is None:
        raise ValueError(f"no {key} in {attribute}")
    return [int(number) for number in match.group(1).strip(" ,").split(",")]
