"""How the threads of a GPU share rows: the analytic choice for softmax and normalizations.

All operations of such a kernel go along rows whose elements lie side by side. Two forms load
them as vectors of four. A thread takes a row alone, in steps of some vectors; or the threads of
a subgroup take one, as many of them as divide its vectors. Left to itself the code generator
takes all threads of a subgroup, and loads single elements, or two, where their vectors do not
divide the row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.gpu_tiles import VECTOR
from smartmem.passes.analysis.loops import LoopNest, divisors, loop_nest
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.base import Workgroups

THREAD, SUBGROUP = "BaseVectorize", "SubgroupReduce"
"""IREE's names of the two forms: a thread has a row, or a subgroup."""

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
class GpuRows:
    """Who computes the rows of a kernel.

    Attributes:
        pipeline: one of the names above.
        tiles: sizes for each loop, by level; 0 leaves a loop whole.
        threads: of a workgroup in x, y and z.
    """

    pipeline: str
    tiles: tuple[tuple[int, ...], ...]
    threads: tuple[int, int, int]


def gpu_rows(
    operations: Sequence[ir.Operation], bounds: Workgroups
) -> GpuRows | Refusal | None:
    """How the threads share the rows of a kernel of these operations; None if it has none."""
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    if not nests or not any(nest.reductions for nest in nests):
        return None
    if refusal := _refuse(nests):
        return refusal
    choices = list(_forms(nests, bounds))
    if not choices:
        return Refusal("its threads cannot share one row")
    return min(choices, key=lambda rows: _time(rows, nests[-1].domain, bounds))


def _forms(nests: Sequence[LoopNest], bounds: Workgroups) -> Iterator[GpuRows]:
    """The forms in which the target can compute rows of vectors."""
    extents = nests[-1].domain
    if len(extents) > 1:
        yield _alone(extents, bounds)
    if bounds.sums and not any(nest.uses_index for nest in nests):
        yield _together(extents, bounds)


def _refuse(nests: Sequence[LoopNest]) -> Refusal | None:
    """Why threads cannot share the rows, or not load them as vectors."""
    extents = nests[-1].domain
    row = len(extents) - 1
    if row < 0 or any(nest.is_contraction for nest in nests):
        return Refusal("it has no rows")
    for nest in nests:
        if nest.reductions - {row} or nest.domain != extents[: len(nest.domain)]:
            return Refusal("it sums along other dims than the innermost")
        for operand in range(len(nest.accesses)):
            loops = nest.loops_of(operand)
            if row in loops and loops[-1] != row:
                return Refusal("its rows lie across")
    if nests[-1].written != _order(nests[-1]):
        return Refusal("its result is not written in the order of its loops")
    return Refusal("no vector divides its rows") if extents[row] % VECTOR else None


def _order(nest: LoopNest) -> list[int]:
    return [d for d in range(len(nest.domain)) if d not in nest.reductions]


def _alone(extents: Sequence[int], bounds: Workgroups) -> GpuRows:
    """A thread has a row."""
    outer = len(extents) - 1
    blocks = _blocks(extents, bounds)
    x, y = min(blocks, key=lambda block: _cost(block, extents, bounds))
    workgroup = [1] * outer + [0]
    workgroup[outer - 1] = x
    if outer > 1:
        workgroup[outer - 2] = y
    thread = (*(1,) * outer, 0)
    step = next(n for n in _STEPS if extents[-1] % n == 0)
    reduction = (*(0,) * outer, step)
    return GpuRows(THREAD, (tuple(workgroup), thread, reduction), (x, y, 1))


def _blocks(extents: Sequence[int], bounds: Workgroups) -> Iterator[tuple[int, int]]:
    """Rows of a workgroup along the two innermost dims of rows."""
    most = min(_THREADS, bounds.threads)
    inner = extents[-2]
    sizes = {n for n in divisors(inner) if n <= min(most, bounds.sizes[0])}
    if most < min(inner, bounds.sizes[0]):
        sizes.add(most)
    for x in sorted(sizes):
        outer = divisors(extents[-3]) if len(extents) > 2 and x == inner else [1]
        yield from ((x, y) for y in outer if y <= min(most // x, bounds.sizes[1]))


def _cost(
    block: tuple[int, int], extents: Sequence[int], bounds: Workgroups
) -> tuple[float, int]:
    """Time of the rows, relative; then fewer rows of a workgroup."""
    x, y = block
    count = math.ceil(extents[-2] / x) * math.prod(extents[:-2]) // y
    run = math.ceil(x * y / bounds.subgroup) * bounds.subgroup
    return run * count * max(_WORKGROUPS / count, 1), x * y


def _together(extents: Sequence[int], bounds: Workgroups) -> GpuRows:
    """The threads of a subgroup have a row, or some of them: the others rest."""
    outer = len(extents) - 1
    threads = next(n for n in divisors(extents[-1] // VECTOR) if n <= bounds.subgroup)
    step = (*(0,) * outer, VECTOR * threads)
    return GpuRows(SUBGROUP, ((1,) * outer, step), (threads, 1, 1))


def _time(rows: GpuRows, extents: Sequence[int], bounds: Workgroups) -> float:
    """Vectors that a core loads one behind the other, about."""
    count, vectors = math.prod(extents[:-1]), extents[-1] // VECTOR
    if rows.pipeline == SUBGROUP:
        return max(count / _SUBGROUPS, 1) * (vectors / rows.threads[0] + _EXCHANGE)
    return max(count / bounds.subgroup / _SUBGROUPS, 1) * vectors
