"""What a compiled module asks of the device that runs it.

IREE itself checks little of this: a SPIR-V module whose subgroup size is not the device's
runs without an error and returns wrong numbers, and machine code that uses instructions
the processor lacks kills the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Optional features of a Vulkan device, as requirements and devices name them.
SUBGROUP_FEATURES = (
    "subgroup-basic",
    "subgroup-vote",
    "subgroup-arithmetic",
    "subgroup-ballot",
    "subgroup-shuffle",
    "subgroup-shuffle-relative",
    "subgroup-clustered",
    "subgroup-quad",
)
VULKAN_FEATURES = (
    "float16",
    "float64",
    "int8",
    "int16",
    "int64",
    "storage8",
    "storage16",
    "integer-dot-product",
    "integer-dot-product-accelerated",
    "cooperative-matrix",
    "physical-storage-buffer",
    "subgroup-size-control",
    "timeline-semaphore",
    "scalar-block-layout",
    "synchronization2",
    *SUBGROUP_FEATURES,
)


@dataclass(frozen=True)
class DeviceRequirements:
    """The least a device must offer; ``None`` and empty sets ask for nothing.

    Attributes:
        subgroup_size: the subgroup size the shaders were written for.
        max_workgroup_size: threads of a workgroup in x, y and z.
        max_workgroup_invocations: threads of a workgroup in all.
        max_workgroup_memory_bytes: shared memory of a workgroup.
        max_texel_buffer_elements: texels of the largest texel buffer. On a device with
            less, the Vulkan library reads the buffer as it is: no reason to refuse it.
        max_image_dimension_2d: width or height of the largest 2D image; likewise.
        features: names out of ``VULKAN_FEATURES``.
        cpu_architecture: such as ``x86_64`` or ``aarch64``.
        cpu_features: instruction set extensions, by LLVM's names.
    """

    subgroup_size: int | None = None
    max_workgroup_size: tuple[int, int, int] | None = None
    max_workgroup_invocations: int | None = None
    max_workgroup_memory_bytes: int | None = None
    max_texel_buffer_elements: int | None = None
    max_image_dimension_2d: int | None = None
    features: frozenset[str] = frozenset()
    cpu_architecture: str | None = None
    cpu_features: frozenset[str] = field(default_factory=frozenset)

    def to_json(self) -> dict[str, Any]:
        """The set fields, as JSON values in a fixed order."""
        values: dict[str, Any] = {
            "subgroup_size": self.subgroup_size,
            "max_workgroup_size": self.max_workgroup_size and [*self.max_workgroup_size],
            "max_workgroup_invocations": self.max_workgroup_invocations,
            "max_workgroup_memory_bytes": self.max_workgroup_memory_bytes,
            "max_texel_buffer_elements": self.max_texel_buffer_elements,
            "max_image_dimension_2d": self.max_image_dimension_2d,
            "features": sorted(self.features),
            "cpu_architecture": self.cpu_architecture,
            "cpu_features": sorted(self.cpu_features),
        }
        return {key: value for key, value in values.items() if value not in (None, [])}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> DeviceRequirements:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: a value has the wrong type.
        """
        return DeviceRequirements(
            subgroup_size=_integer(values, "subgroup_size"),
            max_workgroup_size=_triple(values, "max_workgroup_size"),
            max_workgroup_invocations=_integer(values, "max_workgroup_invocations"),
            max_workgroup_memory_bytes=_integer(values, "max_workgroup_memory_bytes"),
            max_texel_buffer_elements=_integer(values, "max_texel_buffer_elements"),
            max_image_dimension_2d=_integer(values, "max_image_dimension_2d"),
            features=_names(values, "features"),
            cpu_architecture=_string(values, "cpu_architecture"),
            cpu_features=_names(values, "cpu_features"),
        )


def _integer(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{key} must be a whole number, not {value!r}")


def _string(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{key} must be text, not {value!r}")


def _triple(values: Mapping[str, Any], key: str) -> tuple[int, int, int] | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 3 and all(type(n) is int for n in value):
        return (value[0], value[1], value[2])
    raise ValueError(f"{key} must be three whole numbers, not {value!r}")


def _names(values: Mapping[str, Any], key: str) -> frozenset[str]:
    value = values.get(key, [])
    if isinstance(value, Iterable) and all(isinstance(name, str) for name in value):
        return frozenset(value)
    raise ValueError(f"{key} must be a list of names, not {value!r}")
