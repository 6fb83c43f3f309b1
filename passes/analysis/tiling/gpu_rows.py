"""How the threads of a GPU share rows: the analytic choice for softmax and normalizations.

All operations of such a kernel go along rows. Two forms load elements that lie side by side as
vectors of four. A thread takes a row alone, in steps of some vectors; or the threads of
a subgroup take one, as many of them as divide its vectors. Left to itself the code generator
takes all threads of a subgroup, and loads single elements, or two, where their vectors do not
divide the row. Where rows lie across, or no vector divides them, a thread takes a row element
by element.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import LoopNest, divisors, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.gpu_tiles import SUBGROUP, THREAD, VECTOR
from smartmem.passes.analysis.tiling.tiles import Tiles, thread_lowering, thread_translation

# Threads of a workgroup at most, where each has a row.
_THREADS = 64

# Elements of a row that a thread loads in one step, the most first: the vectors of a step are
# loaded together. (llvmpipe: 196 rows of 384 take 0.6 of the time with 16 that they take with 4.)
_STEPS = (4 * VECTOR, VECTOR)

# Subgroups that a GPU runs at a time, about: with fewer, its cores wait for memory.
_SUBGROUPS = 64

# What a subgroup's exchange of sums costs, in vectors loaded.
_EXCHANGE = 8

# Fewer workgroups than this leave cores without work.
_WORKGROUPS = 8


@dataclass(frozen=True)
class GpuRows(Tiles):
    """Who computes the rows of a kernel.

    Attributes:
        pipeline: ``THREAD`` or ``SUBGROUP``.
        levels: sizes for each loop, by level; 0 leaves a loop whole.
        threads: of a workgroup in x, y and z.
        shares: what a thread, or a subgroup, has.
        by_element: whether no vectors are loaded, though rows lie side by side.
    """

    pipeline: str
    levels: tuple[tuple[int, ...], ...]
    threads: tuple[int, int, int]
    shares: str
    by_element: bool = False

    def lowering(self, *, is_root: bool = True) -> str:
        """The sizes in IREE's notation."""
        return thread_lowering(self.levels)

    @property
    def translation(self) -> str:
        """A thread has a row, or a subgroup."""
        return thread_translation(self.pipeline, self.threads)

    def __str__(self) -> str:
        return f"tiles: {self.levels[-1]}, {self.shares}"


@dataclass(frozen=True)
class _Rows:
    """The loops of a kernel.

    Attributes:
        outer: extents of the loops over rows.
        inner: of those along a row; vectors are of the last.
        by_element: whether rows have no vectors: they lie across, so that what lies side by
            side are elements of many rows, or no vector divides them.
    """

    outer: tuple[int, ...]
    inner: tuple[int, ...]
    by_element: bool

    @property
    def vectors(self) -> int:
        """Of a row."""
        return math.prod(self.inner) // VECTOR

    def steps(self, elements: int) -> tuple[int, ...]:
        """Sizes of what is computed at a time of a row."""
        return (*(0,) * len(self.outer), *(1,) * (len(self.inner) - 1), elements)


def gpu_rows(operations: Sequence[ir.Operation], gpu: Gpu) -> GpuRows | Refusal | None:
    """How the threads share the rows of a kernel of these operations; None if it has none."""
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    if not any(nest.reductions for nest in nests):
        return None
    rows = _rows(nests)
    if isinstance(rows, Refusal):
        return rows
    looks_up = any(nest.uses_index for nest in nests)
    choices = list(_forms(rows, gpu, looks_up))
    if not choices:
        return Refusal("its threads cannot share one row")
    return min(choices, key=lambda choice: _time(choice, rows, gpu))


def _forms(rows: _Rows, gpu: Gpu, looks_up: bool) -> Iterator[GpuRows]:
    """The forms in which the target can compute the rows."""
    if rows.outer:
        yield _alone(rows, gpu)
    if gpu.sums and not looks_up and not rows.by_element:
        yield _together(rows, gpu)


def _rows(nests: Sequence[LoopNest]) -> _Rows | Refusal:
    """The rows, or why threads cannot share them, or not load them as vectors."""
    extents = nests[-1].domain
    along = next(nest.reductions for nest in nests if nest.reductions)
    outer = min(along)
    if any(nest.is_contraction for nest in nests):
        return Refusal("it has no rows")
    for nest in nests:
        if nest.reductions and nest.reductions != set(range(outer, len(extents))):
            return Refusal("it sums along other dims than the innermost")
        if nest.domain != extents[: len(nest.domain)]:
            return Refusal("its loops differ")
    operands = (loops for nest in nests for loops in (*nest.read, nest.written))
    across = any(len(extents) - 1 in loops[:-1] for loops in operands)
    by_element = across or extents[-1] % VECTOR > 0
    if not by_element and nests[-1].written != _order(nests[-1]):
        return Refusal("its result is not written in the order of its loops")
    return _Rows(extents[:outer], extents[outer:], by_element)


def _order(nest: LoopNest) -> list[int]:
    return [d for d in range(len(nest.domain)) if d not in nest.reductions]


def _alone(rows: _Rows, gpu: Gpu) -> GpuRows:
    """A thread has a row: single elements of it where rows lie across, side by side for x."""
    x, y = blocks_of_threads(rows.outer, gpu)
    thread = (*(1,) * len(rows.outer), *(0,) * len(rows.inner))
    workgroup = list(thread)
    workgroup[len(rows.outer) - 1] = x
    if len(rows.outer) > 1:
        workgroup[len(rows.outer) - 2] = y
    step = 1 if rows.by_element else next(n for n in _STEPS if rows.inner[-1] % n == 0)
    tiles = (tuple(workgroup), thread, rows.steps(step))
    no_vectors = rows.inner[-1] % VECTOR > 0
    return GpuRows(THREAD, tiles, (x, y, 1), "a thread for each row", no_vectors)


def blocks_of_threads(
    extents: Sequence[int], gpu: Gpu, *, whole: bool = False
) -> tuple[int, int]:
    """Threads of a workgroup along the two innermost of the loops that threads share.

    Args:
        whole: no workgroup may be cut off at the end.
    """
    blocks = _blocks(extents, gpu, whole)
    return min(blocks, key=lambda block: _cost(block, extents, gpu))


def _blocks(extents: Sequence[int], gpu: Gpu, whole: bool) -> Iterator[tuple[int, int]]:
    most = min(_THREADS, gpu.threads)
    inner = extents[-1]
    sizes = {n for n in divisors(inner) if n <= min(most, gpu.sizes[0])}
    if most < min(inner, gpu.sizes[0]) and not whole:
        sizes.add(most)
    for x in sorted(sizes):
        outer = divisors(extents[-2]) if len(extents) > 1 and x == inner else [1]
        yield from ((x, y) for y in outer if y <= min(most // x, gpu.sizes[1]))


def _cost(block: tuple[int, int], extents: Sequence[int], gpu: Gpu) -> tuple[float, int]:
    """Time of all threads, relative; then fewer threads of a workgroup."""
    x, y = block
    count = math.ceil(extents[-1] / x) * math.prod(extents[:-1]) // y
    run = math.ceil(x * y / gpu.subgroup) * gpu.subgroup
    return run * count * max(_WORKGROUPS / count, 1), x * y


def _together(rows: _Rows, gpu: Gpu) -> GpuRows:
    """The threads of a subgroup have a row, or some of them: the others rest."""
    threads = next(n for n in divisors(rows.inner[-1] // VECTOR) if n <= gpu.subgroup)
    levels = ((1,) * len(rows.outer), rows.steps(VECTOR * threads))
    return GpuRows(SUBGROUP, levels, (threads, 1, 1), "a subgroup for each row")


def _time(choice: GpuRows, rows: _Rows, gpu: Gpu) -> float:
    """Vectors that a core loads one behind the other, about."""
    count = math.prod(rows.outer)
    if choice.pipeline == SUBGROUP:
        steps = rows.vectors / choice.threads[0]
        return max(count / _SUBGROUPS, 1) * (steps + _EXCHANGE)
    return max(count / gpu.subgroup / _SUBGROUPS, 1) * rows.vectors
