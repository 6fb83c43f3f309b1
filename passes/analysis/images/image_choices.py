"""Which bindings of a kernel are read and written as images, and why the others are not.

A texel is 4, 8 or 16 bytes, held as whole numbers: no texture unit changes the bits of a
NaN or a denormal then, and packed halves are bits like all others. An access of as many
bytes is one fetch, whatever its type; a scalar of 16 bits is one half of a texel. Scalars
have texels of their own size, so that no component is to be selected; they are read
through wider texels only where the device's texel buffers have too few elements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from iree.compiler import ir

from smartmem.index_map.expr import Dim, Expr, atoms, floordiv, mod
from smartmem.passes.analysis.images.dispatch_ranges import Dispatch, overlaps
from smartmem.passes.analysis.images.shader_bindings import Access, Binding, Shader, Variable
from smartmem.passes.analysis.images.shader_indices import Indices
from smartmem.passes.analysis.ir.movement import Refusal

Storage = Literal["buffer", "texel_buffer", "image2d"]
STORAGES: tuple[Storage, ...] = ("buffer", "texel_buffer", "image2d")

ROW = 4096
"""Texels in a row of an image whose tensor tells no better width."""

# What every Vulkan device can bind to one stage (maxPerStageDescriptorSampledImages,
# maxPerStageDescriptorStorageImages).
_MOST_READ, _MOST_WRITTEN = 16, 4

_TEXELS = (4, 8, 16)
_HALF = 2
_ROW_BYTES = 64  # rows of other sizes are padded by drivers, and would have to be copied

# Without these, SPIR-V can load and store a type but not cast it.
_CAPABILITIES = {"f16": "Float16", "i16": "Int16", "i64": "Int64", "f64": "Float64"}


@dataclass(frozen=True)
class ImageLimits:
    """What a device's images can hold, by default what every Vulkan device can.

    Attributes:
        texel_buffer_elements: Vulkan's ``maxTexelBufferElements``.
        image_dimension: ``maxImageDimension2D``.
        texel_buffer_alignment: ``minTexelBufferOffsetAlignment``, in bytes.
    """

    texel_buffer_elements: int = 65536
    image_dimension: int = 4096
    texel_buffer_alignment: int = 256


@dataclass(frozen=True)
class View:
    """How the accesses through one variable become those of an image.

    Attributes:
        variable: the variable.
        texel: bytes of a texel; as many as an access has, or more.
        row: texels in a row of a 2D image; None for a texel buffer.
    """

    variable: Variable
    texel: int
    row: int | None


@dataclass(frozen=True)
class ImageBinding:
    """A binding that becomes an image.

    Attributes:
        binding: the binding.
        storage: which kind of image.
        views: one for each variable.
        length: the most bytes that a dispatch binds.
    """

    binding: Binding
    storage: Storage
    views: tuple[View, ...]
    length: int

    @property
    def is_written(self) -> bool:
        """Whether the kernel writes it; else it reads it."""
        return self.binding.writes > 0

    @property
    def texels(self) -> int:
        """The most texels of a view."""
        return max(-(-self.length // view.texel) for view in self.views)

    @property
    def rows(self) -> int:
        """The most rows of a 2D image; 0 for a texel buffer."""
        counts = [(-(-self.length // view.texel), view.row) for view in self.views]
        return max(-(-count // row) if row else 0 for count, row in counts)

    @property
    def columns(self) -> int:
        """The most texels in a row; 0 for a texel buffer."""
        return max(view.row or 0 for view in self.views)

    @property
    def reason(self) -> str:
        """How the binding is accessed, for the report."""
        words = sorted({view.texel for view in self.views})
        texels = " and ".join(f"{texel}" for texel in words)
        use = "written" if self.is_written else "read"
        return f"{use} as a {self.storage}, texels of {texels} bytes"


@dataclass(frozen=True)
class ImageChooser:
    """Chooses for the bindings of a module.

    Attributes:
        reads: what bindings become that are only read.
        writes: what bindings become that are only written.
        limits: those of the device.
    """

    reads: Storage
    writes: Storage
    limits: ImageLimits

    def choose(
        self, shader: Shader, dispatches: Sequence[Dispatch], indices: Indices
    ) -> Iterator[tuple[Binding, ImageBinding | Refusal]]:
        """A choice for each binding of ``shader``, in order."""
        left = {"read": _MOST_READ, "written": _MOST_WRITTEN}
        for binding in shader.bindings:
            found = self._choose(shader, binding, dispatches, indices)
            if isinstance(found, ImageBinding):
                use = "written" if found.is_written else "read"
                if left[use] < len(found.views):
                    found = Refusal("a kernel can bind no more images on every device")
                else:
                    left[use] -= len(found.views)
            yield binding, found

    def _choose(
        self,
        shader: Shader,
        binding: Binding,
        dispatches: Sequence[Dispatch],
        indices: Indices,
    ) -> ImageBinding | Refusal:
        reason = _unsafe_because(binding, dispatches) or _unfit_because(shader, binding)
        if reason is not None:
            return Refusal(reason)
        wanted = self.writes if binding.writes else self.reads
        length = max(dispatch[binding.number].length or 0 for dispatch in dispatches)
        offsets = [dispatch[binding.number].offset or 0 for dispatch in dispatches]
        if wanted == "buffer":
            return Refusal(
                f"{'written' if binding.writes else 'read'} as a buffer on this target"
            )
        if wanted == "texel_buffer":
            if any(offset % self.limits.texel_buffer_alignment for offset in offsets):
                return Refusal("no texel buffer of this device can start where it starts")
            if (views := self._texel_buffer(binding, length)) is not None:
                return ImageBinding(binding, "texel_buffer", views, length)
        if (views := self._image(binding, length, indices)) is not None:
            return ImageBinding(binding, "image2d", views, length)
        return Refusal(f"{length} bytes are more than an image of this device can hold")

    def _texel_buffer(self, binding: Binding, length: int) -> tuple[View, ...] | None:
        views = []
        for variable in binding.variables:
            texels = [
                texel
                for texel in _texels(variable)
                if -(-length // texel) <= self.limits.texel_buffer_elements
            ]
            if not texels:
                return None
            views.append(View(variable, texels[0], None))
        return tuple(views)

    def _image(
        self, binding: Binding, length: int, indices: Indices
    ) -> tuple[View, ...] | None:
        views = []
        for variable in binding.variables:
            texel = _texels(variable)[0]
            count = -(-length // texel)
            row = self._row(variable, texel, count, indices)
            if -(-count // row) > self.limits.image_dimension:
                return None
            views.append(View(variable, texel, row))
        return tuple(views)

    def _row(self, variable: Variable, texel: int, count: int, indices: Indices) -> int:
        """The width of the tensor's rows if all accesses know where they are in a row."""
        accesses = (*variable.loads, *variable.stores)
        exprs = [texel_index(access, variable, texel, count, indices) for access in accesses]
        # Unrolled accesses differ in constants: their common factor can be a row, too.
        widths = {abs(c) for expr in exprs for _, c in expr.terms}
        widths.add(math.gcd(*(expr.const for expr in exprs)))
        most = self.limits.image_dimension
        for width in sorted(width for width in widths if 1 < width < count):
            fits = width <= most and -(-count // width) <= most
            if not fits or width * texel % _ROW_BYTES:
                continue
            if all(_splits(expr, width, indices) for expr in exprs):
                return width
        return min(ROW, most)


def texel_index(
    access: Access, variable: Variable, texel: int, count: int, indices: Indices
) -> Expr:
    """Which of ``count`` texels an access reads or writes."""
    ratio = texel // variable.bytes
    expr = indices.expression(access.index, count * ratio)
    return floordiv(expr, ratio, indices.shape)


def _splits(expr: Expr, width: int, indices: Indices) -> bool:
    """Whether row and column of ``expr`` need no more divisions than it has itself."""
    have = _divisions(expr)
    parts = floordiv(expr, width, indices.shape), mod(expr, width, indices.shape)
    return all(_divisions(part) <= have for part in parts)


def _divisions(expr: Expr) -> set[object]:
    return {atom for atom in atoms(expr) if not isinstance(atom, Dim)}


def _texels(variable: Variable) -> list[int]:
    """The texel sizes through which a variable can be accessed, the best first."""
    natural = max(variable.bytes, min(_TEXELS))
    if variable.stores:  # a write replaces all of a texel
        return [natural]
    return [texel for texel in _TEXELS if texel >= natural]


def _unsafe_because(binding: Binding, dispatches: Sequence[Dispatch]) -> str | None:
    """Why a binding's memory must stay a buffer, or None."""
    ranges = [dispatch[binding.number] for dispatch in dispatches]
    if not ranges:
        return "no dispatch says which bytes it binds"
    if (binding.reads and binding.writes) or any(r.is_read and r.is_written for r in ranges):
        return "it is read and written"
    if any(r.offset is None or r.length is None for r in ranges):
        return "which bytes it binds is known when running only"
    if any(overlaps(dispatch, binding.number) for dispatch in dispatches):
        return "it can share memory with another binding, and one of the two is written"
    return None


def _unfit_because(shader: Shader, binding: Binding) -> str | None:
    """Why a binding's accesses cannot be those of an image, or None."""
    capabilities = re.findall(r"\w+", str(shader.module.attributes["vce_triple"]))
    for variable in binding.variables:
        if variable.element is None:
            return "it is no array of elements"
        if variable.other is not None:
            return f"it is used by {variable.other}"
        if variable.bytes not in (_HALF, *_TEXELS):
            return f"an access of {variable.bytes} bytes is no texel"
        if variable.bytes == _HALF and variable.stores:
            return "two halves would share a texel"
        if any(str(a.index.type) != "i32" for a in (*variable.loads, *variable.stores)):
            return "its indices have not 32 bits"
        scalar = _scalar(variable.element)
        if _CAPABILITIES.get(scalar, "Shader") not in capabilities:
            return f"the kernel cannot cast {scalar}"
    return None


def _scalar(element: ir.Type) -> str:
    return str(element.element_type if isinstance(element, ir.VectorType) else element)
