"""Write operators of integers that torch-mlir has for floats only.

Pow(x: INT32, 3)           ->  Mul(Mul(x, x), x)
ReduceMean(x: INT32, axes) ->  Div(ReduceSum(x, axes), count), in 64 bits
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.parameters import Array

Nodes = list[onnx.NodeProto]

_LARGEST_POWER = 64
"""The exponent from which on every power of an integer but 0, 1, and -1 overflows."""


def _pow(e: Expansion) -> Nodes | None:
    base, exponent = e.node.input
    kind = e.dtype(base).kind
    power = _whole(e.array(exponent)) if kind in "iu" else None
    if power is not None:
        return e.finish(_product(e, base, power))
    if kind == "u":
        raise e.unsupported("its base has no sign; cast it to INT64 in the model")
    return None


def _whole(known: Array | None) -> int | None:
    """The one number in ``known``, if it is an exponent of few products."""
    if known is None or not known.size or np.any(known != known.flat[0]):
        return None
    power = known.flat[0].item()
    return int(power) if power in range(_LARGEST_POWER + 1) else None


def _product(e: Expansion, base: str, power: int) -> str:
    result = e.constant(np.ones(e.shape(e.node.output[0])), e.dtype(base))
    while power:
        if power % 2:
            result = e.op("Mul", result, base)
        power //= 2
        base = e.op("Mul", base, base) if power else base
    return result


def _mean(e: Expansion) -> Nodes | None:
    value = e.node.input[0]
    if e.dtype(value).kind not in "iu":
        return None
    given = e.known(1) if e.operand(1) else e.attribute("axes")
    shape = e.shape(value)
    axes = [int(axis) % len(shape) for axis in (() if given is None else given)]
    if not axes:
        if e.attribute("noop_with_empty_axes", 0):
            return e.finish(value)
        axes = list(range(len(shape)))
    count = math.prod(shape[axis] for axis in axes)
    wide = e.op("Cast", value, to=TensorProto.INT64)
    total = e.reduce("ReduceSum", wide, axes, e.attribute("keepdims", 1))
    mean = e.op("Div", total, e.constant(count))
    return e.finish(e.op("Cast", mean, to=e.element(value)))


INTEGER_REWRITES: Mapping[str, Rewrite] = {"Pow": _pow, "ReduceMean": _mean}
