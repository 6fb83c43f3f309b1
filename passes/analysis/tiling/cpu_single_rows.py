"""Linear layers of a single row on CPUs: each weight is read once, in whatever block.

What counts is that weights are read one behind the other, that several sums do not wait for
each other, and that workers read as many of them. A block of channels is a vector wide or half
of one, and some blocks are taken up together. In microseconds, two threads, AVX-512:

    channels x reduction   as IREE reads them where they lie   in blocks
    1000 x 1280            153                                 53, five of 8 channels together
    1024 x 1280             77                                 47, four of 16
    1000 x 1512            192                                 129
    1512 x 144              54                                 21
"""

from __future__ import annotations

from smartmem.passes.analysis.ir.loops import divisors
from smartmem.passes.analysis.tiling.cpu_workgroups import single_row_time

_MOST = 8
"""Blocks together: more sums than hide what one takes."""

# What a step of so many sums takes over that of more: they wait for each other. And what half
# a vector takes.
_WAITING = {1: 1.28, 2: 1.1}
_HALF = 1.1


def block_width(channels: int, reduction: int, lanes: int) -> int:
    """Channels in a block: a vector, or half of one; 0 where neither divides them."""
    widths = [n for n in (lanes, lanes // 2) if n and channels > n and channels % n == 0]
    costs = {n: _cost(channels // n, n * reduction, n < lanes) for n in widths}
    return min(widths, key=lambda n: costs[n], default=0)


def blocks_together(blocks: int, weights: int) -> int:
    """How many of ``blocks`` are taken up together.

    Args:
        weights: elements of a block.
    """
    return min(_choices(blocks), key=lambda n: _time(blocks, n, weights))


def _cost(blocks: int, weights: int, is_half: bool) -> float:
    least = min(_time(blocks, n, weights) for n in _choices(blocks))
    return least * (_HALF if is_half else 1)


def _choices(blocks: int) -> list[int]:
    return [n for n in divisors(blocks) if n <= _MOST]


def _time(blocks: int, together: int, weights: int) -> float:
    """The time of a layer over that of reading its weights."""
    counts = divisors(blocks // together)
    shared = min(single_row_time(count, blocks * weights) for count in counts)
    return shared * _WAITING.get(together, 1.0)
