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

For chains of contractions, which are convolutions, for batches of contractions, and for those
that sum over several loops: left to itself the code generator gives each thread one element.
For softmax and normalizations, whose rows a thread takes alone, or a subgroup:

      lowering_config = #iree_codegen.lowering_config<tile_sizes = [[50, 0], [1, 0], [0, 4]]>,
      translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize>
          workgroup_size = [50, 1, 1]>

Keeps, silently, matrix multiplications, which the code generator tiles as well, what neither
contracts nor sums, and all of CPUs; with a remark what no tiles suit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.gpu_rows import SUBGROUP, gpu_rows
from smartmem.passes.analysis.gpu_tiles import gpu_tiles, is_special
from smartmem.passes.analysis.loops import contracts, loop_nest
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.base import REGION, Pass, PassContext, Workgroups, operations
from smartmem.passes.configure_kernels import ATTRIBUTE, BESIDE


@dataclass(frozen=True)
class ConfigureShaders(Pass):
    """Sets compilation_info on the last contraction of a shader, or the end of its rows."""

    argument = "smartmem-configure-shaders"
    summary = "Tell the code generator the tile sizes of each shader"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures regions with rows, and those in which IREE sees no matrix multiplication."""
        if context.workgroups is None:
            return
        # This build of MLIR does not have the dialects of the attributes.
        module.context.allow_unregistered_dialects = True
        for region in (op for op in operations(module) if op.name == REGION):
            inside = [op.operation for op in region.regions[0].blocks[0].operations]
            if any(map(contracts, inside)):
                self._configure(inside, context, context.workgroups)
            else:
                self._configure_rows(inside, context, context.workgroups)

    def _configure(
        self, inside: Sequence[ir.Operation], context: PassContext, bounds: Workgroups
    ) -> None:
        nests = [(op, nest) for op in inside if (nest := loop_nest(op)) is not None]
        found = [(op, nest) for op, nest in nests if nest.is_contraction]
        if len(found) == 1 and not is_special(found[0][1]):
            return
        root, nest = found[-1]
        tiles = gpu_tiles(nest, bounds)
        if isinstance(tiles, Refusal):
            context.remark(self.argument, root, False, tiles.reason)
            return
        context.remark(self.argument, root, True, f"tiles: {tiles.workgroup}")
        levels = (tiles.workgroup, tiles.thread, tiles.reduction)
        info = _compilation_info("BaseVectorize", levels, tiles.threads)
        root.attributes[ATTRIBUTE] = ir.Attribute.parse(info, root.context)

    def _configure_rows(
        self, inside: Sequence[ir.Operation], context: PassContext, bounds: Workgroups
    ) -> None:
        computing = [op for op in inside if loop_nest(op) is not None]
        rows = gpu_rows(computing, bounds)
        if rows is None:
            return
        *beside, root = computing
        if isinstance(rows, Refusal):
            context.remark(self.argument, root, False, rows.reason)
            return
        who = "a subgroup" if rows.pipeline == SUBGROUP else "a thread"
        context.remark(self.argument, root, True, f"{who} for each row: {rows.tiles[-1]}")
        info = _compilation_info(rows.pipeline, rows.tiles, rows.threads)
        root.attributes[ATTRIBUTE] = ir.Attribute.parse(info, root.context)
        for op in beside if rows.pipeline == SUBGROUP else ():
            # Each operation is distributed alone. Threads with a row of their own share loops.
            op.attributes[BESIDE] = ir.Attribute.parse(_lowering(rows.tiles), root.context)


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
