"""Check the constant indices of ONNX's gathers and scatters.

Behind torch-mlir a row and a column can have become one number, and the operator's name is
gone; indices that are known at run time only are bounded there, by ``bound_indices``.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from smartmem.errors import InvalidInputError
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_shapes import tensor_shape
from smartmem.parameters import Array

Shape = tuple[int, ...]

_ALONG_AXIS = ("Gather", "GatherElements", "Scatter", "ScatterElements")
_ALONG_MANY = ("GatherND", "ScatterND")


def check_indices(model: onnx.ModelProto) -> None:
    """Compares each constant index with the size of the dimension that it counts along.

    Args:
        model: every value has a static shape.

    Raises:
        InvalidInputError: one lies outside; names the node.
    """
    graph = model.graph
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    constants = constant_tensors(graph)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in _ALONG_AXIS + _ALONG_MANY:
            continue
        table, source = constants.get(node.input[1]), constants.get(node.input[0])
        if table is None:
            continue
        shape = tuple(source.dims) if source else tensor_shape(values[node.input[0]])
        _check(node, numpy_helper.to_array(table), shape)


def _check(node: onnx.NodeProto, indices: Array, shape: Shape) -> None:
    given = {a.name: a.i for a in node.attribute}
    if node.op_type in _ALONG_MANY:
        first = given.get("batch_dims", 0)
        extents = np.array(shape[first : first + indices.shape[-1]])
    else:
        extents = np.array(shape[given.get("axis", 0)])
    outside = (indices < -extents) | (indices >= extents)
    if not outside.any():
        return
    wrong, extent = indices[outside][0], np.broadcast_to(extents, indices.shape)[outside][0]
    raise InvalidInputError(
        f"operator {node.op_type} (node {node.name!r}) has the constant index {wrong}, which "
        f"lies outside of a dimension of {extent} elements; mend the indices in the model"
    )
