"""The tile sizes of a kernel: which of its operations get sizes, by what the target has.

A CPU distributes by one operation and makes blocks of each that sums up. The threads of a GPU
have one list of sizes for a chain of contractions; the threads of a subgroup share the loops of
each operation along rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu, Processor
from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.ir.loops import (
    LoopNest,
    contracts,
    indexing_maps,
    is_empty,
    loop_nest,
    reduces,
)
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling import cpu_tiles, gpu_threads
from smartmem.passes.analysis.tiling.cpu_multi_reductions import (
    joint_tiles,
    operand_tiles,
    pooled_tiles,
)
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.gpu_tiles import SUBGROUP, GpuTiles, fits
from smartmem.passes.analysis.tiling.tiles import Tiles

KernelTiles = Mapping[ir.Operation, Tiles]
"""The tiles of operations of a kernel; the last one's are the kernel's."""


def looping_operations(region: ir.Operation) -> list[ir.Operation]:
    """The operations of a kernel that have loops, in order."""
    inside = (op.operation for op in region.regions[0].blocks[0].operations)
    return [op for op in inside if loop_nest(op) is not None]


def root_of(looping: Sequence[ir.Operation]) -> ir.Operation | None:
    """The operation that does most of a kernel's work: its last sum of products, or its end."""
    found = [op for op in looping if _multiplies_or_slides(op)] or looping
    return found[-1] if found else None


def kernel_tiles(
    looping: Sequence[ir.Operation], processor: Processor
) -> KernelTiles | Refusal:
    """The computed tile sizes of a kernel of these operations, or why they are left to IREE."""
    if any(map(is_empty, looping)):
        return Refusal("it has no iterations")
    if isinstance(processor, Gpu):
        return _gpu_tiles(looping, processor)
    return _cpu_tiles(looping, processor.vectors)


def can_have(tiles: Tiles, looping: Sequence[ir.Operation], processor: Processor) -> bool:
    """Whether the sums of a kernel can have these sizes, on this target."""
    sums = [op for op in looping if _multiplies_or_slides(op)] or looping[-1:]
    nests = [nest for op in sums if (nest := loop_nest(op)) is not None]
    return all(_has(tiles, nest, processor) for nest in nests)


def _has(tiles: Tiles, nest: LoopNest, processor: Processor) -> bool:
    if isinstance(processor, Gpu):
        return isinstance(tiles, GpuTiles) and fits(tiles, nest, processor)
    return isinstance(tiles, TileSizes) and len(tiles.vector) == len(nest.domain)


def _cpu_tiles(looping: Sequence[ir.Operation], vectors: Vectors) -> KernelTiles | Refusal:
    roots = [op for op in looping if _multiplies_or_slides(op)]
    if not roots:
        rows = cpu_tiles.row_tiles(looping, vectors)
        return rows if isinstance(rows, Refusal) else {looping[-1]: rows}
    nests = [nest for op in looping if (nest := loop_nest(op)) is not None]
    if not any(nest.reductions for nest in nests) and not all(n.keeps_order for n in nests):
        # iree-compile 3.13 fails: it distributes by the last operation.
        return Refusal("what is behind it writes in another order")
    pooled = pooled_tiles(looping, vectors)
    found = joint_tiles(roots, vectors) if isinstance(pooled, Refusal) else pooled
    return found if isinstance(found, Refusal) else {**operand_tiles(found), **found}


def _gpu_tiles(looping: Sequence[ir.Operation], gpu: Gpu) -> KernelTiles | Refusal:
    found = gpu_threads.contraction_tiles(looping, gpu)
    if found is not None:
        root = next(op for op in reversed(looping) if contracts(op))
        return found if isinstance(found, Refusal) else {root: found}
    rows = gpu_threads.row_tiles(looping, gpu)
    if rows is None or isinstance(rows, Refusal):
        return rows or Refusal("it neither sums up nor slides a window")
    if rows.pipeline == SUBGROUP:
        # Each operation is distributed alone. Threads with a row of their own share loops.
        return dict.fromkeys(looping, rows)
    ends = len(rows.levels[-1]) <= indexing_maps(looping[-1])[0].n_dims
    # Where its end has fewer loops, a kernel's tiles are those of its sum.
    return {looping[-1] if ends else next(filter(reduces, looping)): rows}


def _multiplies_or_slides(op: ir.Operation) -> bool:
    return contracts(op) or (is_window_sum(op) and loop_nest(op) is not None)
