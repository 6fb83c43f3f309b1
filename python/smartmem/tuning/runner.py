"""Runs compiled kernels in turn and prints their times: a process of its own.

A wrong candidate can crash or hang, so that ``measure`` starts this module as a program:
it reads what to do as JSON from stdin and prints JSON on stdout.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence

import numpy as np

from smartmem.backend.runtime import LoadedModule
from smartmem.inputs import random_inputs
from smartmem.parameters import Array

_SHORTEST_S = 2e-3
"""Time of one sample: several runs where one is shorter, so that the clock is fine enough."""


def run(files: Sequence[str], device: str, threads: int | None, rounds: int) -> object:
    """Seconds of each module in each round, and its error against the first one."""
    modules = [LoadedModule(f, device, threads=threads, unchecked=True) for f in files]
    arrays = random_inputs(modules[0].inputs, seed=0)
    results = [module(*arrays) for module in modules]
    errors = [_error(result, results[0]) for result in results]
    first = modules[0].benchmark(arrays, warmup=2, repetitions=5).median
    repetitions = max(1, min(int(_SHORTEST_S / first), 50))
    seconds: list[list[float]] = [[] for _ in modules]
    for number in range(rounds):
        # In turn, and each round from another one on: what comes first is not always cold.
        for k in range(len(modules)):
            place = (number + k) % len(modules)
            times = modules[place].benchmark(arrays, warmup=1, repetitions=repetitions)
            seconds[place].append(statistics.median(times.seconds))
    return {"seconds": seconds, "errors": errors}


def _error(results: Sequence[Array], expected: Sequence[Array]) -> float:
    """Largest relative error; infinite where there is no number."""
    worst = 0.0
    for a, b in zip(results, expected, strict=True):
        high = float(np.abs(b.astype(np.float64)).max(initial=1e-30))
        error = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
        worst = max(worst, error / high) if np.isfinite(error) else float("inf")
    return worst


if __name__ == "__main__":
    print(json.dumps(run(**json.load(sys.stdin))))
