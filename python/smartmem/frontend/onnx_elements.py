"""Write elementwise operators and running products as ONNX defines them.

    Sign(x)              ->  Where(IsNaN(x), x, Sign(x))
    Softsign(x)          ->  x / (1 + |x|)
    CumProd(x, axis)     ->  ReduceProd(Where(earlier, x, 1))

PyTorch's sign of NaN is 0, and so is torch-mlir's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite

Nodes = list[onnx.NodeProto]

_LONGEST = 4096
"""Elements along an axis; each is multiplied with all earlier ones."""


def _sign(to: Expansion) -> Nodes | None:
    value = to.node.input[0]
    if to.dtype(value).kind in "iu":
        return None
    is_nan = to.op("IsNaN", value)
    return to.finish(to.op("Where", is_nan, value, to.op("Sign", value)))


def _softsign(to: Expansion) -> Nodes:
    value = to.node.input[0]
    one = to.constant(1, to.dtype(value))
    return to.finish(to.op("Div", value, to.op("Add", one, to.op("Abs", value))))


def _running_product(to: Expansion) -> Nodes:
    source, known = to.node.input[0], to.known(1)
    shape = to.shape(source)
    axis = int(known.reshape(-1)[0]) % len(shape) if known is not None else 0
    size = shape[axis]
    if size > _LONGEST:
        raise to.unsupported(f"its axis has {size} elements; SmartMem multiplies {_LONGEST}")
    place = np.arange(size)
    ours, others = place[:, None], place[None]
    if to.attribute("reverse", 0):
        ours, others = -ours, -others
    earlier = others < ours if to.attribute("exclusive", 0) else others <= ours
    mask = earlier.reshape(size, size, *[1] * (len(shape) - axis - 1))
    row = to.op("Unsqueeze", source, to.constant([axis]))
    one = to.constant(1, to.dtype(source))
    factors = to.op("Where", to.constant(mask, np.bool_), row, one)
    return to.finish(to.reduce("ReduceProd", factors, [axis + 1]))


ELEMENT_REWRITES: Mapping[str, Rewrite] = {
    "CumProd": _running_product,
    "Sign": _sign,
    "Softsign": _softsign,
}
