"""Finds the Vulkan devices of this machine and chooses among them.

Read through the Vulkan loader; a machine without a loader, driver or device gives an
empty list and a reason, never an exception.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from smartmem.backend.targets.requirements import SUBGROUP_FEATURES
from smartmem.backend.targets.vulkan_device import (
    BASELINE_VERSION,
    DeviceType,
    VulkanDevice,
    sizes,
)
from smartmem.errors import TargetError


@dataclass(frozen=True)
class VulkanProbe:
    """The devices found, and if there are none, why."""

    devices: tuple[VulkanDevice, ...]
    reason: str | None = None


@functools.cache
def probe_vulkan() -> VulkanProbe:
    """The Vulkan devices of this machine; asked once per process."""
    try:
        # Loads the Vulkan loader, which may be absent.
        import vulkan as vk
    except (ImportError, OSError):
        return VulkanProbe((), "there is no Vulkan loader; install libvulkan1")
    try:
        devices = _enumerate(vk)
    except vk.VkError as error:
        reason = type(error).__name__.removeprefix("Vk")
        return VulkanProbe((), f"no Vulkan driver answers ({reason}); install one")
    return VulkanProbe(devices, None if devices else "the Vulkan drivers found no device")


def usable_devices() -> list[VulkanDevice]:
    """The devices IREE's runtime can use, real ones before software ones."""
    usable = [device for device in probe_vulkan().devices if not device.unusable_because]
    return sorted(usable, key=lambda device: device.type == "cpu")


def real_device() -> VulkanDevice | None:
    """The first usable device that is not a software renderer, or None."""
    devices = usable_devices()
    return devices[0] if devices and devices[0].type != "cpu" else None


def select_device(selector: str = "") -> VulkanDevice:
    """One Vulkan device of this machine.

    Args:
        selector: empty for the first usable one, real ones first; else a number in the
            loader's list or a part of a device's name.

    Raises:
        TargetError: there is no such device, or IREE cannot use it.
    """
    probe = probe_vulkan()
    if not probe.devices:
        raise TargetError(
            f"no Vulkan device: {probe.reason}; or use cpu, or a named target to compile only"
        )
    if not selector:
        return _first_usable(probe.devices)
    if selector.isdecimal():
        found = [device for device in probe.devices if device.index == int(selector)]
    else:
        found = [d for d in probe.devices if selector.lower() in d.name.lower()]
    if not found:
        names = ", ".join(f"vulkan:{device.index} is {device.name}" for device in probe.devices)
        raise TargetError(f"no Vulkan device matches {selector!r}; {names}")
    if reason := found[0].unusable_because:
        raise TargetError(f"{found[0]} cannot be used: {reason}; update its driver")
    return found[0]


def _first_usable(devices: tuple[VulkanDevice, ...]) -> VulkanDevice:
    if usable := usable_devices():
        return usable[0]
    reasons = "; ".join(f"{device}: {device.unusable_because}" for device in devices)
    raise TargetError(f"no usable Vulkan device: {reasons}")


def _enumerate(vk: Any) -> tuple[VulkanDevice, ...]:
    application = vk.VkApplicationInfo(
        pApplicationName="smartmem", apiVersion=vk.VK_MAKE_VERSION(*BASELINE_VERSION, 0)
    )
    instance = vk.vkCreateInstance(vk.VkInstanceCreateInfo(pApplicationInfo=application), None)
    try:
        handles = vk.vkEnumeratePhysicalDevices(instance)
        return tuple(_read_device(vk, index, handle) for index, handle in enumerate(handles))
    finally:
        vk.vkDestroyInstance(instance, None)


def _read_device(vk: Any, index: int, handle: Any) -> VulkanDevice:
    basic = vk.vkGetPhysicalDeviceProperties(handle)
    version = _unpack_version(basic.apiVersion)
    limits = basic.limits
    return VulkanDevice(
        index=index,
        name=basic.deviceName,
        type=_device_type(vk, basic.deviceType),
        vendor_id=basic.vendorID,
        device_id=basic.deviceID,
        api_version=version,
        max_workgroup_size=sizes(limits.maxComputeWorkGroupSize),
        max_workgroup_invocations=limits.maxComputeWorkGroupInvocations,
        max_workgroup_memory_bytes=limits.maxComputeSharedMemorySize,
        max_workgroup_counts=sizes(limits.maxComputeWorkGroupCount),
        max_texel_buffer_elements=limits.maxTexelBufferElements,
        max_image_dimension_2d=limits.maxImageDimension2D,
        max_storage_buffer_range=limits.maxStorageBufferRange,
        max_push_constants_size=limits.maxPushConstantsSize,
        min_texel_buffer_offset_alignment=limits.minTexelBufferOffsetAlignment,
        min_storage_buffer_offset_alignment=limits.minStorageBufferOffsetAlignment,
        memory_bytes=_device_memory(vk, handle),
        **_extended(vk, handle, version),
    )


def _extended(vk: Any, handle: Any, version: tuple[int, int, int]) -> dict[str, Any]:
    """What only Vulkan 1.3's property and feature structures tell."""
    if version[:2] < BASELINE_VERSION:
        return {
            "driver": "unknown driver",
            "driver_info": "",
            "uuid": "0" * 32,
            "subgroup_size": 0,
            "min_subgroup_size": 0,
            "max_subgroup_size": 0,
            "features": frozenset(),
        }
    core11 = vk.VkPhysicalDeviceVulkan11Properties()
    core12 = vk.VkPhysicalDeviceVulkan12Properties(pNext=core11)
    core13 = vk.VkPhysicalDeviceVulkan13Properties(pNext=core12)
    vk.vkGetPhysicalDeviceProperties2(handle, vk.VkPhysicalDeviceProperties2(pNext=core13))
    return {
        "driver": vk.ffi.string(core12.driverName).decode(),
        "driver_info": vk.ffi.string(core12.driverInfo).decode(),
        "uuid": bytes(core11.deviceUUID).hex(),
        "subgroup_size": core11.subgroupSize,
        "min_subgroup_size": core13.minSubgroupSize,
        "max_subgroup_size": core13.maxSubgroupSize,
        "features": frozenset(
            [*_subgroup_features(vk, core11), *_features(vk, handle, core13)]
        ),
    }


def _subgroup_features(vk: Any, core11: Any) -> list[str]:
    if not core11.subgroupSupportedStages & vk.VK_SHADER_STAGE_COMPUTE_BIT:
        return []
    # VkSubgroupFeatureFlagBits counts up in the order of SUBGROUP_FEATURES.
    operations = core11.subgroupSupportedOperations
    return [name for bit, name in enumerate(SUBGROUP_FEATURES) if operations & (1 << bit)]


def _features(vk: Any, handle: Any, properties13: Any) -> list[str]:
    core11 = vk.VkPhysicalDeviceVulkan11Features()
    core12 = vk.VkPhysicalDeviceVulkan12Features(pNext=core11)
    core13 = vk.VkPhysicalDeviceVulkan13Features(pNext=core12)
    chain = vk.VkPhysicalDeviceFeatures2(pNext=core13)
    vk.vkGetPhysicalDeviceFeatures2(handle, chain)
    extensions = vk.vkEnumerateDeviceExtensionProperties(handle, None)
    has = {
        "float16": core12.shaderFloat16,
        "float64": chain.features.shaderFloat64,
        "int8": core12.shaderInt8,
        "int16": chain.features.shaderInt16,
        "int64": chain.features.shaderInt64,
        "storage8": core12.storageBuffer8BitAccess,
        "storage16": core11.storageBuffer16BitAccess,
        "integer-dot-product": core13.shaderIntegerDotProduct,
        "integer-dot-product-accelerated": (
            properties13.integerDotProduct4x8BitPackedSignedAccelerated
        ),
        "cooperative-matrix": any(
            extension.extensionName == "VK_KHR_cooperative_matrix" for extension in extensions
        ),
        "physical-storage-buffer": core12.bufferDeviceAddress,
        "subgroup-size-control": core13.subgroupSizeControl,
        "timeline-semaphore": core12.timelineSemaphore,
        "scalar-block-layout": core12.scalarBlockLayout,
        "synchronization2": core13.synchronization2,
    }
    return [name for name, present in has.items() if present]


def _unpack_version(packed: int) -> tuple[int, int, int]:
    return (packed >> 22 & 0x7F, packed >> 12 & 0x3FF, packed & 0xFFF)


def _device_type(vk: Any, value: int) -> DeviceType:
    types: dict[int, DeviceType] = {
        vk.VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: "integrated",
        vk.VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: "discrete",
        vk.VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: "virtual",
        vk.VK_PHYSICAL_DEVICE_TYPE_CPU: "cpu",
    }
    return types.get(value, "other")


def _device_memory(vk: Any, handle: Any) -> int:
    memory = vk.vkGetPhysicalDeviceMemoryProperties(handle)
    heaps = [memory.memoryHeaps[i] for i in range(memory.memoryHeapCount)]
    return sum(heap.size for heap in heaps if heap.flags & vk.VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
