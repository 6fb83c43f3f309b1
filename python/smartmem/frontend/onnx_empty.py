"""Make constants of the values of an ONNX graph that have no elements.

    Tile(x, [0, 2])  ->  a constant of shape 0x6

There is nothing to compute, and torch-mlir divides by the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper

from smartmem.frontend.onnx_shapes import tensor_shape


def fold_empty(model: onnx.ModelProto) -> None:
    """Applies the rewrite in place; every value of ``model`` has a static shape."""
    graph = model.graph
    empty = {
        value.name: value
        for value in (*graph.value_info, *graph.output)
        if 0 in tensor_shape(value)
    }
    left = []
    for node in graph.node:
        found = [name for name in node.output if name in empty]
        for name in found:
            element = empty[name].type.tensor_type.elem_type
            tensor = helper.make_tensor(name, element, tensor_shape(empty[name]), [])
            graph.initializer.append(tensor)
        if not found or any(name and name not in empty for name in node.output):
            left.append(_without(graph, node, empty) if found else node)
    if len(left) < len(graph.node) or empty:
        del graph.node[:]
        graph.node.extend(left)


def _without(
    graph: onnx.GraphProto, node: onnx.NodeProto, empty: Mapping[str, onnx.ValueInfoProto]
) -> onnx.NodeProto:
    """The node under other names for those of its results that are constants now."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for place, name in enumerate(node.output):
        if name in empty:
            copy.output[place] = f"{name}/unused"
            graph.value_info.add().CopyFrom(empty[name])
            graph.value_info[-1].name = copy.output[place]
    return copy
