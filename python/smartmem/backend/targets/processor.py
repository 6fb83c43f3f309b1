"""What passes may know of the processor that a model is compiled for.

The one place for it: a pass takes vectors, registers, shared memory and the bounds of
workgroups from ``PassContext.processor``, says with ``Pass.runs_on`` which kinds of processor
it is for, and asks nothing else of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

from smartmem.backend.targets.vectors import AVX512, SPIRV, Vectors


@dataclass(frozen=True)
class Cpu:
    """A processor whose threads have caches, vectors and no shared memory of their own.

    Attributes:
        vectors: its vector registers.
    """

    vectors: Vectors = AVX512


@dataclass(frozen=True)
class Gpu:
    """A processor of Vulkan: a workgroup's threads share memory, and run in subgroups.

    Attributes:
        subgroup: threads that run in step.
        threads: of a workgroup, at most.
        sizes: of a workgroup in x, y and z, at most.
        shared_memory: bytes that a workgroup can share.
        sums: whether a subgroup adds up a number of each of its threads at once.
        vectors: what a thread loads, stores and computes with at once.
    """

    subgroup: int
    threads: int
    sizes: tuple[int, int, int]
    shared_memory: int = 16384
    sums: bool = True
    vectors: Vectors = SPIRV


Processor = Cpu | Gpu

EVERY_GPU = Gpu(subgroup=4, threads=128, sizes=(128, 128, 64))
"""What every Vulkan device can do (specification, "Required Limits"); subgroups of 4 are the
smallest known."""
