"""Tell the code generator the tile sizes of a kernel.

Rewrites:
  flow.dispatch.region { linalg.generic }  ->  the same with compilation_info on the generic

For CPUs, sums of products, sums over windows, softmax and normalizations:
  linalg.generic {iterator_types = ["parallel", "parallel", "reduction"]} ...
    ->
  linalg.generic {...} attrs = {compilation_info = #iree_codegen.compilation_info<
      lowering_config = #iree_cpu.lowering_config<distribution = [98, 64, 0],
          vector_common_parallel = [14, 32, 0], vector_reduction = [0, 0, 1]>,
      translation_info = <pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>>}

For GPUs, contractions, of which a thread computes a block, softmax and normalizations, of which
a thread or a subgroup computes a row, and sums across rows, of which a thread computes a vector
of columns:
      lowering_config = #iree_codegen.lowering_config<
          tile_sizes = [[1, 64, 64, 0], [1, 16, 4, 0], [0, 0, 0, 4]]>,
      translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize>
          workgroup_size = [16, 4, 1]>

Sums get the form that has tile sizes. For GPUs, a sum of several products, what the window of a
convolution has become, is contractions, each added to the one before:
  %r[h, w, o] += %x00[h, w, c] * %k00[c, o] + %x01[h, w, c] * %k01[c, o] + ...
    ->
  %0[h, w, o] += %x00[h, w, c] * %k00[c, o]
  %1[h, w, o] += %x01[h, w, c] * %k01[c, o]      and so on, from %0 to %1 to %r

For CPUs, the scale of a contraction's rows (squeeze-excite) is one of its weights:
  %y[m, k] = %x[m, k] * %s[k]; region { %r[m, n] = sum over k of %y[m, k] * %w[k, n] }
    ->
  region { %v[k, n] = %s[k] * %w[k, n]; %r = linalg.contract %x, %v }

Why: on CPUs the code generator's own blocks spill registers or leave them unused. On GPUs it
gives each thread one element of chains of contractions (convolutions), of batched contractions
and of those over several reduction loops, gives a workgroup to each result of some narrow ones,
and is slower with its tiles for others; it makes vectors of a contraction of two operands, and
scalar code of a sum of several products. On CPUs that is the other way round. Measured tile
sizes of the tuning table replace computed ones. A scale of weights is no kernel of its own, and
the scaled rows are not stored; the contraction becomes a named operation, as iree-compile 3.13
puts the factor into the body of a generic one and then does not vectorize it.

Keeps, with a remark, kernels without fitting tiles, scales of few rows, rows with other readers,
and scales of kernels that compute several sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.kernel_forms import form_of
from smartmem.passes.analysis.tiling.kernel_keys import kernel_key
from smartmem.passes.analysis.tiling.kernel_tiles import (
    KernelTiles,
    can_have,
    kernel_tiles,
    looping_operations,
    root_of,
)
from smartmem.passes.analysis.tiling.tiles import Tiles
from smartmem.passes.analysis.tiling.tiles_attribute import write_tiles
from smartmem.passes.base import REGION, Pass, PassContext, outer_operations
from smartmem.passes.rewrites.loops.write_form import write_form

ATTRIBUTE = "compilation_info"

# Of what a kernel computes beside its root: it shares the root's workgroups.
BESIDE = "lowering_config"


@dataclass(frozen=True)
class ConfigureKernels(Pass):
    """Sets compilation_info on the operation that a kernel's workgroups share out."""

    argument = "smartmem-configure-kernels"
    summary = "Tell the code generator the tile sizes of each kernel"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Configures each region for the target, or says why it is left to IREE."""
        regions = [op for op in outer_operations(module) if op.name == REGION]
        for region in context.each(regions):
            self._form(region, context)
            if looping := looping_operations(region):
                self._configure(looping, context)

    def _form(self, region: ir.Operation, context: PassContext) -> None:
        """Brings the sums of a kernel into the form that has tile sizes."""
        looping = looping_operations(region)
        for op in looping:
            found = form_of(op, looping, context.processor)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                context.remark(self.argument, op, True, str(found))
                write_form(found)

    def _configure(self, looping: Sequence[ir.Operation], context: PassContext) -> None:
        found = kernel_tiles(looping, context.processor)
        if isinstance(found, Refusal):
            context.remark(self.argument, root_of(looping) or looping[-1], False, found.reason)
            return
        *_, root = found
        measured = _measured(looping, root, context) if len(found) == 1 else None
        how = ", measured" if measured else ""
        context.remark(self.argument, root, True, f"{measured or found[root]}{how}")
        configure({root: measured} if measured else found)


def _measured(
    looping: Sequence[ir.Operation], root: ir.Operation, context: PassContext
) -> Tiles | None:
    """The tile sizes that were measured to be faster, if the target can run them."""
    tuning = context.tuning
    found = None if tuning is None else tuning.tiles(kernel_key(looping, root))
    return found if found and can_have(found, looping, context.processor) else None


def configure(tiles: KernelTiles) -> None:
    """Gives operations of a kernel these sizes; their context need not know IREE's dialects."""
    *beside, (root, sizes) = tiles.items()
    # This build of MLIR does not have the dialects of the attributes.
    root.context.allow_unregistered_dialects = True
    if not beside:
        write_tiles(root, sizes)
    root.attributes[ATTRIBUTE] = ir.Attribute.parse(
        f"#iree_codegen.compilation_info<lowering_config = {sizes.lowering()}, "
        f"translation_info = {sizes.translation}>",
        root.context,
    )
    for op, shared in beside:
        lowering = shared.lowering(is_root=False)
        op.attributes[BESIDE] = ir.Attribute.parse(lowering, op.context)
