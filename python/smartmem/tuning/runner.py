"""Runs compiled kernels in turn and prints their times: a process of its own.

A wrong candidate can crash or hang, so that ``measure`` starts this module as a program:
it reads what to do as JSON from stdin and prints JSON on stdout, a line with the number of
each module that it begins with, and one with all times.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from smartmem.backend.device.runtime import Inputs, LoadedModule
from smartmem.backend.module.module_file import ModuleFile
from smartmem.parameters import Array
from smartmem.runtime.inputs import random_inputs

_SHORTEST_S = 2e-3
"""Time of one sample: several runs where one is shorter, so that the clock is fine enough."""

_LEAST_ROUNDS = 3


def run(
    files: Sequence[str],
    device: str,
    threads: int | None,
    rounds: int,
    first_s: float,
    rounds_s: float,
    weights: Sequence[int],
) -> object:
    """Seconds of each module in each round, its error against the first one, and whether
    its results have the same bits.

    Args:
        first_s: the process ends if a module's first run takes longer: drivers compile
            then, and for some shaders hardly come to an end.
        rounds_s: no round begins after so much time, but for the least number of them.
        weights: inputs that are weights: no run finds them in a cache.
    """
    arrays = random_inputs(ModuleFile(files[0]).metadata.inputs, seed=0)
    loaded: dict[int, LoadedModule] = {}
    outputs: dict[int, list[Array]] = {}
    for number in _in_order(files):
        print(json.dumps({"begins": number}), flush=True)
        with _limit(first_s):
            file = files[number]
            loaded[number] = LoadedModule(file, device, threads=threads, unchecked=True)
            outputs[number] = loaded[number](*arrays)
    modules = [loaded[number] for number in range(len(files))]
    results = [outputs[number] for number in range(len(files))]
    errors = [_error(result, results[0]) for result in results]
    same = [_bits(result) == _bits(results[0]) for result in results]
    inputs = _inputs(modules, arrays, weights)
    return {
        "seconds": _seconds(list(zip(modules, inputs, strict=True)), rounds, rounds_s),
        "errors": errors,
        "same": same,
    }


def _inputs(
    modules: Sequence[LoadedModule], arrays: Sequence[Array], weights: Sequence[int]
) -> list[Inputs]:
    """The inputs of each module; those of one device share them."""
    found: dict[int, Inputs] = {}
    for module in modules:
        if id(module.device) not in found:
            found[id(module.device)] = module.upload(arrays, weights)
    return [found[id(module.device)] for module in modules]


def _seconds(
    modules: Sequence[tuple[LoadedModule, Inputs]], rounds: int, rounds_s: float
) -> list[list[float]]:
    """Seconds of each module in each round."""
    first = modules[0][0].benchmark(modules[0][1], warmup=2, repetitions=5).median
    repetitions = max(1, min(int(_SHORTEST_S / first), 50))
    seconds: list[list[float]] = [[] for _ in modules]
    end = time.monotonic() + rounds_s
    for number in range(rounds):
        if number >= _LEAST_ROUNDS and time.monotonic() > end:
            break
        # In turn, and each round from another one on: what comes first is not always cold.
        for k in range(len(modules)):
            place = (number + k) % len(modules)
            module, inputs = modules[place]
            times = module.benchmark(inputs, warmup=1, repetitions=repetitions)
            seconds[place].append(statistics.median(times.seconds))
    return seconds


def _in_order(files: Sequence[str]) -> list[int]:
    """The numbers of the modules, those with images first: they need SmartMem's Vulkan
    library, and the first loader of a process is its only one."""
    return sorted(range(len(files)), key=lambda k: not ModuleFile(files[k]).shader_use.images)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Ends the process after that time, whatever it does then."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles SIGALRM
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bits(results: Sequence[Array]) -> list[bytes]:
    return [array.tobytes() for array in results]


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
