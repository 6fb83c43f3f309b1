"""Whether a part of a tensor begins at a whole vector of memory.

iree-compile 3.13 lets SPIR-V load and store vectors of 16 bytes, and divides where one begins
by the vector's length: what begins between two vectors is read or written at the vector before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import bits_of, shape_of

VECTOR_BYTES = 16


def begins_between_vectors(value: ir.Value, offsets: Sequence[int]) -> bool:
    """Whether the element at ``offsets`` of ``value`` can lie between two vectors.

    Args:
        offsets: one for each dim; ``ir.ShapedType.get_dynamic_size()`` stands for any.
    """
    shape, dynamic = shape_of(value), ir.ShapedType.get_dynamic_size()
    if not shape or shape[-1] == 1:
        return False  # no buffer of vectors is made of it
    strides = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    lanes = max(VECTOR_BYTES * 8 // bits_of(value.type.element_type), 1)
    known = sum(o * s for o, s in zip(offsets, strides, strict=True) if o != dynamic)
    steps = [s for o, s in zip(offsets, strides, strict=True) if o == dynamic]
    return any(place % lanes for place in (known, *steps))
