"""Multiply stacks of rows with one matrix as one product.

    MatMul(x[..., m, k], w[k, n])  ->  Reshape(MatMul(Reshape(x, [-1, k]), w))

That is how PyTorch computes a linear layer. torch-mlir would repeat ``w`` for every
leading index and compute a batch of products.
"""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto, helper

from smartmem.frontend.onnx_shapes import tensor_shape

_INT64 = TensorProto.DataType.INT64


def flatten_matmuls(model: onnx.ModelProto) -> None:
    """Applies the rewrite in place; every value of ``model`` has a static shape."""
    graph = model.graph
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "MatMul" and node.domain in ("", "ai.onnx"):
            left, right = (
                shapes[name] if name in shapes else tensor_shape(values[name])
                for name in node.input
            )
            if len(left) > 2 and len(right) == 2:
                nodes.extend(_flattened(graph, node, left, right, values[node.output[0]]))
                continue
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _flattened(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    left: tuple[int, ...],
    right: tuple[int, ...],
    output: onnx.ValueInfoProto,
) -> list[onnx.NodeProto]:
    rows, name = math.prod(left[:-1]), f"{node.output[0]}/flat"
    element = output.type.tensor_type.elem_type
    shapes = {f"{name}/rows": (rows, left[-1]), f"{name}/stack": (*left[:-1], right[1])}
    for key, shape in shapes.items():
        graph.initializer.append(helper.make_tensor(key, _INT64, [len(shape)], shape))
    for key, size in ((f"{name}/left", left[-1]), (f"{name}/product", right[1])):
        graph.value_info.append(helper.make_tensor_value_info(key, element, (rows, size)))
    steps = (
        ("Reshape", [node.input[0], f"{name}/rows"], f"{name}/left"),
        ("MatMul", [f"{name}/left", node.input[1]], f"{name}/product"),
        ("Reshape", [f"{name}/product", f"{name}/stack"], node.output[0]),
    )
    return [helper.make_node(op, ins, [out], name=node.name) for op, ins, out in steps]
