"""Tile sizes of a contraction's loops on a GPU: the analytic choice for SPIR-V.

A thread keeps a block of results in registers: some rows, one or two vectors of four
columns each. Per step of the reduction it loads one element for each row and for each
column, and multiplies and adds once for each result; what that costs, and how well the
threads of a workgroup fill subgroups, decides. All choices are few: every one is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import LoopNest, divisors
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.tiles import Tiles, thread_lowering, thread_translation

THREAD, SUBGROUP = "BaseVectorize", "SubgroupReduce"
"""IREE's names of two forms: a thread has a block or a row, or a subgroup has a row."""

VECTOR = 4
"""Elements of 32 bits that SPIR-V loads at once."""

# Results of one thread. IREE's own choices have as many; more are spilled.
_RESULTS = 64

# Threads of a workgroup at most: more share nothing here, and need larger tiles.
THREADS = 64

# What loading an element costs, with a multiply-add as one: measured on Mesa's llvmpipe.
_LOAD = 2.4

# Threads along x at least: they load what lies side by side. (llvmpipe, whose subgroups
# are 8, fills them along x alone.)
_SIDE_BY_SIDE = 16

# Fewer workgroups than this leave cores without work.
_WORKGROUPS = 8


@dataclass(frozen=True)
class GpuTiles(Tiles):
    """Sizes for each loop; 0 leaves a loop whole.

    Attributes:
        workgroup: of what one workgroup computes.
        thread: of the block of results of one thread.
        reduction: of the reduction loops, steps that are unrolled.
        threads: of a workgroup in x, y and z.
    """

    workgroup: tuple[int, ...]
    thread: tuple[int, ...]
    reduction: tuple[int, ...]
    threads: tuple[int, int, int]

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The sizes that there is one of for each loop."""
        return self.workgroup, self.thread, self.reduction

    def lowering(self, *, is_root: bool = True) -> str:
        """The sizes in IREE's notation."""
        return thread_lowering(self.levels)

    @property
    def translation(self) -> str:
        """Each thread has a block of results."""
        return thread_translation(THREAD, self.threads)

    def __str__(self) -> str:
        return f"tiles: {self.workgroup}"


@dataclass(frozen=True)
class _Loops:
    """The loops of a contraction by what a thread does with them.

    Attributes:
        column: innermost in the result; vectors are of it.
        row: the innermost that only one operand has; None if there is none.
        group: what threads along x can share out where the columns are few; lies between
            rows and columns in the result.
    """

    column: int
    row: int | None
    group: int | None


def gpu_tiles(nest: LoopNest, gpu: Gpu) -> GpuTiles | Refusal:
    """The tile sizes of the loops of a contraction of two operands."""
    if not nest.is_contraction or not nest.is_plain:
        return Refusal("it is no contraction over single loops")
    if not nest.reductions:
        return Refusal("it sums nothing up")  # its only step has a factor each
    written = nest.loops_of(2)
    if written != sorted(written) or len(written) < 2 or max(written) > min(nest.reductions):
        return Refusal("its result is not written in the order of its loops")
    if refusal := _refuse_loads(nest, written[-1]):
        return refusal
    loops = _loops(nest, written)
    choices = sorted(_choices(nest, loops, gpu), key=lambda choice: choice[0])
    return choices[0][1] if choices else Refusal("no block of results fits")


def fits(tiles: GpuTiles, nest: LoopNest, gpu: Gpu) -> bool:
    """Whether a target can run a contraction with these sizes, and in vectors.

    All sizes divide their loops: a block that is cut off is computed element by element.
    """
    extent, written = nest.domain, nest.loops_of(2)
    if any(len(sizes) != len(extent) for sizes in tiles.levels):
        return False
    if any(size and extent[d] % size for sizes in tiles.levels for d, size in enumerate(sizes)):
        return False
    if any(w % t for w, t in zip(tiles.workgroup, tiles.thread, strict=True) if t):
        return False
    results = any(tiles.workgroup[d] or tiles.thread[d] for d in nest.reductions)
    steps = any(tiles.reduction[d] for d in written)
    bounded = all(n <= most for n, most in zip(tiles.threads, gpu.sizes, strict=True))
    return (
        not results
        and not steps
        and bounded
        and math.prod(tiles.threads) <= gpu.threads
        and tiles.threads == threads_of(tiles.workgroup, tiles.thread)
        and _is_lowered(nest, tiles)
    )


def threads_of(workgroup: Sequence[int], thread: Sequence[int]) -> tuple[int, int, int] | None:
    """Threads in x, y and z: of the innermost loops that are shared out, in this order.

    None where more than three loops are shared out.
    """
    counts = [w // t for w, t in zip(workgroup, thread, strict=True) if t][::-1]
    if any(n > 1 for n in counts[3:]):
        return None
    x, y, z = ([*counts, 1, 1, 1])[:3]
    return x, y, z


def _is_lowered(nest: LoopNest, tiles: GpuTiles) -> bool:
    """Whether the code generator takes the vectors of a thread's block apart.

    iree-compile 3.13 does not in ``sum(x[k, row, i] * y[k, column])`` for results ``[i, copy,
    row, column]`` where a block has steps and rows, but one ``column`` and one ``i``: it leaves
    ``vector<4x3xf32>``, which SPIR-V does not have.
    """
    read = nest.read
    if set(nest.written) <= {d for loops in read for d in loops}:
        return True
    if _block(nest, tiles, nest.written[-1:]) != [1]:
        return True
    blocks = [_block(nest, tiles, loops) for loops in read]
    return not any(block[-1] == 1 and sum(n > 1 for n in block) > 1 for block in blocks)


def _block(nest: LoopNest, tiles: GpuTiles, loops: Sequence[int]) -> list[int]:
    """How much of each of these loops a thread takes at a time."""
    steps, sizes, group = tiles.reduction, tiles.thread, tiles.workgroup
    return [steps[d] or sizes[d] or group[d] or nest.domain[d] for d in loops]


def joint_gpu_tiles(nests: Sequence[LoopNest], gpu: Gpu) -> GpuTiles | Refusal:
    """The tile sizes of contractions whose sums one kernel takes up in turn.

    The code generator has one list of sizes for all of a kernel: their loops must be alike
    but for the number of steps.
    """
    nests = list(dict.fromkeys(nests))
    found = [gpu_tiles(nest, gpu) for nest in nests]
    refusal = next((tiles for tiles in found if isinstance(tiles, Refusal)), None)
    if refusal is not None:
        return refusal
    if len({_results(nest) for nest in nests}) > 1:
        return Refusal("its sums run over other loops")
    steps = {tiles.reduction for tiles in found if isinstance(tiles, GpuTiles)}
    return found[-1] if len(steps) == 1 else Refusal("its sums have other steps")


def _results(nest: LoopNest) -> tuple[object, ...]:
    """The loops of a contraction, without how long its reductions are."""
    extents = tuple(0 if d in nest.reductions else n for d, n in enumerate(nest.domain))
    return nest.accesses[2].exprs, extents


def _refuse_loads(nest: LoopNest, column: int) -> Refusal | None:
    """Why the operands cannot be loaded along columns or the reduction."""
    inner = [nest.loops_of(operand)[-1] for operand in range(3)]
    for operand in (0, 1):
        if inner[operand] == column or inner[operand] in nest.reductions:
            continue
        # Scalars beside vectors of columns are those of a picture of three channels.
        if column in nest.loops_of(operand) or inner[1 - operand] != column:
            return Refusal("an operand has neither columns nor a reduction innermost")
    return None


def _widths(columns: int) -> list[int]:
    """Columns of a thread's block: vectors, or what divides them where no vector does."""
    vectors = [n for n in (2 * VECTOR, VECTOR) if columns % n == 0]
    return vectors or [n for n in divisors(columns) if n <= 2 * VECTOR]


def _loops(nest: LoopNest, written: Sequence[int]) -> _Loops:
    shared = set(nest.loops_of(0)) & set(nest.loops_of(1))
    rows = [d for d in written[:-1] if d not in shared]
    inner = [d for d in written[:-1] if d in shared and (not rows or d > rows[-1])]
    return _Loops(written[-1], rows[-1] if rows else None, inner[-1] if inner else None)


def _choices(
    nest: LoopNest, loops: _Loops, gpu: Gpu
) -> Iterator[tuple[tuple[float, ...], GpuTiles]]:
    extent = nest.domain
    for width in _widths(extent[loops.column]):
        rows = divisors(extent[loops.row]) if loops.row is not None else [1]
        for height in (n for n in rows if n * width <= _RESULTS):
            for tiles in _workgroups(nest, loops, width, height, gpu):
                if _registers(nest, tiles) <= gpu.block:
                    yield _cost(nest, tiles, width, height, gpu), tiles


def _registers(nest: LoopNest, tiles: GpuTiles) -> int:
    """Elements of a thread's block, and of what it loads for one step of it."""
    return sum(math.prod(_block(nest, tiles, nest.loops_of(k))) for k in range(3))


def _workgroups(
    nest: LoopNest, loops: _Loops, width: int, height: int, gpu: Gpu
) -> Iterator[GpuTiles]:
    """The ways to share blocks of ``height`` rows and ``width`` columns out to threads."""
    extent = nest.domain
    shared = [(loops.column, width), *([] if loops.group is None else [(loops.group, 1)])]
    most = min(THREADS, gpu.threads)
    for loop, size in shared:
        for x in _up_to(extent[loop] // size, min(most, gpu.sizes[0])):
            if x == 1 and loop != loops.column:
                continue  # nothing is shared out
            down = extent[loops.row] // height if loops.row is not None else 1
            for y in _up_to(down, min(most // x, gpu.sizes[1])):
                tiles = _tiles(nest, loops, (loop, size, x), (height, y), width)
                if tiles is not None:
                    yield tiles


def _tiles(
    nest: LoopNest,
    loops: _Loops,
    across: tuple[int, int, int],
    down: tuple[int, int],
    width: int,
) -> GpuTiles | None:
    """The sizes; None where workgroups have too few dims to share the rows out."""
    written = nest.loops_of(2)
    workgroup = [int(d in written) for d in range(len(nest.domain))]
    thread = list(workgroup)
    workgroup[loops.column], thread[loops.column] = width, 0
    loop, size, x = across
    workgroup[loop], thread[loop] = size * x, size
    if loops.row is not None:
        workgroup[loops.row], thread[loops.row] = down[0] * down[1], down[0]
    threads = threads_of(workgroup, thread)
    if threads is None:
        return None
    sizes = tuple(workgroup), tuple(thread)
    tiles = GpuTiles(*sizes, _steps(nest, VECTOR), threads)
    return tiles if _is_lowered(nest, tiles) else GpuTiles(*sizes, _steps(nest, 1), threads)


def _steps(nest: LoopNest, most: int) -> tuple[int, ...]:
    """Steps of the reductions: ``most`` of what is loaded as a vector, else one."""
    inner = {nest.loops_of(operand)[-1] for operand in (0, 1)}
    steps = [0] * len(nest.domain)
    for d in nest.reductions:
        alone = len(nest.reductions) == 1
        steps[d] = most if nest.domain[d] % most == 0 and (alone or d in inner) else 1
    return tuple(steps)


def _cost(
    nest: LoopNest, tiles: GpuTiles, width: int, height: int, gpu: Gpu
) -> tuple[float, ...]:
    """Time of one multiply-add, relative; then what decides between equals."""
    work = 1 + _LOAD * (width + height) / (width * height)
    idle = _idle(tiles.threads[0], min(gpu.subgroup, _SIDE_BY_SIDE))
    idle *= _idle(math.prod(tiles.threads), gpu.subgroup)
    count = math.prod(nest.domain[d] // size for d, size in enumerate(tiles.workgroup) if size)
    alone = max(_WORKGROUPS / count, 1)
    return work * idle * alone, -math.prod(tiles.threads), -height


def _idle(threads: int, step: int) -> float:
    """Threads that run for each that has work, where ``step`` of them run at a time."""
    return math.ceil(threads / step) * step / threads


def _up_to(count: int, most: int) -> list[int]:
    return [n for n in divisors(count) if n <= most]
