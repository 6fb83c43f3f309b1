"""How a kernel of a GPU should read what it only reads: as a buffer, texel buffer or image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.images.image_choices import Storage
from smartmem.tuning.kernels import KernelCase
from smartmem.tuning.measure import MARGIN, Bench
from smartmem.tuning.table import Measured


@dataclass(frozen=True)
class ShaderChoices:
    """What a session may choose for the kernels of a GPU.

    Attributes:
        gpu: the processor.
        storage: how kernels read what they only read, where nothing was measured.
        storages: the others, to be measured; none where the library for them is missing.
    """

    gpu: Gpu
    storage: Storage
    storages: tuple[Storage, ...]


def with_storage(
    found: Measured, case: KernelCase, choices: ShaderChoices, bench: Bench, folder: Path
) -> Measured:
    """What was found for a kernel, with the storage that it should read through.

    That is the usual one unless another gives the same bits in clearly less time, twice.
    """
    source = folder / "storage.mlirbc"
    case.write(source, found.tiles)
    own = bench.compile_storage(source, choices.storage)
    seconds = None if own is None else bench.seconds(own)
    if own is None or seconds is None:
        return replace(found, storage=choices.storage)
    ratios = _ratios(source, own, choices, bench)
    best = min(ratios, key=ratios.__getitem__)
    return replace(
        found,
        storage=best if ratios[best] < 1 - MARGIN else choices.storage,
        storage_seconds={s: ratio * seconds for s, ratio in sorted(ratios.items())},
    )


def _ratios(
    source: Path, own: Path, choices: ShaderChoices, bench: Bench
) -> dict[Storage, float]:
    """The time through each storage over that through the usual one; of the best, the
    larger of two."""
    files = {storage: bench.compile_storage(source, storage) for storage in choices.storages}
    measured = bench.ratios(own, list(files.values()), exact=True)
    ratios: dict[Storage, float] = {choices.storage: 1.0}
    ratios |= {s: r for s, r in zip(files, measured, strict=True) if r is not None}
    best = min(ratios, key=ratios.__getitem__)
    if ratios[best] < 1 - MARGIN:
        again = bench.ratios(own, [files[best]], exact=True)[0]
        ratios[best] = max(ratios[best], again if again is not None else 1.0)
    return ratios
