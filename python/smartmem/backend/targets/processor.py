"""What passes may know of the processor that a model is compiled for.

The one place for it: a pass takes vectors, registers, shared memory and the bounds of
workgroups from ``PassContext.processor``, says with ``Pass.runs_on`` which kinds of processor
it is for, and asks nothing else of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

from smartmem.backend.targets.vectors import AVX512, SPIRV, Vectors

_NOT_BEST = 0.05
"""Longer dims that are the best multiple are as good as others that are shorter by this part."""


@dataclass(frozen=True)
class Granularity:
    """How long a dim is best.

    Attributes:
        multiples: numbers of which it is to be a multiple, the best first.
        most: the part of all work that may be lost on elements that nobody reads.
        fewest: elements below which it does not matter.
    """

    multiples: tuple[int, ...]
    most: float
    fewest: int = 2

    def longer(self, extent: int) -> list[int]:
        """The lengths that ``extent`` may become, the best first; none if all are too much work."""
        longest = int(extent * (1 + self.most))
        best, least = self.multiples[0], self.multiples[-1]
        found = range(extent + 1, longest + 1)
        fitting = [n for n in found if n % least == 0]
        return sorted(fitting, key=lambda n: n * (1 if n % best == 0 else 1 + _NOT_BEST))

    def fits(self, extent: int) -> bool:
        """Whether a dim is best as it is."""
        return extent < self.fewest or any(extent % n == 0 for n in self.multiples)


_WAY_BYTES = 4096
"""Of a cache of the first level: 64 sets of 64 bytes, as x86 has them; Arm has as many or more."""


@dataclass(frozen=True)
class Cpu:
    """A processor whose threads have caches, vectors and no shared memory of their own.

    It computes in f32: IREE makes no vectors of f16 or bf16 arithmetic.

    Attributes:
        vectors: its vector registers.
    """

    vectors: Vectors = AVX512

    def rows_share_sets(self, pitch: int, *, window: bool) -> bool:
        """Whether the rows of a block, ``pitch`` bytes apart, lie in the same sets of a cache.

        Those of a window are three times as many. Milliseconds of one core, and with 16
        elements more between rows: 196 rows of 3072 into 768, 10.3 and 8.0; 784 of 2048 into
        512, 18.7 and 14.2; of 512, 3.5 and 3.6; 28 x 28 of 3 x 3 x 512 into 512, 44.9 and
        32.3; 14 x 14 of 3 x 3 x 256 into 256, 1.9 and 1.9.
        """
        return pitch % (_WAY_BYTES // 2 if window else _WAY_BYTES) == 0

    @property
    def columns(self) -> Granularity:
        """Of the innermost dim that a contraction computes, of which it has blocks."""
        return Granularity((2 * self.vectors.lanes, self.vectors.lanes), 0.12)

    @property
    def masked_columns(self) -> Granularity | None:
        """Of the same where sums along it do not notice more: they peel the rest."""
        return None


MANY_REGISTERS = 512
"""Of GPUs that are not known to have few: no block of results is as large."""


@dataclass(frozen=True)
class Gpu:
    """A processor of Vulkan: a workgroup's threads share memory, and run in subgroups.

    Attributes:
        subgroup: threads that run in step.
        threads: of a workgroup, at most.
        sizes: of a workgroup in x, y and z, at most.
        shared_memory: bytes that a workgroup can share.
        sums: whether a subgroup adds up a number of each of its threads at once.
        block: numbers of 32 bits that a thread keeps in registers beside its addresses.
        vectors: what a thread loads, stores and computes with at once.
        stores_halves: whether kernels load and store 16 bits.
        computes_halves: whether they multiply and add f16.
    """

    subgroup: int
    threads: int
    sizes: tuple[int, int, int]
    shared_memory: int = 16384
    sums: bool = True
    block: int = MANY_REGISTERS
    vectors: Vectors = SPIRV
    stores_halves: bool = False
    computes_halves: bool = False

    @property
    def columns(self) -> Granularity:
        """Of the innermost dim that a contraction computes: else each is loaded alone."""
        return Granularity((self.vectors.lanes,), 0.25)

    @property
    def masked_columns(self) -> Granularity | None:
        """Of the same where sums along it do not notice more."""
        return Granularity((self.vectors.lanes,), 0.08, fewest=16)


Processor = Cpu | Gpu

EVERY_GPU = Gpu(subgroup=4, threads=128, sizes=(128, 128, 64))
"""What every Vulkan device can do (specification, "Required Limits"); subgroups of 4 are the
smallest known."""
