"""Compares what a module needs with what a device has."""

from __future__ import annotations

from smartmem.backend.targets.cpu import HostCpu
from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.vulkan_device import VulkanDevice


def vulkan_mismatches(needs: DeviceRequirements, device: VulkanDevice) -> list[str]:
    """Why code with these needs cannot run on ``device``; empty if it can."""
    return [
        *_subgroup_mismatch(needs, device),
        *(f"it needs {name}" for name in sorted(needs.features - device.features)),
        *_limit_mismatches(needs, device),
    ]


def _subgroup_mismatch(needs: DeviceRequirements, device: VulkanDevice) -> list[str]:
    # Equal, not in range: IREE's runtime lets the driver choose, which takes its default.
    if needs.subgroup_size in (None, device.subgroup_size):
        return []
    return [
        f"it needs subgroups of {needs.subgroup_size}, the device runs {device.subgroup_size}"
    ]


def _limit_mismatches(needs: DeviceRequirements, device: VulkanDevice) -> list[str]:
    limits = [
        ("threads in a workgroup", needs.max_workgroup_invocations),
        ("bytes of workgroup memory", needs.max_workgroup_memory_bytes),
    ]
    offered = [
        device.max_workgroup_invocations,
        device.max_workgroup_memory_bytes,
    ]
    for axis, size in zip("xyz", needs.max_workgroup_size or (), strict=False):
        limits.append((f"threads in {axis}", size))
        offered.append(device.max_workgroup_size["xyz".index(axis)])
    return [
        f"it needs {needed} {what}, the device has {has}"
        for (what, needed), has in zip(limits, offered, strict=True)
        if needed is not None and needed > has
    ]


def cpu_mismatches(needs: DeviceRequirements, host: HostCpu) -> list[str]:
    """Why code with these needs cannot run on ``host``; empty if it can."""
    if needs.cpu_architecture not in (None, host.architecture):
        return [f"it needs {needs.cpu_architecture}, this machine is {host.architecture}"]
    if host.features is None:  # unknown here; the architecture has to do
        return []
    missing = sorted(needs.cpu_features - host.features)
    return [f"it needs {', '.join(missing)}"] if missing else []
