"""Attributes of the ``smartmem`` dialect: layouts and classification results.

The classes' annotations are read when the classes are made, so this module cannot
postpone their evaluation (no ``from __future__ import annotations``).
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Union

import numpy as np
from torch_mlir import ir

from smartmem.dialect.base import SmartMem
from smartmem.errors import SmartMemError
from smartmem.index_map import IndexMap, Shape, bounds, from_affine, inverse
from smartmem.index_map.index_map import ENUMERATION_LIMIT

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

    ``#smartmem.layout<affine_map<(d0, d1) -> (d1, d0)>, "buffer", []>``

    ``map`` takes logical indices to physical coordinates, row-major in memory.
    ``storage`` is ``buffer``, ``texel_buffer`` or ``image2d``. ``texel`` names the
    physical dims of a texel: ``[]`` for a buffer, ``[x, lane]`` for a texel buffer,
    ``[x, y, lane]`` for a 2D image; the lane has at most 4 elements.
    """

    map: ir.AffineMapAttr
    storage: _one_of(STORAGE_TEXEL_DIMS)
    texel: ir.ArrayAttr


def group(value: str) -> GroupAttr:
    """The group attribute in the current context."""
    return GroupAttr.get(ir.StringAttr.get(value))


def mapping(value: str) -> MappingAttr:
    """The mapping attribute in the current context."""
    return MappingAttr.get(ir.StringAttr.get(value))


def layout(affine_map: ir.AffineMap, storage: str, texel: tuple[int, ...] = ()) -> LayoutAttr:
    """The layout attribute in the current context."""
    i64 = ir.IntegerType.get_signless(64)
    dims = ir.ArrayAttr.get([ir.IntegerAttr.get(i64, d) for d in texel])
    return LayoutAttr.get(ir.AffineMapAttr.get(affine_map), ir.StringAttr.get(storage), dims)


def string_value(attribute: GroupAttr | MappingAttr) -> str:
    """The text of a group or mapping attribute."""
    return str(ir.StringAttr(attribute.value).value)


def layout_fault(type_: ir.RankedTensorType) -> str | None:
    """What is wrong with the layout that ``type_`` carries, or None."""
    if type_.encoding is None or not isinstance(type_.encoding.maybe_downcast(), LayoutAttr):
        return None
    attribute = type_.encoding.maybe_downcast()
    texel = tuple(int(ir.IntegerAttr(d).value) for d in ir.ArrayAttr(attribute.texel))
    storage = str(ir.StringAttr(attribute.storage).value)
    affine_map = ir.AffineMapAttr(attribute.map).value
    return _storage_fault(storage, texel, len(affine_map.results)) or _map_fault(
        affine_map, tuple(type_.shape), texel
    )


def _storage_fault(storage: str, texel: tuple[int, ...], physical_rank: int) -> str | None:
    names = STORAGE_TEXEL_DIMS[storage]
    if len(texel) != len(names):
        wanted = f"[{', '.join(names)}]"
        return f"storage {storage} needs texel dims {wanted}, but {list(texel)} is given"
    if names and sorted(texel) != list(range(physical_rank)):
        return (
            f"storage {storage} needs a map to {len(names)} physical dims, each named "
            f"once; the map has {physical_rank} and texel is {list(texel)}"
        )
    return None


def _map_fault(
    affine_map: ir.AffineMap, shape: tuple[int, ...], texel: tuple[int, ...]
) -> str | None:
    if affine_map.n_dims != len(shape):
        return f"layout map has {affine_map.n_dims} dims, but the tensor has rank {len(shape)}"
    try:
        index_map = from_affine(affine_map, shape)
    except SmartMemError as error:
        return str(error)
    ranges = [bounds(e, shape) for e in index_map.exprs]
    if any(low < 0 for low, _ in ranges):
        return f"layout map {affine_map} gives negative coordinates for shape {list(shape)}"
    if texel and ranges[texel[-1]][1] >= LANES:
        extent = ranges[texel[-1]][1] + 1
        return f"the lane has {extent} elements, but a texel holds {LANES}"
    extents = tuple(high + 1 for _, high in ranges)
    if not _is_injective(index_map, extents):
        return f"layout map {affine_map} puts two elements of shape {list(shape)} in one place"
    return None


@lru_cache(maxsize=1 << 12)
def _is_injective(index_map: IndexMap, extents: Shape) -> bool:
    if inverse(index_map, extents) is not None:
        return True
    if math.prod(index_map.shape) > ENUMERATION_LIMIT:
        return True  # too large to enumerate, and no rule shows a clash
    places = np.zeros(index_map.shape, dtype=np.int64)
    for index, extent in zip(index_map.indices(), extents, strict=True):
        places = places * extent + index
    return np.unique(places).size == places.size
