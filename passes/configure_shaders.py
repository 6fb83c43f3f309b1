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

Where a table of measured tile sizes knows the kernel, its sizes are taken instead, for
matrix multiplications, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.passes.analysis.gpu_tiles import GpuTiles, fits, gpu_tiles, is_special
from smartmem.passes.analysis.kernel_keys import kernel_key
from smartmem.passes.analysis.loops import LoopNest, contracts, loop_nest
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.base import REGION, Pass, PassContext, Workgroups, operations
from smartmem.passes.configure_kernels import ATTRIBUTE

if TYPE_CHECKING:
    from smartmem.tuning.table import Table

_SIZES = r"\[([\d, ]+)\]"
_CONFIGURATION = re.compile(
    rf"tile_sizes = \[{_SIZES}, {_SIZES}, {_SIZES}\].*"
    rf"<BaseVectorize>.*\bworkgroup_size = \[(\d+, \d+, \d+)\]"
)


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
            self._configure(shader_operations(region), context, context.workgroups)

    def _configure(
        self, computing: Sequence[ir.Operation], context: PassContext, bounds: Workgroups
    ) -> None:
        nests = [(op, nest) for op in computing if (nest := loop_nest(op)) is not None]
        found = [(op, nest) for op, nest in nests if nest.is_contraction]
        if not found:
            return
        root, nest = found[-1]
        key = kernel_key(computing, root)
        measured = _measured(key, [n for _, n in found], context.tuning, bounds)
        if measured is None and len(found) == 1 and not is_special(nest):
            return
        tiles = measured or gpu_tiles(nest, bounds)
        if isinstance(tiles, Refusal):
            context.remark(self.argument, root, False, tiles.reason)
            return
        how = ", measured" if measured else ""
        context.remark(self.argument, root, True, f"tiles: {tiles.workgroup}{how}")
        root.attributes[ATTRIBUTE] = shader_attribute(tiles, root.context)


def shader_operations(region: ir.Operation) -> list[ir.Operation]:
    """The operations of a shader that have loops, in order."""
    inside = (op.operation for op in region.regions[0].blocks[0].operations)
    return [op for op in inside if loop_nest(op) is not None]


def shader_root(computing: Sequence[ir.Operation]) -> ir.Operation | None:
    """The operation whose tiles are the shader's: the last contraction, or else the last."""
    found = [op for op in computing if contracts(op)] or computing
    return found[-1] if found else None


def _measured(
    key: str, nests: Sequence[LoopNest], table: Table | None, bounds: Workgroups
) -> GpuTiles | None:
    """The tile sizes that were measured to be faster, if the target can run them."""
    found = None if table is None else table.tiles(key)
    if not isinstance(found, GpuTiles):
        return None
    return found if all(fits(found, nest, bounds) for nest in nests) else None


def shader_tiles_of(attribute: ir.Attribute) -> GpuTiles | None:
    """The tile sizes that ``shader_attribute`` wrote; None for one of another form."""
    match = _CONFIGURATION.search(str(attribute))
    if match is None:
        return None
    workgroup, thread, reduction, (x, y, z) = (
        tuple(map(int, text.split(","))) for text in match.groups()
    )
    return GpuTiles(workgroup, thread, reduction, (x, y, z))


def shader_attribute(tiles: GpuTiles, context: ir.Context) -> ir.Attribute:
    """The ``compilation_info`` of these sizes; the context need not know IREE's dialects."""
    context.allow_unregistered_dialects = True
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
