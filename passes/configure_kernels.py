"""Tell the code generator the tile sizes of a kernel.

Rewrites:
  flow.dispatch.region { linalg.generic }  ->  the same with compilation_info on the generic

  linalg.generic {iterator_types = ["parallel", "parallel", "reduction"]} ...
    ->
  linalg.generic {...} attrs = {compilation_info = #iree_codegen.compilation_info<
      lowering_config = #iree_cpu.lowering_config<distribution = [98, 64, 0],
          vector_common_parallel = [14, 32, 0], vector_reduction = [0, 0, 1]>,
      translation_info = <pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>>}

Applies to contractions with packed weights, sums over windows, softmax and normalizations, on
CPUs. Why: the code generator's own blocks spill registers or leave them unused. Measured tile
sizes of the tuning table replace computed ones.

Keeps other kernels, with a remark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.ir.loops import is_empty, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.cpu_multi_reductions import (
    joint_tiles,
    operand_tiles,
    pooled_tiles,
)
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes, row_tiles
from smartmem.passes.analysis.tiling.kernel_keys import kernel_key
from smartmem.passes.analysis.tiling.tiles_attribute import write_tiles
from smartmem.passes.base import REGION, Pass, PassContext, outer_operations

if TYPE_CHECKING:
    from smartmem.tuning.table import Table

ATTRIBUTE = "compilation_info"

# Of what a kernel computes beside its root: it shares the root's workgroups.
BESIDE = "lowering_config"

_PEELING = "enable_loop_peeling"

_COMPUTING = ("linalg.generic", "linalg.matmul", "linalg.batch_matmul", "linalg.contract")


@dataclass(frozen=True)
class ConfigureKernels(Pass):
    """Sets compilation_info on the operation that does most of a kernel's work."""

    argument = "smartmem-configure-kernels"
    summary = "Tell the code generator the tile sizes of each kernel"
    runs_on = (Cpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures each region with contractions or a window, or with rows."""
        # This build of MLIR does not have the dialects of the attributes.
        module.context.allow_unregistered_dialects = True
        for region in context.each(
            [op for op in outer_operations(module) if op.name == REGION]
        ):
            computing = computing_operations(region)
            if not computing:
                continue
            if any(map(is_empty, computing)):
                context.remark(self.argument, computing[-1], False, "it has no iterations")
                continue
            found = _tiles(computing, context.vectors)
            if isinstance(found, Refusal):
                context.remark(self.argument, computing[-1], False, found.reason)
                continue
            *beside, root = found
            measured = None if beside else _measured(root, computing, context.tuning)
            tiles = measured or found[root]
            how = ", measured" if measured else ""
            context.remark(self.argument, root, True, f"tiles: {tiles.workgroup}{how}")
            configure(root, tiles)
            for op in beside:
                op.attributes[BESIDE] = ir.Attribute.parse(_config(found[op]), module.context)


def computing_operations(region: ir.Operation) -> list[ir.Operation]:
    """The operations of a kernel that tile sizes can be for, in order."""
    inside = (op.operation for op in region.regions[0].blocks[0].operations)
    return [op for op in inside if op.name in _COMPUTING]


def root_of(computing: Sequence[ir.Operation]) -> ir.Operation | None:
    """The operation that does most of a kernel's work, or the last; None if several do."""
    roots = [op for op in computing if _multiplies_or_slides(op)]
    if len(roots) > 1 or not computing:
        return None
    return roots[0] if roots else computing[-1]


def _measured(
    root: ir.Operation, computing: Sequence[ir.Operation], table: Table | None
) -> TileSizes | None:
    """The tile sizes that were measured to be faster than the computed ones."""
    found = None if table is None else table.tiles(kernel_key(computing, root))
    nest = loop_nest(root)
    if not isinstance(found, TileSizes) or nest is None:
        return None
    return found if len(found.vector) == len(nest.domain) else None


def _tiles(
    computing: Sequence[ir.Operation], vectors: Vectors
) -> dict[ir.Operation, TileSizes] | Refusal:
    """The tiles of what does most of a kernel's work; the last one's are the kernel's."""
    roots = [op for op in computing if _multiplies_or_slides(op)]
    if not roots:
        rows = row_tiles(computing, vectors)
        return rows if isinstance(rows, Refusal) else {computing[-1]: rows}
    nests = [nest for op in computing if (nest := loop_nest(op)) is not None]
    if not any(nest.reductions for nest in nests) and not all(n.keeps_order for n in nests):
        # iree-compile 3.13 fails: it distributes by the last operation.
        return Refusal("what is behind it writes in another order")
    pooled = pooled_tiles(computing, vectors)
    found = joint_tiles(roots, vectors) if isinstance(pooled, Refusal) else pooled
    return found if isinstance(found, Refusal) else {**operand_tiles(found), **found}


def _multiplies_or_slides(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and (nest.is_contraction or is_window_sum(op))


def configure(op: ir.Operation, tiles: TileSizes) -> None:
    """Gives ``op`` these sizes; its context need not know IREE's dialects."""
    write_tiles(op, tiles)
    op.attributes[ATTRIBUTE] = _compilation_info(tiles, op.context)


def _compilation_info(tiles: TileSizes, context: ir.Context) -> ir.Attribute:
    context.allow_unregistered_dialects = True
    workgroup = f"distribution = {_list(tiles.workgroup)}, "
    pipeline = "pipeline = #iree_cpu.pipeline<DoubleTilingExpert>"
    configuration = f", {{{_PEELING}}}" if tiles.peeled else ""
    return ir.Attribute.parse(
        f"#iree_codegen.compilation_info<lowering_config = {_config(tiles, workgroup)}, "
        f"translation_info = <{pipeline}{configuration}>>",
        context,
    )


def _config(tiles: TileSizes, workgroup: str = "") -> str:
    """``tiles`` in IREE's notation."""
    return (
        f"#iree_cpu.lowering_config<{workgroup}"
        f"vector_common_parallel = {_list(tiles.vector)}, "
        f"vector_reduction = {_list(tiles.reduction)}>"
    )


def _list(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"
