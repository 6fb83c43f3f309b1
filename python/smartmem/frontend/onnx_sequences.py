"""Reverse sequences by a gather.

    ReverseSequence(x, lengths)  ->  GatherElements(x, Where(t < lengths, lengths - 1 - t, t))

where t counts along the time axis. torch-mlir slices each sequence at its length, which
gives dynamic shapes.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from smartmem.frontend.onnx_shapes import tensor_shape

Shape = tuple[int, ...]


def expand_reversals(model: onnx.ModelProto) -> None:
    """Applies the rewrite in place; every value of ``model`` has a static shape."""
    graph = model.graph
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "ReverseSequence" and node.domain in ("", "ai.onnx"):
            source = node.input[0]
            shape = constants[source] if source in constants else tensor_shape(values[source])
            nodes.extend(_Reversal(graph, node, shape).nodes())
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _Reversal:
    """The nodes that replace one ReverseSequence."""

    def __init__(self, graph: onnx.GraphProto, node: onnx.NodeProto, shape: Shape) -> None:
        self._graph, self._node, self._shape = graph, node, shape
        self._made: list[onnx.NodeProto] = []

    def nodes(self) -> list[onnx.NodeProto]:
        """The gather, behind what computes its indices."""
        attributes = {a.name: a.i for a in self._node.attribute}
        batch, time = attributes.get("batch_axis", 1), attributes.get("time_axis", 0)
        indices = self._indices(self._along(batch), self._along(time), time)
        self._made.append(
            helper.make_node(
                "GatherElements",
                [self._node.input[0], indices],
                list(self._node.output),
                name=self._node.name,
                axis=time,
            )
        )
        return self._made

    def _indices(self, batches: Shape, times: Shape, time: int) -> str:
        """For every element of the result, from where along the time axis it comes."""
        rows = tuple(max(sizes) for sizes in zip(batches, times, strict=True))
        lengths = self._add(
            "Reshape", [self._node.input[1], self._constant("batches", batches)], batches
        )
        count = np.arange(self._shape[time]).reshape(times)
        position = self._constant("position", count)
        within = self._add("Less", [position, lengths], rows, TensorProto.BOOL)
        behind = self._add("Sub", [lengths, self._constant("behind", count + 1)], rows)
        chosen = self._add("Where", [within, behind, position], rows)
        return self._add("Expand", [chosen, self._constant("all", self._shape)], self._shape)

    def _along(self, axis: int) -> Shape:
        return tuple(size if d == axis else 1 for d, size in enumerate(self._shape))

    def _constant(self, name: str, value: object) -> str:
        name = f"{self._node.output[0]}/{name}"
        self._graph.initializer.append(
            numpy_helper.from_array(np.asarray(value, np.int64), name)
        )
        return name

    def _add(
        self, op: str, inputs: list[str], shape: Shape, element: int = TensorProto.INT64
    ) -> str:
        name = f"{self._node.output[0]}/{op.lower()}"
        self._graph.value_info.append(helper.make_tensor_value_info(name, element, shape))
        self._made.append(helper.make_node(op, inputs, [name], name=self._node.name))
        return name
