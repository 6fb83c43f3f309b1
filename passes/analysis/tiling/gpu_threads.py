"""Which form of tiles the kernel of a GPU gets, if it gets any: the first that suits it."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.chains import readers
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.gpu_columns import MANY_ROWS, gpu_columns
from smartmem.passes.analysis.tiling.gpu_rows import GpuRows, gpu_rows
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles, joint_gpu_tiles
from smartmem.passes.analysis.tiling.gpu_windows import gpu_windows
from smartmem.passes.base import RETURN

INSERTIONS = ("tensor.pad", "tensor.insert_slice", "tensor.concat")
"""What writes a tensor into a larger one."""

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
    have no vectors, or columns many rows. Not where it sums over several loops or across few rows,
    reads in another order than it writes, or where its result is padded or inserted: with IREE
    3.13's tiles its threads then add up in memory, and one reads what another one has filled.
    """
    alone = _is_alone([op for op in operations if loop_nest(op) is not None])
    refusal: Refusal | None = None
    for form in (gpu_windows, gpu_columns, gpu_rows):
        found = form(operations, gpu)
        if isinstance(found, GpuRows) and not (alone and found.by_element):
            return found
        if alone and found is not None:
            return Refusal(_NO_VECTORS) if isinstance(found, GpuRows) else found
        refusal = found if isinstance(found, Refusal) else refusal
    return refusal


def _is_alone(looping: Sequence[ir.Operation]) -> bool:
    """Whether a kernel is one operation that is right with the code generator's tiles."""
    nest = loop_nest(looping[0]) if len(looping) == 1 else None
    if nest is None:
        return False
    if not nest.reductions:
        return True
    in_order = len(nest.reductions) == 1 and _reads_as_it_writes(nest)
    return in_order and _sums_long_rows(nest) and not _is_inserted(looping[0].results[0])


def _reads_as_it_writes(nest: LoopNest) -> bool:
    """Whether the loops of the result lie in each operand in the order of the result."""
    kept = ([loop for loop in loops if loop in nest.written] for loops in nest.read)
    return all(loops == [loop for loop in nest.written if loop in loops] for loops in kept)


def _sums_long_rows(nest: LoopNest) -> bool:
    """Whether a subgroup shares what is summed up: it lies side by side, or is much."""
    (row,) = nest.reductions
    along = all(loops[-1] == row for loops in nest.read if row in loops)
    return along or nest.domain[row] > MANY_ROWS


def _is_inserted(value: ir.Value) -> bool:
    """Whether ``value``, or the region that returns it, is written into a larger tensor."""
    users = readers(value)
    if any(user.name in INSERTIONS for user in users):
        return True
    regions = [user.parent for user in users if user.name == RETURN]
    return any(_is_inserted(result) for region in regions for result in region.results)


def has_thread_tiles(operations: Sequence[ir.Operation], gpu: Gpu) -> bool:
    """Whether the kernel's threads get tile sizes of ours."""
    contraction = contraction_tiles(operations, gpu)
    if contraction is not None:
        return isinstance(contraction, GpuTiles)
    return isinstance(row_tiles(operations, gpu), GpuRows)
