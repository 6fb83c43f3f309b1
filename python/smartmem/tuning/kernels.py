"""The distinct kernels of a lowered model, each as a module of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from torch_mlir import ir

from smartmem.backend.iree_compile.regions import use_default_configuration
from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import LoopNest, contracts, loop_nest
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles, gpu_tiles
from smartmem.passes.analysis.tiling.kernel_keys import kernel_key
from smartmem.passes.analysis.tiling.kernel_tiles import looping_operations, root_of
from smartmem.passes.analysis.tiling.tiles_attribute import read_tiles
from smartmem.passes.base import REGION, operations
from smartmem.passes.configure_kernels import ATTRIBUTE, configure
from smartmem.tuning.alone import alone, captured, constants, indices, is_float
from smartmem.tuning.table import Tiles


@dataclass(frozen=True, eq=False)
class KernelCase:
    """One kernel to measure.

    Attributes:
        key: what its choice is filed under.
        runs: how many kernels of the model have this key.
        tiles: the tile sizes that it has; None: they are IREE's choice, or have another form.
        start: the tile sizes from which a search starts; None: it can have no others.
        root: the operation that the tile sizes are for.
        nest: its loops.
        region: the kernel, in the lowered model.
        module: the lowered model, which the region is a part of.
    """

    key: str
    runs: int
    tiles: Tiles | None
    start: Tiles | None
    root: ir.Operation
    nest: LoopNest
    region: ir.Operation
    module: ir.Module

    @property
    def name(self) -> str:
        """A short name for people: what it is, and its loops."""
        return " ".join(self.key.split(" ")[:2])

    @property
    def weights(self) -> tuple[int, ...]:
        """The arguments, of the module with the kernel alone, that are constants here."""
        return constants([self.region])

    def write(self, path: Path, tiles: Tiles | None) -> None:
        """Writes a module with this kernel alone, its root with ``tiles``."""
        module = alone([self.region]).module
        region = next(op for op in operations(module.operation) if op.name == REGION)
        if tiles is not None and tiles != self.tiles:
            _configure(region, tiles)
        with path.open("wb") as file:
            module.operation.write_bytecode(file)


def kernel_cases(module: ir.Module, gpu: Gpu | None = None) -> list[KernelCase]:
    """The kernels of ``module`` that can be tuned, the most frequent work first.

    Args:
        gpu: of the workgroups of a GPU, where tiles are not all there is to choose: then
            it is all kernels. On a CPU, those that have tile sizes.
    """
    found: dict[str, KernelCase] = {}
    for region in (op for op in operations(module.operation) if op.name == REGION):
        case = _case(region, module, gpu)
        if case is None or indices([region]) or not all(map(is_float, captured([region]))):
            continue  # what it computes depends on the indices
        runs = found[case.key].runs + 1 if case.key in found else 1
        found[case.key] = replace(case, runs=runs)
    return sorted(found.values(), key=lambda case: (-case.runs * _work(case.nest), case.key))


def _case(region: ir.Operation, module: ir.Module, gpu: Gpu | None) -> KernelCase | None:
    looping = looping_operations(region)
    root = root_of(looping)
    nest = loop_nest(root) if root is not None else None
    if root is None or nest is None:
        return None
    tiles = read_tiles(root)
    if tiles is None and gpu is None:
        return None
    key = kernel_key(looping, root)
    if gpu is not None and len({loop_nest(op) for op in looping if contracts(op)}) != 1:
        return KernelCase(key, 1, None, None, root, nest, region, module)
    start = tiles if tiles or gpu is None else _start(root, nest, gpu)
    return KernelCase(key, 1, tiles, start, root, nest, region, module)


def _start(root: ir.Operation, nest: LoopNest, gpu: Gpu) -> GpuTiles | None:
    """What a contraction without tile sizes of any form could have."""
    computed = gpu_tiles(nest, gpu)
    configured = ATTRIBUTE in root.attributes
    return computed if isinstance(computed, GpuTiles) and not configured else None


def _configure(region: ir.Operation, tiles: Tiles) -> None:
    """Gives the root of a kernel tile sizes, and nothing else in it any."""
    use_default_configuration(region)
    root = root_of(looping_operations(region))
    assert root is not None, "it had one"
    configure({root: tiles})


def _work(nest: LoopNest) -> int:
    return math.prod(nest.domain) * nest.output
