"""Replace one node of an ONNX graph by several, whose values are typed as they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_shapes import tensor_shape
from smartmem.parameters import Array

_DATA_KEPT = 1024
"""Elements; inference looks into shapes and axes, which are smaller constants."""


class Graph:
    """A graph of statically shaped values, to which nodes are added.

    Attributes:
        opset: of ONNX's own operators, in whose form nodes have to be added.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._graph = graph
        self._types = {
            value.name: value.type for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._tensors: dict[str, onnx.TensorProto] = {}
        for name, tensor in constant_tensors(graph).items():
            self._learn(name, tensor)

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """In the order of the graph."""
        return list(self._graph.node)

    def replace_nodes(self, nodes: list[onnx.NodeProto]) -> None:
        """Gives the graph these nodes, in this order."""
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def type(self, name: str) -> onnx.TypeProto:
        """The type of a value."""
        return self._types[name]

    def tensor(self, name: str) -> onnx.TensorProto | None:
        """The data of a constant; None for a value that is computed."""
        return self._tensors.get(name)

    def add_constant(self, name: str, array: Array) -> None:
        """Adds a constant."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        self._graph.initializer.append(tensor)
        self._learn(name, tensor)

    def add_value(self, name: str, type: onnx.TypeProto) -> None:
        """Types a new value."""
        self._graph.value_info.append(helper.make_value_info(name, type))
        self._types[name] = type

    def _learn(self, name: str, tensor: onnx.TensorProto) -> None:
        self._tensors[name] = tensor
        self._types[name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)


class Expansion:
    """The nodes that take the place of one.

    Attributes:
        node: that is replaced.
        nodes: made so far.
        opset: of ONNX's own operators, in whose form nodes are made.
    """

    def __init__(self, graph: Graph, node: onnx.NodeProto) -> None:
        self.node, self.opset = node, graph.opset
        self.nodes: list[onnx.NodeProto] = []
        self._graph = graph
        self._attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self._count = 0

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node, text as ``str``."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def operand(self, place: int) -> str | None:
        """The name of an operand of the node; None for one that is left out."""
        names = self.node.input
        return names[place] if place < len(names) and names[place] else None

    def known(self, place: int) -> Array | None:
        """The value of an operand; None for one that is left out.

        Raises:
            UnsupportedError: the operand is computed.
        """
        name = self.operand(place)
        if name is None:
            return None
        tensor = self._graph.tensor(name)
        if tensor is None:
            raise self.unsupported(f"its operand {name!r} is computed; make it a constant")
        return numpy_helper.to_array(tensor)

    def is_known(self, name: str) -> bool:
        """Whether a value is a constant."""
        return self._graph.tensor(name) is not None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return tensor_shape(helper.make_value_info(name, self._graph.type(name)))

    def element(self, name: str) -> int:
        """The element type of a value, by ONNX's number."""
        return int(self._graph.type(name).tensor_type.elem_type)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of a value as NumPy has it."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.element(name)))

    def constant(self, array: Any, dtype: Any = np.int64) -> str:
        """A new constant."""
        name = self._new_name("constant")
        self._graph.add_constant(name, np.asarray(array, dtype))
        return name

    def op(self, kind: str, *operands: str, **attributes: Any) -> str:
        """A new node of one result, whose type is inferred; the name of the result."""
        name = self._new_name(kind.lower())
        node = helper.make_node(kind, operands, [name], name=self.node.name, **attributes)
        types = {name: self._graph.type(name) for name in operands if name}
        tensors = {name: self._graph.tensor(name) for name in operands}
        data = {
            name: tensor
            for name, tensor in tensors.items()
            if tensor is not None and np.prod(tensor.dims) <= _DATA_KEPT
        }
        inferred = shape_inference.infer_node_outputs(
            onnx.defs.get_schema(kind, self.opset, ""),
            node,
            types,
            data,
            opset_imports=[helper.make_opsetid("", self.opset)],
        )
        self.nodes.append(node)
        self._graph.add_value(name, inferred[name])
        return name

    def reduce(self, kind: str, value: str, axes: list[int], keepdims: int = 0) -> str:
        """A reduction: the axes were an attribute before opset 18, of all but sums."""
        if self.opset >= 18 or kind == "ReduceSum":
            return self.op(kind, value, self.constant(axes), keepdims=keepdims)
        return self.op(kind, value, axes=axes, keepdims=keepdims)

    def finish(self, *results: str) -> list[onnx.NodeProto]:
        """The new nodes, with these values as results of the node."""
        for value, name in zip(results, self.node.output, strict=False):
            if name:
                self.nodes.append(helper.make_node("Identity", [value], [name]))
        return self.nodes

    def unsupported(self, reason: str) -> UnsupportedError:
        """The refusal of the node."""
        return UnsupportedError(f"operator {self._title()}: {reason}")

    def invalid(self, reason: str) -> InvalidInputError:
        """What is wrong with the node."""
        return InvalidInputError(f"operator {self._title()}: {reason}")

    def _title(self) -> str:
        name = self.node.name or ", ".join(filter(None, self.node.output))
        return f"{self.node.op_type} (node {name!r})"

    def _new_name(self, what: str) -> str:
        self._count += 1
        return f"{next(filter(None, self.node.output))}/{self._count}/{what}"


Rewrite = Callable[[Expansion], "list[onnx.NodeProto] | None"]
"""What an operator becomes; None if it is to stay."""


def expand_operators(model: onnx.ModelProto, rewrites: Mapping[str, Rewrite]) -> None:
    """Rewrites the nodes of these operators in place.

    Args:
        model: every value has a static shape.
        rewrites: by operator.
    """
    graph = Graph(model)
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        rewrite = rewrites.get(node.op_type)
        made = None
        if rewrite is not None and node.domain in ("", "ai.onnx"):
            made = rewrite(Expansion(graph, node))
        nodes.extend([node] if made is None else made)
    graph.replace_nodes(nodes)
