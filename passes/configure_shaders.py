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

Keeps, silently, matrix multiplications, which the code generator tiles as well, and all of
CPUs; with a remark what no tiles suit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.gpu_tiles import GpuTiles, is_special, joint_gpu_tiles
from smartmem.passes.analysis.loops import loop_nest
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.base import REGION, Pass, PassContext, Workgroups, operations
from smartmem.passes.configure_kernels import ATTRIBUTE


@dataclass(frozen=True)
class ConfigureShaders(Pass):
    """Sets compilation_info on the last contraction of a shader."""

    argument = "smartmem-configure-shaders"
    summary = "Tell the code generator the tile sizes of each shader"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures each region in which IREE does not see a matrix multiplication."""
        if context.workgroups is None:
            return
        # This build of MLIR does not have the dialects of the attributes.
        module.context.allow_unregistered_dialects = True
        for region in (op for op in operations(module) if op.name == REGION):
            inside = [op.operation for op in region.regions[0].blocks[0].operations]
            self._configure(inside, context, context.workgroups)

    def _configure(
        self, inside: Sequence[ir.Operation], context: PassContext, bounds: Workgroups
    ) -> None:
        nests = [(op, nest) for op in inside if (nest := loop_nest(op)) is not None]
        found = [(op, nest) for op, nest in nests if nest.is_contraction]
        if not found or (len(found) == 1 and not is_special(found[0][1])):
            return
        root = found[-1][0]
        tiles = joint_gpu_tiles([nest for _, nest in found], bounds)
        if isinstance(tiles, Refusal):
            context.remark(self.argument, root, False, tiles.reason)
            return
        context.remark(self.argument, root, True, f"tiles: {tiles.workgroup}")
        root.attributes[ATTRIBUTE] = _compilation_info(tiles, root.context)


def _compilation_info(tiles: GpuTiles, context: ir.Context) -> ir.Attribute:
    sizes = ", ".join(map(_list, (tiles.workgroup, tiles.thread, tiles.reduction)))
    return ir.Attribute.parse(
        "#iree_codegen.compilation_info<"
        f"lowering_config = #iree_codegen.lowering_config<tile_sizes = [{sizes}]>, "
        "translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> "
        f"workgroup_size = {_list(tiles.threads)}>>",
        context,
    )


def _list(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"
