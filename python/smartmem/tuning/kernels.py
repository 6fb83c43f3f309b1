"""The distinct kernels of a lowered model, each as a module of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch_mlir import ir

from smartmem.backend.regions import use_default_configuration
from smartmem.passes.analysis.kernel_keys import kernel_key
from smartmem.passes.analysis.loops import LoopNest, loop_nest
from smartmem.passes.analysis.movement import shape_of
from smartmem.passes.analysis.tile_sizes import TileSizes
from smartmem.passes.base import REGION, operations
from smartmem.passes.configure_kernels import (
    ATTRIBUTE,
    computing_operations,
    root_of,
    tiles_attribute,
    tiles_of,
)
from smartmem.torch_dialects import load_torch_dialects

_CONSTANT_ELEMENTS = 64  # constants of more are arguments of the module


@dataclass(frozen=True, eq=False)
class KernelCase:
    """One kernel to measure.

    Attributes:
        key: what its choice is filed under.
        runs: how many kernels of the model have this key.
        tiles: the tile sizes that it has.
        nest: the loops of its root.
        region: the kernel, in the lowered model.
        module: the lowered model, which the region is a part of.
    """

    key: str
    runs: int
    tiles: TileSizes
    nest: LoopNest
    region: ir.Operation
    module: ir.Module

    @property
    def name(self) -> str:
        """A short name for people: what it is, and its loops."""
        return " ".join(self.key.split(" ")[:2])

    def write(self, path: Path, tiles: TileSizes) -> None:
        """Writes a module with this kernel alone, its root with ``tiles``."""
        module = _alone(self.region)
        region = next(op for op in operations(module.operation) if op.name == REGION)
        use_default_configuration(region)
        root = root_of(computing_operations(region))
        assert root is not None, "it had one"
        root.attributes[ATTRIBUTE] = tiles_attribute(tiles, root.context)
        with path.open("wb") as file:
            module.operation.write_bytecode(file)


def read_module(bytecode: Path) -> ir.Module:
    """The lowered module in a file."""
    context = ir.Context()
    context.allow_unregistered_dialects = True  # flow and iree_codegen are IREE's
    load_torch_dialects(context)
    return ir.Module.parseFile(str(bytecode), context)


def kernel_cases(module: ir.Module) -> list[KernelCase]:
    """The kernels of ``module`` that have tile sizes, the most frequent work first."""
    found: dict[str, KernelCase] = {}
    for region, root, tiles in _configured(module.operation):
        key = kernel_key(computing_operations(region), root)
        nest = loop_nest(root)
        if nest is None or not all(map(_is_float, _captured(region))):
            continue  # indices cannot be made up
        runs = found[key].runs + 1 if key in found else 1
        found[key] = KernelCase(key, runs, tiles, nest, region, module)
    return sorted(found.values(), key=lambda case: (-case.runs * _work(case.nest), case.key))


def _configured(module: ir.Operation) -> Iterator[tuple[ir.Operation, ir.Operation, TileSizes]]:
    for region in (op for op in operations(module) if op.name == REGION):
        root = root_of(computing_operations(region))
        if root is not None and ATTRIBUTE in root.attributes:
            tiles = tiles_of(root.attributes[ATTRIBUTE])
            if tiles is not None:
                yield region, root, tiles


def _work(nest: LoopNest) -> int:
    return math.prod(nest.domain) * (len(nest.accesses) - 1)


def _is_float(value: ir.Value) -> bool:
    type_ = value.type
    tensor = isinstance(type_, ir.RankedTensorType)
    return tensor and isinstance(type_.element_type, ir.FloatType)


def _captured(region: ir.Operation) -> list[ir.Value]:
    """What the region reads from outside, without small constants."""
    inside = operations(region)
    made = {result for op in inside for result in op.results}
    made |= {a for op in inside for part in op.regions for b in part for a in b.arguments}
    found: dict[ir.Value, None] = {}
    for op in inside:
        for value in op.operands:
            if value not in made and not _is_copied(value):
                found.setdefault(value)
    return list(found)


def _is_copied(value: ir.Value) -> bool:
    """Whether ``value`` is a constant that belongs to the kernel: a scalar or a few."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return False
    if not isinstance(value.type, ir.RankedTensorType):
        return True
    return math.prod(shape_of(value)) <= _CONSTANT_ELEMENTS


def _alone(region: ir.Operation) -> ir.Module:
    """A module whose function takes what the region captures and returns its result."""
    arguments = _captured(region)
    results = [r.type for r in region.results]
    with region.context, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            function = ir.Operation.create(
                "func.func",
                attributes={
                    "sym_name": ir.StringAttr.get("main"),
                    "function_type": ir.TypeAttr.get(
                        ir.FunctionType.get([v.type for v in arguments], results)
                    ),
                },
                regions=1,
            )
        block = function.regions[0].blocks.append(*(v.type for v in arguments))
        with ir.InsertionPoint(block):
            clone = _clone(region, arguments, block.arguments)
            ir.Operation.create("func.return", [], list(clone.results))
    return module


def _clone(
    region: ir.Operation, captured: Sequence[ir.Value], arguments: Sequence[ir.Value]
) -> ir.Operation:
    """The region at the current insertion point, reading ``arguments`` instead."""
    replaced = dict(zip(captured, arguments, strict=True))
    for op in operations(region):
        for value in op.operands:
            if value not in replaced and _is_copied(value):
                replaced[value] = value.owner.operation.clone().results[0]
    clone = region.clone()
    for op in operations(clone):
        for number, value in enumerate(op.operands):
            if value in replaced:
                op.operands[number] = replaced[value]
    return clone
