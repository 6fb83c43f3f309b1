"""Which constants are stored in 16 bits, and where they are widened.

A kernel of a CPU loads f32: a conversion for each element that it multiplies by would take a
third of its time. So weights are widened once, when the module is loaded: the file has 16 bits
for each of them, and kernels are those of a model in f32. A weight that a kernel reads once, as
one token's does, is widened there: fewer bytes are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.parameters import NUMPY_DTYPES, Array, Numbers, Parameters
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal

LARGEST = {"f16": 65504.0, "bf16": 3.3895e38}
"""The largest number of each type."""

_MOST_ERROR = 2.0**-7
"""Of the largest element: a rounding to bf16 is at most half of it."""


@dataclass(frozen=True)
class NarrowConstant:
    """A constant in 16 bits.

    Attributes:
        op: the ``arith.constant``.
        array: its elements, rounded.
        error: the largest rounding error, as a part of the largest element.
        reads: the most times that a kernel reads an element of it.
    """

    op: ir.Operation
    array: Array
    error: float
    reads: int


def narrow_constant(
    op: ir.Operation, precision: str, fewest: int, parameters: Parameters
) -> NarrowConstant | Refusal | None:
    """How ``op`` is stored; None: it is no constant of f32, or one that takes few bytes.

    Args:
        fewest: elements of which it pays to store fewer bytes.
    """
    if op.name != "arith.constant" or not str(op.results[0].type).endswith("xf32>"):
        return None
    attribute = op.attributes["value"]
    if isinstance(attribute, ir.DenseElementsAttr) and attribute.is_splat:
        return None
    array = parameters.value(attribute)
    if array is None or array.size < fewest:
        return None
    return _rounded(op, array, precision)


def _rounded(op: ir.Operation, array: Numbers, precision: str) -> NarrowConstant | Refusal:
    dtype, most = NUMPY_DTYPES[precision], LARGEST[precision]
    largest = float(np.max(np.abs(array)))
    if not largest <= most:
        return Refusal(f"it holds {largest:.3g}, and {precision} ends at {most:.5g}")
    narrow = array.astype(dtype)
    off = float(np.max(np.abs(narrow.astype(np.float32) - array)))
    if off > _MOST_ERROR * largest:
        return Refusal(f"its elements are below the normal numbers of {precision}")
    return NarrowConstant(op, narrow, off / largest if largest else 0.0, _reads(op.results[0]))


def _reads(value: ir.Value) -> int:
    """The most times that a reader computes with one element of ``value``."""
    return max(
        (_repetitions(use.owner.operation, use.operand_number) for use in value.uses), default=0
    )


def _repetitions(op: ir.Operation, number: int) -> int:
    if op.name.startswith(("tensor.extract_slice", "tensor.expand", "tensor.collapse")):
        return _reads(op.results[0])
    nest = loop_nest(op)
    if nest is None:
        return 1
    loops = set(nest.loops_of(number))
    return math.prod(n for d, n in enumerate(nest.domain) if d not in loops)
