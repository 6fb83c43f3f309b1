"""Reads Khronos's Vulkan Profiles JSON, the form in which devices are described publicly.

``vulkaninfo --json`` writes it, and vulkan.gpuinfo.org offers it for every device in its
database: a phone can be compiled for without having it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smartmem.backend.targets.requirements import SUBGROUP_FEATURES
from smartmem.backend.targets.vulkan_device import DeviceType, VulkanDevice, sizes

# Vulkan's name of a feature -> ours.
_FEATURES = {
    "shaderFloat16": "float16",
    "shaderFloat64": "float64",
    "shaderInt8": "int8",
    "shaderInt16": "int16",
    "shaderInt64": "int64",
    "storageBuffer8BitAccess": "storage8",
    "storageBuffer16BitAccess": "storage16",
    "shaderIntegerDotProduct": "integer-dot-product",
    "bufferDeviceAddress": "physical-storage-buffer",
    "subgroupSizeControl": "subgroup-size-control",
    "timelineSemaphore": "timeline-semaphore",
    "scalarBlockLayout": "scalar-block-layout",
    "synchronization2": "synchronization2",
}
_TYPES: dict[str, DeviceType] = {
    "VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU": "integrated",
    "VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU": "discrete",
    "VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU": "virtual",
    "VK_PHYSICAL_DEVICE_TYPE_CPU": "cpu",
}


def is_profile(content: Mapping[str, Any]) -> bool:
    """Whether JSON content has the form of a Vulkan Profiles file."""
    return isinstance(content.get("capabilities"), dict) and "profiles" in content


def device_of_profile(content: Mapping[str, Any]) -> VulkanDevice:
    """The device that a Vulkan Profiles file describes; its memory size is not told.

    Raises:
        ValueError: it does not tell a property that compiling needs.
    """
    blocks = list(content["capabilities"].values())
    features = _flat(block.get("features", {}) for block in blocks)
    properties = _flat(block.get("properties", {}) for block in blocks)
    extensions = {name for block in blocks for name in block.get("extensions", {})}
    profile = next(iter(content["profiles"].values()))
    try:
        return _device(profile, properties, properties["limits"], features, extensions)
    except KeyError as error:
        raise ValueError(f"the profile does not tell {error.args[0]}") from error


def _flat(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All members of all structures as one: a member stands under its extension's
    structure, its core version's, or both, and its name is the same everywhere."""
    members: dict[str, Any] = {}
    for group in groups:
        for structure in group.values():
            for name, value in structure.items():
                members[name] = members.get(name) or value
    return members


def _device(
    profile: Mapping[str, Any],
    properties: Mapping[str, Any],
    limits: Mapping[str, Any],
    features: Mapping[str, Any],
    extensions: set[str],
) -> VulkanDevice:
    major, minor, patch = (int(part) for part in profile["api-version"].split("."))
    size = int(properties["subgroupSize"])
    return VulkanDevice(
        index=0,
        name=properties.get("deviceName") or profile.get("label", "unknown device"),
        type=_TYPES.get(properties.get("deviceType", ""), "other"),
        vendor_id=int(properties["vendorID"]),
        device_id=int(properties.get("deviceID", 0)),
        driver=properties.get("driverName", "unknown driver"),
        driver_info=properties.get("driverInfo", ""),
        api_version=(major, minor, patch),
        uuid=bytes(properties.get("deviceUUID", [0] * 16)).hex(),
        subgroup_size=size,
        min_subgroup_size=int(properties.get("minSubgroupSize", size)),
        max_subgroup_size=int(properties.get("maxSubgroupSize", size)),
        max_workgroup_size=sizes(limits["maxComputeWorkGroupSize"]),
        max_workgroup_invocations=int(limits["maxComputeWorkGroupInvocations"]),
        max_workgroup_memory_bytes=int(limits["maxComputeSharedMemorySize"]),
        max_workgroup_counts=sizes(limits["maxComputeWorkGroupCount"]),
        max_texel_buffer_elements=int(limits["maxTexelBufferElements"]),
        max_image_dimension_2d=int(limits["maxImageDimension2D"]),
        max_storage_buffer_range=int(limits["maxStorageBufferRange"]),
        max_push_constants_size=int(limits["maxPushConstantsSize"]),
        min_texel_buffer_offset_alignment=int(limits["minTexelBufferOffsetAlignment"]),
        min_storage_buffer_offset_alignment=int(limits["minStorageBufferOffsetAlignment"]),
        memory_bytes=0,
        features=frozenset(_feature_names(properties, features, extensions)),
    )


def _feature_names(
    properties: Mapping[str, Any], features: Mapping[str, Any], extensions: set[str]
) -> list[str]:
    names = [ours for vulkans, ours in _FEATURES.items() if features.get(vulkans)]
    if properties.get("integerDotProduct4x8BitPackedSignedAccelerated"):
        names.append("integer-dot-product-accelerated")
    if "VK_KHR_cooperative_matrix" in extensions:
        names.append("cooperative-matrix")
    # Two spellings: Vulkan 1.1's own structure and the one of all of 1.1.
    stages = _either(properties, "supportedStages", "subgroupSupportedStages")
    operations = _either(properties, "supportedOperations", "subgroupSupportedOperations")
    if "VK_SHADER_STAGE_COMPUTE_BIT" in stages:
        names += [name for name in SUBGROUP_FEATURES if _bit(name) in operations]
    return names


def _either(properties: Mapping[str, Any], one: str, other: str) -> list[str]:
    return properties.get(one) or properties.get(other) or []


def _bit(feature: str) -> str:
    name = feature.removeprefix("subgroup-").replace("-", "_").upper()
    return f"VK_SUBGROUP_FEATURE_{name}_BIT"
