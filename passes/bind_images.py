"""Bind storage buffers as texel buffers and 2D images: the texture path of mobile GPUs.

Rewrites, in the kernels that iree-compile has made (phase ``executable-targets``):
  storage buffer that is read only     ->  uniform texel buffer, or sampled 2D image
  storage buffer that is written only  ->  storage texel buffer, or storage 2D image

  spirv.GlobalVariable @in bind(0, 0) :
    !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
  %p = spirv.AccessChain %in[%c0, %i]
  %v = spirv.Load "StorageBuffer" %p : vector<4xf32>
    ->
  spirv.GlobalVariable @in bind(0, 0) :
    !spirv.ptr<!spirv.image<i32, Buffer, ..., NeedSampler, Rgba32ui>, UniformConstant>
  %t = spirv.ImageFetch %in, %i : ... -> vector<4xi32>
  %v = spirv.Bitcast %t : vector<4xi32> to vector<4xf32>

A texel buffer keeps the index of the buffer. A 2D image has the rows of the tensor where column
and row can be derived from the arithmetic of all accesses, and rows of 4096 texels otherwise.
The binding keeps its number and its memory: SmartMem's Vulkan library binds views of it. A
measured storage of the tuning table replaces the option ``reads``.

Keeps, with a remark:
- bindings that are read and written, or can share memory with a written binding;
- bindings at an offset that is known at run time only;
- accesses that are no texel: of 8 bits, and writes of halves;
- bindings larger than the device's images.

It works on IREE's own operations, and so runs in IREE's build of MLIR, apart from the passes of
the pipeline. To tell apart what a kernel binds, the module is compiled with
``--iree-scheduling-optimize-bindings=false``: one binding for each tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from smartmem.errors import PassError
from smartmem.passes.analysis.images.dispatch_ranges import dispatches_of
from smartmem.passes.analysis.images.image_choices import (
    STORAGES,
    ImageBinding,
    ImageChooser,
    ImageLimits,
    Storage,
)
from smartmem.passes.analysis.images.shader_bindings import Binding, Shader, shaders_of
from smartmem.passes.analysis.images.shader_indices import Indices
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.base import BindingRecord, Pass, PassContext
from smartmem.passes.rewrites.images.image_accesses import bind_as_images

if TYPE_CHECKING:
    from iree.compiler import ir


@dataclass(frozen=True)
class BindImages(Pass):
    """Makes images of the storage buffers of compiled kernels."""

    argument = "smartmem-bind-images"
    summary = "Bind the buffers of compiled kernels as texel buffers and images"
    works_on = "kernels"

    reads: str = "texel_buffer"
    """What is only read becomes: buffer, texel_buffer or image2d."""

    writes: str = "buffer"
    """What is only written becomes: buffer, texel_buffer or image2d."""

    max_texels: int = ImageLimits.texel_buffer_elements
    """The device's maxTexelBufferElements."""

    max_size: int = ImageLimits.image_dimension
    """The device's maxImageDimension2D."""

    alignment: int = ImageLimits.texel_buffer_alignment
    """The device's minTexelBufferOffsetAlignment, in bytes."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each kernel; every binding gets a remark.

        Raises:
            PassError: an option has no such value.
        """
        limits = ImageLimits(self.max_texels, self.max_size, self.alignment)
        usual = ImageChooser(self._storage("reads"), self._storage("writes"), limits)
        dispatches = dispatches_of(module)
        for shader in shaders_of(module):
            indices = Indices(shader)
            runs = dispatches.get(shader.entry, [])
            measured = None if shader.group is None else context.storages.get(shader.group)
            chooser = usual if measured is None else replace(usual, reads=measured)
            chosen: list[ImageBinding] = []
            for binding, choice in chooser.choose(shader, runs, indices):
                if isinstance(choice, ImageBinding):
                    chosen.append(choice)
                op = binding.variables[0].op
                record = _record(shader, binding, choice)
                context.remark(self.argument, op, record.storage != "buffer", record.reason)
                context.bindings.append(record)
            bind_as_images(shader, chosen, indices)

    def _storage(self, option: str) -> Storage:
        value = getattr(self, option)
        if value not in STORAGES:
            known = ", ".join(STORAGES)
            raise PassError(self.argument, f"{option}={value} is unknown; use one of {known}")
        return cast(Storage, value)


def _record(shader: Shader, binding: Binding, choice: ImageBinding | Refusal) -> BindingRecord:
    image = choice if isinstance(choice, ImageBinding) else None
    return BindingRecord(
        kernel=shader.entry,
        binding=binding.number,
        storage=image.storage if image else "buffer",
        reads=binding.reads,
        writes=binding.writes,
        texels=image.texels if image else 0,
        rows=image.rows if image else 0,
        columns=image.columns if image else 0,
        reason=choice.reason,
    )
