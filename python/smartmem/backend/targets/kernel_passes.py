"""Which passes the kernels of a target get, behind iree-compile's code generation."""

from __future__ import annotations

from collections.abc import Collection

from smartmem.backend.targets.processor import MANY_REGISTERS, Gpu
from smartmem.backend.targets.storage import image_pass
from smartmem.backend.targets.targets import Target
from smartmem.passes import Pass, SinkLoads


def kernel_passes(
    target: Target, reads: str, writes: str, measured: Collection[str] = ()
) -> list[Pass]:
    """The passes in their order; none where kernels stay what iree-compile makes.

    Args:
        reads, writes, measured: as ``image_pass`` takes them.

    Raises:
        TargetError: the target is a CPU, and images are asked for.
    """
    images = image_pass(target, reads, writes, measured)
    processor = target.processor
    few = isinstance(processor, Gpu) and processor.block < MANY_REGISTERS
    return [*([images] if images else []), *([SinkLoads()] if few else [])]
