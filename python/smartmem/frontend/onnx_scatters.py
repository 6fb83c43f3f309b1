"""Write scatters that reduce along an axis as scatters by coordinates.

    ScatterElements(x, places, y, reduction)  ->  ScatterND(x, coordinates, y, reduction)

torch-mlir has the right form only, which takes elements with equal coordinates one after
the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite


def _scatter_elements(e: Expansion) -> list[onnx.NodeProto] | None:
    reduction = e.attribute("reduction", "none")
    if reduction == "none":
        return None
    data, places, updates = e.node.input
    shape, table = e.shape(data), e.shape(places)
    axis = e.attribute("axis", 0) % len(shape)
    if e.element(places) != onnx.TensorProto.INT64:
        places = e.op("Cast", places, to=onnx.TensorProto.INT64)
    is_behind = e.op("Less", places, e.constant(0))
    places = e.op("Where", is_behind, e.op("Add", places, e.constant(shape[axis])), places)
    column = e.constant((*table, 1))
    grid = np.indices(table)[..., None]
    coordinates = [
        e.op("Reshape", places, column) if d == axis else e.constant(grid[d])
        for d in range(len(table))
    ]
    whole = e.op("Concat", *coordinates, axis=-1)
    return e.finish(e.op("ScatterND", data, whole, updates, reduction=reduction))


SCATTER_REWRITES: Mapping[str, Rewrite] = {"ScatterElements": _scatter_elements}
