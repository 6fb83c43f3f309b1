"""Write operators of integers that torch-mlir has for floats only, or for some values only.

Pow(x: INT32, 3)           ->  Mul(Mul(x, x), x)
ReduceMean(x: INT32, axes) ->  Div(ReduceSum(x, axes), count), in 64 bits
BitShift(x, y, "LEFT")     ->  Where(And(y >= 0, y < bits), BitShift(x, y), 0)
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


def _shift(e: Expansion) -> Nodes | None:
    """Shifts by all bits or more, or by less than none, leave the sign alone (opset 28)."""
    value, count = e.node.input
    bits = 8 * e.dtype(value).itemsize
    known = e.array(count)
    if known is not None and all(0 <= int(n) < bits for n in known.flat):
        return None
    within = e.op("Less", count, e.constant(bits, e.dtype(count)))
    if e.dtype(count).kind == "i":
        at_least_none = e.op("GreaterOrEqual", count, e.constant(0, e.dtype(count)))
        within = e.op("And", within, at_least_none)
    is_right = e.attribute("direction") == "RIGHT"
    most = bits - 1 if is_right and e.dtype(value).kind == "i" else 0
    # The device may do anything with a count that is out of range, selected or not.
    count = e.op("Where", within, count, e.constant(most, e.dtype(count)))
    shifted = e.op("BitShift", value, count, direction=e.attribute("direction"))
    if most:
        return e.finish(shifted)
    return e.finish(e.op("Where", within, shifted, e.constant(0, e.dtype(value))))


def _mod(e: Expansion) -> Nodes | None:
    if e.dtype(e.node.input[0]) == np.float64:
        raise e.unsupported(
            "iree-compile has no remainder of DOUBLE; cast to FLOAT in the model"
        )
    return None


INTEGER_REWRITES: Mapping[str, Rewrite] = {
    "BitShift": _shift,
    "Mod": _mod,
    "Pow": _pow,
    "ReduceMean": _mean,
}
