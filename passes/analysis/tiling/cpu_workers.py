"""How long the workers of a CPU wait for each other at the end of a kernel.

IREE's workers take the workgroups of a kernel one by one where there are few, else several at
once. Two workers compute 24 workgroups in the time of 32: each takes eight, and one of them
eight more.
"""

from __future__ import annotations

import statistics

# Workgroups that a worker takes at once where each gets as many (iree/task/tuning.h:
# IREE_TASK_DISPATCH_MAX_TILES_PER_SHARD_RESERVATION).
_AT_ONCE = 8

# Workers that numbers of workgroups are chosen for, the large cores of embedded devices, and
# how much each number counts.
_WORKERS = {2: 2, 4: 1}

# How long the others wait for the last worker: a part of what it takes at once.
_LATE = 0.25


def waiting(count: int) -> float:
    """A kernel's time over that of workers that never wait, for ``count`` workgroups.

    1.0 is the least. 77 x 768 of 3072 in 24 workgroups: 2.3 ms, in 12: 1.9 ms.
    """
    times = [
        (_most(count, workers) + _LATE * _at_once(count, workers)) * workers / count
        for workers in _WORKERS
    ]
    return statistics.fmean(times, _WORKERS.values())


def _most(count: int, workers: int) -> int:
    """Workgroups of the worker that computes most of ``count``."""
    at_once = _at_once(count, workers)
    full, rest = divmod(count, at_once)
    rounds, left = divmod(full, workers)
    return rounds * at_once + (at_once if left else rest)


def _at_once(count: int, workers: int) -> int:
    """Workgroups that a worker takes at once."""
    return 1 if count < workers * _AT_ONCE else _AT_ONCE
