"""Tell the code generator the tile sizes of a shader.

Rewrites:
  flow.dispatch.region { linalg.generic }  ->  the same with compilation_info on the generic

  linalg.generic {iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ...
    ->
  linalg.generic {...} attrs = {compilation_info = #iree_codegen.compilation_info<
      lowering_config = #iree_codegen.lowering_config<
          tile_sizes = [[1, 64, 64, 0], [1, 16, 4, 0], [0, 0, 0, 4]]>,
      translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize>
          workgroup_size = [16, 4, 1]>>}

Applies to contractions. Why: the code generator gives each thread one element of chains of
contractions (convolutions), of batched contractions and of those over several reduction loops,
gives a workgroup to each result of some narrow ones, and is slower with its tiles for others.

Applies to softmax and normalizations, of which a thread or a subgroup computes a row, and to
sums across rows, of which a thread computes a vector of columns:

      lowering_config = #iree_codegen.lowering_config<tile_sizes = [[50, 0], [1, 0], [0, 4]]>,
      translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize>
          workgroup_size = [50, 1, 1]>

Measured tile sizes of the tuning table replace computed ones. Keeps, with a remark, kernels
without fitting tiles; silently, elementwise kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.loops import (
    LoopNest,
    contracts,
    indexing_maps,
    is_empty,
    loop_nest,
    reduces,
)
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.gpu_rows import SUBGROUP
from smartmem.passes.analysis.tiling.gpu_threads import row_tiles
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles, fits, joint_gpu_tiles
from smartmem.passes.analysis.tiling.kernel_keys import kernel_key
from smartmem.passes.analysis.tiling.tiles_attribute import write_tiles
from smartmem.passes.base import REGION, Pass, PassContext, outer_operations
from smartmem.passes.configure_kernels import ATTRIBUTE, BESIDE

if TYPE_CHECKING:
    from smartmem.tuning.table import Table


@dataclass(frozen=True)
class ConfigureShaders(Pass):
    """Sets compilation_info on the last contraction of a shader, or the end of its rows."""

    argument = "smartmem-configure-shaders"
    summary = "Tell the code generator the tile sizes of each shader"
    runs_on = (Gpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures regions with contractions, and those with rows."""
        gpu = context.gpu
        assert gpu is not None
        # This build of MLIR does not have the dialects of the attributes.
        module.context.allow_unregistered_dialects = True
        for region in context.each(
            [op for op in outer_operations(module) if op.name == REGION]
        ):
            computing = shader_operations(region)
            if any(map(is_empty, computing)):
                context.remark(self.argument, computing[-1], False, "it has no iterations")
            elif any(map(contracts, computing)):
                self._configure(computing, context, gpu)
            else:
                self._configure_rows(computing, context, gpu)

    def _configure(
        self, computing: Sequence[ir.Operation], context: PassContext, gpu: Gpu
    ) -> None:
        nests = [(op, nest) for op in computing if (nest := loop_nest(op)) is not None]
        found = [(op, nest) for op, nest in nests if nest.is_contraction]
        root = found[-1][0]
        contracted = [n for _, n in found]
        measured = _measured(kernel_key(computing, root), contracted, context.tuning, gpu)
        tiles = measured or joint_gpu_tiles(contracted, gpu)
        if isinstance(tiles, Refusal):
            context.remark(self.argument, root, False, tiles.reason)
            return
        how = ", measured" if measured else ""
        context.remark(self.argument, root, True, f"tiles: {tiles.workgroup}{how}")
        configure_shader(root, tiles)

    def _configure_rows(
        self, computing: Sequence[ir.Operation], context: PassContext, gpu: Gpu
    ) -> None:
        found = row_tiles(computing, gpu)
        if found is None:
            return
        *beside, root = computing
        if isinstance(found, Refusal):
            context.remark(self.argument, root, False, found.reason)
            return
        if len(found.tiles[-1]) > indexing_maps(root)[0].n_dims:
            root = next(filter(reduces, computing))  # its end has fewer loops
        context.remark(self.argument, root, True, f"{found.shares}: {found.tiles[-1]}")
        info = _compilation_info(found.pipeline, found.tiles, found.threads)
        root.attributes[ATTRIBUTE] = ir.Attribute.parse(info, root.context)
        for op in beside if found.pipeline == SUBGROUP else ():
            # Each operation is distributed alone. Threads with a row of their own share loops.
            op.attributes[BESIDE] = ir.Attribute.parse(_lowering(found.tiles), root.context)


def shader_operations(region: ir.Operation) -> list[ir.Operation]:
    """The operations of a shader that have loops, in order."""
    inside = (op.operation for op in region.regions[0].blocks[0].operations)
    return [op for op in inside if loop_nest(op) is not None]


def shader_root(computing: Sequence[ir.Operation]) -> ir.Operation | None:
    """The operation whose tiles are the shader's: the last contraction, or else the last."""
    found = [op for op in computing if contracts(op)] or computing
    return found[-1] if found else None


def _measured(
    key: str, nests: Sequence[LoopNest], table: Table | None, gpu: Gpu
) -> GpuTiles | None:
    """The tile sizes that were measured to be faster, if the target can run them."""
    found = None if table is None else table.tiles(key)
    if not isinstance(found, GpuTiles):
        return None
    return found if all(fits(found, nest, gpu) for nest in nests) else None


def configure_shader(op: ir.Operation, tiles: GpuTiles) -> None:
    """Gives ``op`` these sizes; its context need not know IREE's dialects."""
    op.context.allow_unregistered_dialects = True
    write_tiles(op, tiles)
    info = _compilation_info("BaseVectorize", tiles.by_loop, tiles.threads)
    op.attributes[ATTRIBUTE] = ir.Attribute.parse(info, op.context)


def _compilation_info(
    pipeline: str, levels: Sequence[Sequence[int]], threads: Sequence[int]
) -> str:
    """IREE's notation of tile sizes by level, and of the threads of a workgroup."""
    return (
        f"#iree_codegen.compilation_info<lowering_config = {_lowering(levels)}, "
        f"translation_info = <pipeline = #iree_gpu.spirv_pipeline<{pipeline}> "
        f"workgroup_size = {_list(threads)}>>"
    )


def _lowering(levels: Sequence[Sequence[int]]) -> str:
    return f"#iree_codegen.lowering_config<tile_sizes = [{', '.join(map(_list, levels))}]>"


def _list(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"
