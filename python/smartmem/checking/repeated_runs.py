"""Runs a compiled module in ways that show what one run hides.

A kernel that reads what nobody has written, or what another thread is still writing, finds
what lay there before. If the same input ran before, that is the right value. So a module runs
on several inputs, on one of them again, and on a GPU in two processes whose memory is full of
NaNs: whatever is read without having been written shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smartmem.backend.device.fresh_run import run_fresh, same_bits
from smartmem.backend.device.runtime import LoadedModule
from smartmem.parameters import Array


@dataclass(frozen=True)
class RepeatedRuns:
    """What came of several runs.

    Attributes:
        results: of each input, of its first run.
        differing: names of outputs that were not the same bits in two runs of one input.
        how: what was done, for people.
    """

    results: tuple[list[Array], ...]
    differing: tuple[str, ...]
    how: str


def shuffled(arrays: Sequence[Array], seed: int) -> list[Array]:
    """Another input of the same kind: the floats of each array in another order.

    Integers and booleans stay: they can be indices and masks that belong together.
    """
    generator = np.random.default_rng(seed)
    return [_shuffled(a, generator) if a.dtype.kind in "fV" else a for a in arrays]


def _shuffled(array: Array, generator: np.random.Generator) -> Array:
    return generator.permutation(array.reshape(-1)).reshape(array.shape)


def run_repeatedly(
    module: LoadedModule,
    path: Path,
    names: Sequence[str],
    inputs: tuple[Sequence[Array], Sequence[Array]],
) -> RepeatedRuns:
    """Runs a module on two inputs, and on the first again; on a GPU in other processes, too.

    Args:
        module: the module on its device.
        path: its file.
        names: of its outputs.
        inputs: both.

    Raises:
        TargetError: it does not run.
    """
    first, second = inputs
    if module.metadata.kind != "vulkan":
        results = tuple(module(*arrays) for arrays in (first, second, first))
        differing = _differing(names, results[0], results[2])
        return RepeatedRuns(results[:2], differing, "3 runs of 2 inputs in one process")
    here = run_fresh(path, first, second, first, device="auto", fill=True)
    other = run_fresh(path, second, device="auto", fill=True)
    differing = (
        *_differing(names, here.results[0], here.results[2]),
        *_differing(names, here.results[1], other.results[0]),
    )
    filled = "filled with NaN before" if here.is_filled else "as it was"
    how = f"4 runs of 2 inputs in 2 new processes, memory {filled}"
    return RepeatedRuns(here.results[:2], tuple(dict.fromkeys(differing)), how)


def _differing(
    names: Sequence[str], some: Sequence[Array], others: Sequence[Array]
) -> tuple[str, ...]:
    pairs = zip(names, some, others, strict=True)
    return tuple(name for name, a, b in pairs if not same_bits([a], [b]))
