"""Write scatters as those that torch-mlir has.

    ScatterElements(x, places, y, reduction)  ->  ScatterND(x, coordinates, y, reduction)
    TensorScatter(cache, y, starts)           ->  ScatterND(cache, coordinates, y)

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


def _scatter_tensor(e: Expansion) -> list[onnx.NodeProto]:
    """Rows of ``updates`` go into the cache one after the other, from a place for each batch."""
    cache, updates = e.node.input[:2]
    shape, moved = e.shape(cache), e.shape(updates)
    axis = e.attribute("axis", -2) % len(shape)
    rows = moved[axis]
    places = e.constant(np.arange(rows)[None])
    if e.operand(2):
        starts = e.op("Reshape", e.node.input[2], e.constant([shape[0], 1]))
        if e.element(starts) != onnx.TensorProto.INT64:
            starts = e.op("Cast", starts, to=onnx.TensorProto.INT64)
        places = e.op("Add", starts, places)
    if e.attribute("mode", "linear") == "circular":
        places = e.op("Mod", places, e.constant(shape[axis]))
    grid = np.indices((*moved[:axis], rows))[..., None]
    line = [moved[0] if e.operand(2) else 1, *[1] * (axis - 1), rows, 1]
    places = e.op("Reshape", places, e.constant(line))
    places = e.op("Expand", places, e.constant(grid.shape[1:]))
    coordinates = [e.constant(grid[d]) for d in range(axis)]
    whole = e.op("Concat", *coordinates, places, axis=-1)
    return e.finish(e.op("ScatterND", cache, whole, updates))


SCATTER_REWRITES: Mapping[str, Rewrite] = {
    "ScatterElements": _scatter_elements,
    "TensorScatter": _scatter_tensor,
}
