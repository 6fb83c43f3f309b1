"""Which passes the kernels of a target get, behind iree-compile's code generation."""

from __future__ import annotations

import re
from collections.abc import Collection

from smartmem.backend.targets.processor import MANY_REGISTERS, Gpu
from smartmem.backend.targets.storage import image_pass
from smartmem.backend.targets.targets import Target
from smartmem.passes import HoistAddresses, Pass, RequireSubgroups, SinkLoads

_NO_ROOM = 64
"""Numbers that a thread keeps, up to which it has no registers left for addresses."""

_VARYING = r"adreno.*"
"""Architectures, by IREE's names, whose drivers choose between several sizes of subgroups."""


def kernel_passes(
    target: Target, reads: str, writes: str, measured: Collection[str] = ()
) -> list[Pass]:
    """The passes in their order; none where kernels stay what iree-compile makes.

    Args:
        reads, writes, measured: as ``image_pass`` takes them.

    Raises:
        TargetError: the target is a CPU, and images are asked for.
    """
    found: list[Pass] = []
    if images := image_pass(target, reads, writes, measured):
        found.append(images)
    processor = target.processor
    if not isinstance(processor, Gpu) or processor.block == MANY_REGISTERS:
        return found
    if processor.block > _NO_ROOM:
        found.append(HoistAddresses())
    found.append(SinkLoads())
    if re.fullmatch(_VARYING, target.architecture) and processor.sums:
        found.append(RequireSubgroups(processor.subgroup))
    return found
