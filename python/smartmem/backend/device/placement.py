"""Chooses the device for a module and refuses those it does not fit."""

from __future__ import annotations

from typing import NamedTuple

from smartmem.backend.device import hal
from smartmem.backend.device.compatibility import cpu_mismatches, vulkan_mismatches
from smartmem.backend.device.devices import select_device, usable_devices
from smartmem.backend.module.module_file import ModuleFile
from smartmem.backend.module.spirv import narrowed
from smartmem.backend.targets.cpu import host_cpu
from smartmem.backend.targets.vulkan_device import VulkanDevice
from smartmem.errors import TargetError


class Place(NamedTuple):
    """A device to run a module on.

    Attributes:
        uri: its address in IREE's runtime.
        name: its name.
        is_software: it is a Vulkan device that computes on the host's processors.
    """

    uri: str
    name: str
    is_software: bool = False


def place(file: ModuleFile, device: str, *, unchecked: bool = False) -> Place:
    """The device to run a module on.

    Args:
        device: ``cpu``, ``vulkan``, ``vulkan:N``, ``vulkan:PART-OF-NAME`` or ``auto``.
        unchecked: leave out the comparison of needs and device.

    Raises:
        TargetError: no such device, or the module does not fit it.
    """
    kind, _, selector = device.partition(":")
    if kind not in ("auto", "cpu", "vulkan") or (selector and kind != "vulkan"):
        raise TargetError(
            f"unknown device {device!r}; use auto, cpu, vulkan, vulkan:N or vulkan:NAME"
        )
    if kind not in ("auto", file.metadata.kind):
        raise TargetError(
            f"{file.name} was compiled for {_target(file)} and cannot run on {kind}; "
            f"compile it for target {kind}"
        )
    if file.metadata.kind == "cpu":
        return _place_on_cpu(file, unchecked)
    chosen = _choose_vulkan(file, selector, explicit=kind == "vulkan", unchecked=unchecked)
    return Place(chosen.runtime_uri, chosen.name, chosen.type == "cpu")


def _target(file: ModuleFile) -> str:
    return f"target {file.metadata.target_name or file.metadata.kind}"


def _place_on_cpu(file: ModuleFile, unchecked: bool) -> Place:
    needs, host = file.metadata.requirements, host_cpu()
    reasons = cpu_mismatches(needs, host) if needs and not unchecked else []
    if reasons:
        raise TargetError(
            f"{file.name} was compiled for {_target(file)}, which does not fit this "
            f"machine's processor: {'; '.join(reasons)}; compile it for target cpu"
        )
    return Place(hal.CPU_URI, f"{host.architecture} CPU")


def _choose_vulkan(
    file: ModuleFile, selector: str, *, explicit: bool, unchecked: bool
) -> VulkanDevice:
    if file.metadata.requirements is None and not unchecked:
        raise TargetError(
            f"{file.name} does not say what it needs of a Vulkan device, and on one that "
            "does not fit it would compute wrong numbers; compile it with SmartMem, or "
            "load it unchecked"
        )
    first = select_device(selector)
    candidates = [first] if explicit and selector else usable_devices()
    if unchecked:
        return first
    reasons = {candidate: _mismatches(file, candidate) for candidate in candidates}
    for candidate in candidates:
        if not reasons[candidate]:
            return candidate
    told = "; ".join(f"{c.name}: {', '.join(why)}" for c, why in reasons.items())
    raise TargetError(
        f"{file.name} was compiled for {_target(file)}, which fits no Vulkan device here: "
        f"{told}; compile it for target vulkan"
    )


def _mismatches(file: ModuleFile, device: VulkanDevice) -> list[str]:
    needs = file.metadata.requirements
    assert needs is not None
    if file.shader_use.shaders:  # else the module has no kernel, or none that was found
        needs = narrowed(needs, file.shader_use)
    return vulkan_mismatches(needs, device)
