"""Tiles of a sum over a window on a GPU, channel by channel: depthwise convolutions.

The channels lie side by side, and a thread has a vector of them for some neighbouring points: it
loads its weights once for all. Left to itself the code generator gives each thread one vector,
and few threads to a workgroup: 56 x 56 x 144 of 3 x 3 took eight threads each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import divisors, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.gpu_rows import GpuRows
from smartmem.passes.analysis.tiling.gpu_tiles import THREAD, THREADS, VECTOR

_POINTS = 8
"""Points of one thread at most."""


def gpu_windows(operations: Sequence[ir.Operation], gpu: Gpu) -> GpuRows | Refusal | None:
    """How the threads share the points and channels of a kernel of these operations.

    Returns:
        None if it slides no window, or sums anything else up.
    """
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    if not any(map(is_window_sum, operations)) or any(nest.reductions for nest in nests):
        return None
    extent = nests[-1].domain
    if any(nest.domain != extent for nest in nests) or len(extent) < 2:
        return Refusal("its operations run over different loops")
    if any(nest.written != list(range(len(extent))) for nest in nests):
        return Refusal("its result is not written in the order of its loops")
    *outer, points, channels = extent
    if channels % VECTOR:
        return Refusal("no vector divides its channels")
    most = min(THREADS, gpu.threads)
    x = next(n for n in divisors(channels // VECTOR) if n <= min(most, gpu.sizes[0]))
    taps = max(len(nest.read) for nest in nests) // 2
    each = next(n for n in divisors(points) if n <= max(_points(taps, gpu), 1))
    y = next(n for n in divisors(points // each) if n * x <= most and n <= gpu.sizes[1])
    ones = tuple(1 for _ in outer)
    levels = ((*ones, each * y, VECTOR * x), (*ones, each, VECTOR))
    shares = "a thread for some points of a window's channels"
    return GpuRows(THREAD, levels, (x, y, 1), shares)


def _points(taps: int, gpu: Gpu) -> int:
    """Points of a thread at most: results, and what a row of the window reads, in registers."""
    row = math.isqrt(taps)
    return min((gpu.block // VECTOR - row - 1) // 2, _POINTS)
