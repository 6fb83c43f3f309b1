"""Attributes of the ``smartmem`` dialect: layouts and classification results.

The classes' annotations are read when the classes are made, so this module cannot
postpone their evaluation (no ``from __future__ import annotations``).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Union

from torch_mlir import ir

from smartmem.dialect.base import SmartMem
from smartmem.errors import InvalidInputError
from smartmem.index_map import Shape
from smartmem.index_map.physical_layout import (
    PhysicalLayout,
    format_primitives,
    parse_primitives,
    physical_layout,
)
from smartmem.index_map.primitives import Primitive

# Operator groups (SmartMem, table 3): does the operator's speed depend on its input's
# layout (ILD) or not (ILI), and is the layout it writes free to choose (variable)?
ILD_VARIABLE = "ild_variable"
ILD_FIXED = "ild_fixed"
ILI_VARIABLE = "ili_variable"
ILI_FIXED = "ili_fixed"
GROUPS = (ILD_VARIABLE, ILI_VARIABLE, ILD_FIXED, ILI_FIXED)

# Mapping types (DNNFusion, table 2), from the simplest to the most complex.
ONE_TO_ONE = "one_to_one"
REORGANIZE = "reorganize"
SHUFFLE = "shuffle"
ONE_TO_MANY = "one_to_many"
MANY_TO_MANY = "many_to_many"
MAPPINGS = (ONE_TO_ONE, REORGANIZE, SHUFFLE, ONE_TO_MANY, MANY_TO_MANY)

# Where a tensor lives, and the physical dims its layout must name, in this order.
STORAGE_TEXEL_DIMS: dict[str, tuple[str, ...]] = {
    "buffer": (),
    "texel_buffer": ("x", "lane"),
    "image2d": ("x", "y", "lane"),
}
LANES = 4


def _one_of(values: Iterable[str]) -> Any:
    """The constraint that a parameter is one of these strings, checked by MLIR."""
    return Union[tuple(ir.StringAttr[value] for value in values)]  # noqa: UP007


class GroupAttr(SmartMem.Attribute, name="group"):
    """``#smartmem.group<"ild_variable">``: the operator group of an operation."""

    value: _one_of(GROUPS)


class MappingAttr(SmartMem.Attribute, name="mapping"):
    """``#smartmem.mapping<"shuffle">``: the mapping type of an operation."""

    value: _one_of(MAPPINGS)


class LayoutAttr(SmartMem.Attribute, name="layout"):
    """How a tensor lies in memory; carried as the encoding of its type.

    ``#smartmem.layout<"split(1, 8, 4) reorder(1, 0, 2)", "image2d", [0, 1, 2]>``

    ``primitives`` are the steps from the tensor's shape to that in memory, row-major
    (``split``, ``reorder``, ``fuse``, ``pad``, ``unfold``, ``store_at``: ALT, EuroSys 2023).
    ``storage`` is ``buffer``, ``texel_buffer`` or ``image2d``. ``texel`` names the
    physical dims of a texel: ``[]`` for a buffer, ``[x, lane]`` for a texel buffer,
    ``[x, y, lane]`` for a 2D image; the lane has at most 4 elements.
    """

    primitives: ir.StringAttr
    storage: _one_of(STORAGE_TEXEL_DIMS)
    texel: ir.ArrayAttr


def group(value: str) -> GroupAttr:
    """The group attribute in the current context."""
    return GroupAttr.get(ir.StringAttr.get(value))


def mapping(value: str) -> MappingAttr:
    """The mapping attribute in the current context."""
    return MappingAttr.get(ir.StringAttr.get(value))


def layout(
    primitives: Sequence[Primitive], storage: str = "buffer", texel: tuple[int, ...] = ()
) -> LayoutAttr:
    """The layout attribute in the current context."""
    i64 = ir.IntegerType.get_signless(64)
    dims = ir.ArrayAttr.get([ir.IntegerAttr.get(i64, d) for d in texel])
    text = ir.StringAttr.get(format_primitives(primitives))
    return LayoutAttr.get(text, ir.StringAttr.get(storage), dims)


def string_value(attribute: GroupAttr | MappingAttr) -> str:
    """The text of a group or mapping attribute."""
    return str(ir.StringAttr(attribute.value).value)


def layout_of(type_: ir.RankedTensorType) -> LayoutAttr | None:
    """The layout that a tensor type carries, or None."""
    encoding = None if type_.encoding is None else type_.encoding.maybe_downcast()
    return encoding if isinstance(encoding, LayoutAttr) else None


def primitives_of(type_: ir.RankedTensorType) -> tuple[Primitive, ...]:
    """The steps in which the layout of a tensor type is written; none without a layout.

    Raises:
        InvalidInputError: they do not read as primitives.
    """
    attribute = layout_of(type_)
    text = "" if attribute is None else str(ir.StringAttr(attribute.primitives).value)
    return parse_primitives(text)


def physical_layout_of(type_: ir.RankedTensorType) -> PhysicalLayout:
    """Where the elements of a tensor of this type lie; row-major without a layout.

    Raises:
        InvalidInputError: the layout does not fit the shape.
    """
    return physical_layout(type_.shape, primitives_of(type_))


def storage_of(type_: ir.RankedTensorType) -> str:
    """``buffer``, ``texel_buffer`` or ``image2d``; a buffer without a layout."""
    attribute = layout_of(type_)
    return "buffer" if attribute is None else str(ir.StringAttr(attribute.storage).value)


def layout_fault(type_: ir.RankedTensorType) -> str | None:
    """What is wrong with the layout that ``type_`` carries, or None."""
    attribute = layout_of(type_)
    if attribute is None:
        return None
    try:
        shape = physical_layout_of(type_).shape
    except InvalidInputError as error:
        return str(error)
    dims = list(ir.ArrayAttr(attribute.texel))
    if not all(isinstance(d, ir.IntegerAttr) for d in dims):
        return f"texel dims are numbers, but {attribute.texel} is given"
    texel = tuple(int(d.value) for d in dims)
    return _storage_fault(storage_of(type_), texel, shape)


def _storage_fault(storage: str, texel: tuple[int, ...], shape: Shape) -> str | None:
    names = STORAGE_TEXEL_DIMS[storage]
    if len(texel) != len(names):
        wanted = f"[{', '.join(names)}]"
        return f"storage {storage} needs texel dims {wanted}, but {list(texel)} is given"
    if names and sorted(texel) != list(range(len(shape))):
        return (
            f"storage {storage} needs {len(names)} physical dims, each named once; the "
            f"layout has {len(shape)} and texel is {list(texel)}"
        )
    if texel and shape[texel[-1]] > LANES:
        return f"the lane has {shape[texel[-1]]} elements, but a texel holds {LANES}"
    return None
