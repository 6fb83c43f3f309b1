"""Replace one node of an ONNX graph by several, whose values are typed as they are made."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

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
        tensor = numpy_helper.from_array(np.array(array, order="C"), name)
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
        self._numbers = itertools.count(1)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All attributes of the node, as ``attribute`` gives them."""
        return {name: self.attribute(name) for name in self._attributes}

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node, text as ``str``."""
        value = self._attributes.get(name, default)
        if isinstance(value, list):
            return [v.decode() if isinstance(v, bytes) else v for v in value]
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

    def array(self, name: str) -> Array | None:
        """The value of a constant; None for a value that is computed."""
        tensor = self._graph.tensor(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

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
        integers = kind == "Conv" and self.element(operands[0]) == TensorProto.INT32
        if integers:  # torch-mlir has these convolutions, too
            types = {
                name: _with_element(type, TensorProto.FLOAT) for name, type in types.items()
            }
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
        type = inferred[name]
        self._graph.add_value(
            name, _with_element(type, TensorProto.INT32) if integers else type
        )
        return name

    def retyped(self, elements: Mapping[int, int]) -> list[onnx.NodeProto]:
        """The node itself, computed in other element types between casts.

        Args:
            elements: what to compute in instead, by element type.
        """
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        for place, name in enumerate(node.input):
            if name and self.element(name) in elements:
                node.input[place] = self.op("Cast", name, to=elements[self.element(name)])
        casts = []
        for place, name in enumerate(node.output):
            if not name or self.element(name) not in elements:
                continue
            element, node.output[place] = self.element(name), self._new_name("retyped")
            wide = _with_element(self._graph.type(name), elements[element])
            self._graph.add_value(node.output[place], wide)
            casts.append(helper.make_node("Cast", [node.output[place]], [name], to=element))
        return [*self.nodes, node, *casts]

    def reduce(self, kind: str, value: str, axes: list[int], keepdims: int = 0) -> str:
        """A reduction: the axes were an attribute before opset 18, of all but sums."""
        if self.opset >= 18 or kind == "ReduceSum":
            return self.op(kind, value, self.constant(axes), keepdims=keepdims)
        return self.op(kind, value, axes=axes, keepdims=keepdims)

    def loop(self, count: int, begin: Sequence[str], step: Step) -> list[str]:
        """A Loop of ``count`` iterations; the last of its states.

        Args:
            count: how often ``step`` is done.
            begin: the first states.
            step: from what makes nodes of the body, the number of an iteration and the
                states before it, to the states behind it, of the same types.
        """
        body = copy.copy(self)
        body.nodes = []
        number, going = self._new_name("iteration"), self._new_name("going")
        self._graph.add_value(number, helper.make_tensor_type_proto(TensorProto.INT64, []))
        self._graph.add_value(going, helper.make_tensor_type_proto(TensorProto.BOOL, []))
        inside, results = ([self._new_name("state") for _ in begin] for _ in range(2))
        for first, *names in zip(begin, inside, results, strict=True):
            for name in names:
                self._graph.add_value(name, self._graph.type(first))
        behind = [body.op("Identity", state) for state in step(body, number, inside)]
        still = body.op("Identity", going)
        graph = helper.make_graph(
            body.nodes,
            "step",
            self._typed([number, going, *inside]),
            self._typed([still, *behind]),
            value_info=self._typed([name for node in body.nodes for name in node.output]),
        )
        operands = [self.constant(count), self.constant(True, np.bool_), *begin]
        node = helper.make_node("Loop", operands, results, name=self.node.name, body=graph)
        self.nodes.append(node)
        return results

    def _typed(self, names: Sequence[str]) -> list[onnx.ValueInfoProto]:
        return [helper.make_value_info(name, self._graph.type(name)) for name in names]

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
        return f"{next(filter(None, self.node.output))}/{next(self._numbers)}/{what}"


def _with_element(type: onnx.TypeProto, element: int) -> onnx.TypeProto:
    changed = onnx.TypeProto()
    changed.CopyFrom(type)
    changed.tensor_type.elem_type = element
    return changed


Step = Callable[[Expansion, str, list[str]], list[str]]

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
