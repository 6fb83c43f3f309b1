"""The properties of a Vulkan device, as read from it or kept in a target file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

DeviceType = Literal["integrated", "discrete", "virtual", "cpu", "other"]

# IREE's runtime refuses devices below this.
BASELINE_VERSION = (1, 3)
BASELINE_FEATURES = ("timeline-semaphore", "scalar-block-layout", "synchronization2")


@dataclass(frozen=True)
class VulkanDevice:
    """Properties of one Vulkan device, named after Vulkan's own.

    Attributes:
        index: position in the loader's list, from 0.
        api_version: (major, minor, patch).
        uuid: the device UUID, 32 hexadecimal digits.
        subgroup_size: the size compute shaders get unless they request another one.
        features: names out of ``requirements.VULKAN_FEATURES``.
        memory_bytes: size of the device-local heaps together.
    """

    index: int
    name: str
    type: DeviceType
    vendor_id: int
    device_id: int
    driver: str
    driver_info: str
    api_version: tuple[int, int, int]
    uuid: str
    subgroup_size: int
    min_subgroup_size: int
    max_subgroup_size: int
    max_workgroup_size: tuple[int, int, int]
    max_workgroup_invocations: int
    max_workgroup_memory_bytes: int
    max_workgroup_counts: tuple[int, int, int]
    max_texel_buffer_elements: int
    max_image_dimension_2d: int
    max_storage_buffer_range: int
    max_push_constants_size: int
    min_texel_buffer_offset_alignment: int
    min_storage_buffer_offset_alignment: int
    memory_bytes: int
    features: frozenset[str]

    @property
    def runtime_uri(self) -> str:
        """The device's address in IREE's runtime."""
        return f"vulkan://GPU-{self.uuid}"

    @property
    def unusable_because(self) -> str | None:
        """Why IREE's runtime cannot use this device, or None if it can."""
        if self.api_version[:2] < BASELINE_VERSION:
            return f"it has Vulkan {_version(self.api_version)}, and IREE needs 1.3"
        missing = [name for name in BASELINE_FEATURES if name not in self.features]
        return f"it lacks {', '.join(missing)}, which IREE needs" if missing else None

    def __str__(self) -> str:
        return f"{self.name} (Vulkan {_version(self.api_version)}, {self.driver})"

    def to_json(self) -> dict[str, Any]:
        """All properties as JSON values."""
        values = dataclasses.asdict(self)
        values["features"] = sorted(self.features)
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> VulkanDevice:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: a property is missing, unknown or of the wrong type.
        """
        fields = {field.name: field for field in dataclasses.fields(VulkanDevice)}
        if unknown := sorted(set(values) - set(fields)):
            raise ValueError(f"unknown device property {unknown[0]!r}")
        if missing := [name for name in fields if name not in values]:
            raise ValueError(f"device property {missing[0]!r} is missing")
        return VulkanDevice(
            **{name: _checked(name, str(fields[name].type), values[name]) for name in fields}
        )


def _version(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def _checked(name: str, annotation: str, value: Any) -> Any:
    """The JSON value of one property, converted to the type of its field."""
    if annotation == "int" and type(value) is int:
        return value
    if annotation in ("str", "DeviceType") and isinstance(value, str):
        return value
    if annotation.startswith("frozenset") and isinstance(value, list):
        return frozenset(str(item) for item in value)
    if annotation.startswith("tuple") and isinstance(value, (list, tuple)) and len(value) == 3:
        return tuple(int(item) for item in value)
    raise ValueError(f"device property {name!r} has the value {value!r}")


def sizes(values: Iterable[Any]) -> tuple[int, int, int]:
    """Vulkan's unsigned limits in x, y and z, as far as IREE's signed attributes hold them."""
    x, y, z = (min(int(value), 2**31 - 1) for value in values)
    return (x, y, z)
