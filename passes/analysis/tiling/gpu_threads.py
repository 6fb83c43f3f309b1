"""Which form of tiles the kernel of a GPU gets, if it gets any: the first that suits it."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.gpu_columns import gpu_columns
from smartmem.passes.analysis.tiling.gpu_rows import GpuRows, gpu_rows
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles, joint_gpu_tiles
from smartmem.passes.analysis.tiling.gpu_windows import gpu_windows

_NO_VECTORS = "no vector divides its rows"


def contraction_tiles(
    operations: Sequence[ir.Operation], gpu: Gpu
) -> GpuTiles | Refusal | None:
    """The tiles of a kernel's contractions; None: it has none."""
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    contracted = [nest for nest in nests if nest.is_contraction]
    return joint_gpu_tiles(contracted, gpu) if contracted else None


def row_tiles(operations: Sequence[ir.Operation], gpu: Gpu) -> GpuRows | Refusal | None:
    """The tiles of a kernel without contractions; None: it neither sums nor slides a window.

    One operation alone is right with the code generator's tiles, which are better where rows
    have no vectors, or columns many rows.
    """
    alone = sum(loop_nest(op) is not None for op in operations) == 1
    refusal: Refusal | None = None
    for form in (gpu_windows, gpu_columns, gpu_rows):
        found = form(operations, gpu)
        if isinstance(found, GpuRows) and not (alone and found.by_element):
            return found
        if alone and found is not None:
            return Refusal(_NO_VECTORS) if isinstance(found, GpuRows) else found
        refusal = found if isinstance(found, Refusal) else refusal
    return refusal


def has_thread_tiles(operations: Sequence[ir.Operation], gpu: Gpu) -> bool:
    """Whether the kernel's threads get tile sizes of ours."""
    contraction = contraction_tiles(operations, gpu)
    if contraction is not None:
        return isinstance(contraction, GpuTiles)
    return isinstance(row_tiles(operations, gpu), GpuRows)
