"""Arguments and results of types that carry a layout: they are handed over as they lie."""

from __future__ import annotations

import numpy as np
from torch_mlir import ir

from smartmem.dialect import layout_of, physical_layout_of, primitives_of
from smartmem.index_map.physical_layout import lay_out
from smartmem.interpreter.values import Array


def from_memory(array: Array, type_: ir.Type) -> Array:
    """The tensor of ``type_`` that lies in memory as ``array``."""
    if not _has_layout(type_):
        return array
    layout = physical_layout_of(type_)
    shape = layout.shape
    inside = layout.domain.mask(shape)
    result = np.zeros(layout.logical, array.dtype)
    indices = [np.broadcast_to(i, shape) for i in layout.index_map.indices()]
    held = np.broadcast_to(inside, shape)
    result[tuple(i[held] for i in indices)] = array[held]
    return result


def in_memory(array: Array, type_: ir.Type) -> Array:
    """How a tensor of ``type_`` lies in memory."""
    return lay_out(array, primitives_of(type_)) if _has_layout(type_) else array


def _has_layout(type_: ir.Type) -> bool:
    return isinstance(type_, ir.RankedTensorType) and layout_of(type_) is not None
