"""How kernels access their buffers on a target: as buffers, texel buffers or 2D images.

``FAMILIES`` is the table that ``--storage=auto`` follows, with its sources, where no tuning
file says what was measured. It is a starting point: what is faster on a device, only the
device tells.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from smartmem.backend.targets.targets import Target
from smartmem.errors import TargetError
from smartmem.passes import BindImages
from smartmem.passes.analysis.images.image_choices import ImageLimits, Storage

AUTO = "auto"

# Of a device that is known by name only: what Vulkan demands of all (table "Required
# Limits" of its specification, version 1.3). The profile VP_ANDROID_baseline_2022 demands
# images of 8192, and else the same. Drivers offer more: Mesa's for an Adreno 702 has
# 134217728 texels and images of 16384 (meta-flutter/workspace-automation#150), Arm's for a
# Mali-G615 268435456 and 65536 (leegao/bionic-vulkan-wrapper#124). A target file tells a
# device's own.
REQUIRED_LIMITS = ImageLimits(
    texel_buffer_elements=65536, image_dimension=4096, texel_buffer_alignment=256
)


@dataclass(frozen=True)
class Family:
    """How the kernels of a family of devices should read.

    Attributes:
        architectures: pattern of the architecture's name in IREE's target attribute.
        reads: how to read what a kernel only reads. What it writes stays a buffer.
        source: who says so.
    """

    architectures: str
    reads: Storage
    source: str


FAMILIES = (
    Family(
        r"adreno.*",
        "texel_buffer",
        "Qualcomm's OpenCL programming guide (80-NB295-11 Rev. C, 3.2.1 and 7.1.5.3): images "
        "that are only read go through the texture unit and its L1 cache, buffers on most "
        "GPUs through the L2 cache alone; ncnn found the same (Tencent/ncnn#1694)",
    ),
    Family(
        r"valhall\d|arm5gen|bifrost.*|arm-mali|mali.*",
        "buffer",
        "MNN takes buffers on Mali, and a user saw little difference (alibaba/MNN#2790); Arm's "
        "Mali OpenCL SDK: one pixel in a cycle either way where a component has 32 bits",
    ),
)
OTHERS = Family(
    r".*", "buffer", "ncnn dropped images on all GPUs in 2025 (Tencent/ncnn#6124, #6126, #6128)"
)


def family_of(target: Target) -> Family:
    """The row of the table for a target."""
    known = (f for f in FAMILIES if re.fullmatch(f.architectures, target.architecture))
    return next(known, OTHERS)


def limits_of(target: Target) -> ImageLimits:
    """What a target's images can hold."""
    device = target.device
    if device is None:
        return REQUIRED_LIMITS
    return ImageLimits(
        texel_buffer_elements=device.max_texel_buffer_elements,
        image_dimension=device.max_image_dimension_2d,
        texel_buffer_alignment=device.min_texel_buffer_offset_alignment,
    )


def image_pass(
    target: Target, reads: str, writes: str, measured: Collection[str] = ()
) -> BindImages | None:
    """The pass that makes a target's kernels read and write as asked for.

    Args:
        reads: ``auto`` for what the table says, or a storage.
        writes: a storage.
        measured: what some kernels are to read through instead, because it is faster.

    Returns:
        None where all stay buffers.

    Raises:
        TargetError: the target is a CPU, which has no images.
    """
    if target.kind == "cpu":
        if (reads, writes) in ((AUTO, "buffer"), ("buffer", "buffer")):
            return None
        raise TargetError(
            f"target {target.name} is a CPU, which has buffers only; leave out the storage"
        )
    reads = family_of(target).reads if reads == AUTO else reads
    if {reads, writes, *measured} == {"buffer"}:
        return None
    limits = limits_of(target)
    # IREE lays all out for one alignment, which buffers that stay buffers need, too.
    buffers = target.device.min_storage_buffer_offset_alignment if target.device else 0
    return BindImages(
        reads=reads,
        writes=writes,
        max_texels=limits.texel_buffer_elements,
        max_size=limits.image_dimension,
        alignment=max(limits.texel_buffer_alignment, buffers),
    )
