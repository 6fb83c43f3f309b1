"""Tell the code generator the tile sizes of a kernel.

Rewrites:
  flow.dispatch.region { linalg.generic }  ->  the same with compilation_info on the generic

  linalg.generic {iterator_types = ["parallel", "parallel", "reduction"]} ...
    ->
  linalg.generic {...} attrs = {compilation_info = #iree_codegen.compilation_info<
      lowering_config = #iree_cpu.lowering_config<distribution = [98, 64, 0],
          vector_common_parallel = [14, 32, 0], vector_reduction = [0, 0, 1]>,
      translation_info = <pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>>}

For contractions whose weights lie as vectors are loaded, sums over windows, and row-wise
kernels: softmax and normalizations. Left to itself the code generator takes blocks that spill or that leave registers unused.

Keeps the other kernels, with a remark, and all of targets other than CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.loops import loop_nest
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.tile_sizes import TileSizes, joint_tiles, pooled_tiles, row_tiles
from smartmem.passes.analysis.window_sums import is_window_sum
from smartmem.passes.base import REGION, Pass, PassContext, operations
from smartmem.vectors import Vectors

ATTRIBUTE = "compilation_info"

# Of what a kernel computes beside its root: it shares the root's workgroups.
BESIDE = "lowering_config"

_COMPUTING = ("linalg.generic", "linalg.matmul", "linalg.batch_matmul")


@dataclass(frozen=True)
class ConfigureKernels(Pass):
    """Sets compilation_info on the operation that does most of a kernel's work."""

    argument = "smartmem-configure-kernels"
    summary = "Tell the code generator the tile sizes of each kernel"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures each region with contractions or a window, or with rows."""
        if context.shared_memory is not None:
            return
        # This build of MLIR does not have the dialects of the attributes.
        module.context.allow_unregistered_dialects = True
        for region in (op for op in operations(module) if op.name == REGION):
            inside = [op.operation for op in region.regions[0].blocks[0].operations]
            computing = [op for op in inside if op.name in _COMPUTING]
            if not computing:
                continue
            found = _tiles(computing, context.vectors)
            if isinstance(found, Refusal):
                context.remark(self.argument, computing[-1], False, found.reason)
                continue
            *beside, root = found
            context.remark(self.argument, root, True, f"tiles: {found[root].workgroup}")
            root.attributes[ATTRIBUTE] = _compilation_info(found[root], module.context)
            for op in beside:
                op.attributes[BESIDE] = ir.Attribute.parse(_config(found[op]), module.context)


def _tiles(
    computing: Sequence[ir.Operation], vectors: Vectors
) -> dict[ir.Operation, TileSizes] | Refusal:
    """The tiles of what does most of a kernel's work; the last one's are the kernel's."""
    roots = [op for op in computing if _multiplies_or_slides(op)]
    if not roots:
        rows = row_tiles(computing, vectors.lanes)
        return rows if isinstance(rows, Refusal) else {computing[-1]: rows}
    nests = [nest for op in computing if (nest := loop_nest(op)) is not None]
    if not any(nest.reductions for nest in nests) and not all(n.keeps_order for n in nests):
        # iree-compile 3.13 fails: it distributes by the last operation.
        return Refusal("what is behind it writes in another order")
    pooled = pooled_tiles(computing, vectors)
    return joint_tiles(roots, vectors) if isinstance(pooled, Refusal) else pooled


def _multiplies_or_slides(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and (nest.is_contraction or is_window_sum(op))


def _compilation_info(tiles: TileSizes, context: ir.Context) -> ir.Attribute:
    workgroup = f"distribution = {_list(tiles.workgroup)}, "
    pipeline = "<pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>"
    return ir.Attribute.parse(
        f"#iree_codegen.compilation_info<lowering_config = {_config(tiles, workgroup)}, "
        f"translation_info = {pipeline}>",
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
