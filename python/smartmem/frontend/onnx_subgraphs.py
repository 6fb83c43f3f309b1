"""Copy the nodes of an ONNX subgraph into the graph around it, under new names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from smartmem.errors import UnsupportedError


class Copies:
    """Makes copies of subgraphs; no name of one is that of another value.

    Attributes:
        nodes: what has been copied so far, in order.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._taken = {name for node in graph.node for name in node.output}
        self._taken.update(value.name for value in (*graph.input, *graph.initializer))
        self.nodes: list[onnx.NodeProto] = []

    def name(self, stem: str) -> str:
        """A name that nothing has yet."""
        number, name = 0, stem
        while name in self._taken:
            number += 1
            name = f"{stem}/{number}"
        self._taken.add(name)
        return name

    def constant(self, tensor: onnx.TensorProto, stem: str) -> str:
        """The name of a new initializer with the data of ``tensor``."""
        copy = self._graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = self.name(stem)
        return copy.name

    def add(self, op: str, inputs: Sequence[str], output: str, node: str, **given: Any) -> str:
        """Adds a node of one result; returns the result's name."""
        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=node, **given))
        return output

    def copy(self, body: onnx.GraphProto, given: Sequence[str], stem: str) -> list[str]:
        """Copies ``body`` with its inputs bound to ``given``; returns its results' names."""
        if body.sparse_initializer:
            raise UnsupportedError(f"the subgraph of node {stem!r} has sparse constants")
        names = dict(zip((value.name for value in body.input), given, strict=True))
        for tensor in body.initializer:
            if tensor.name not in names:
                names[tensor.name] = self.constant(tensor, f"{stem}/{tensor.name}")
        for node in body.node:
            for output in filter(None, node.output):
                names[output] = self.name(f"{stem}/{output}")
            self.nodes.append(_renamed(node, names))
        return [names.get(value.name, value.name) for value in body.output]


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of ``node`` whose values have new names, also within its own subgraphs."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for field in (copy.input, copy.output):
        field[:] = [names.get(name, name) for name in field]
    for attribute in copy.attribute:
        for graph in (attribute.g, *attribute.graphs):
            _rename_captured(graph, names)
    return copy


def _rename_captured(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    own = {value.name for value in (*graph.input, *graph.initializer)}
    own.update(output for node in graph.node for output in node.output)
    outer = {old: new for old, new in names.items() if old not in own}
    renamed = [_renamed(node, outer) for node in graph.node]
    del graph.node[:]
    graph.node.extend(renamed)
    for value in graph.output:
        value.name = outer.get(value.name, value.name)


def subgraph(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    """The subgraph that ``node`` holds as its attribute ``name``."""
    return next(attribute.g for attribute in node.attribute if attribute.name == name)


def size_of(graph: onnx.GraphProto) -> int:
    """The number of nodes in ``graph`` and all its subgraphs."""
    inner = (
        size_of(held)
        for node in graph.node
        for attribute in node.attribute
        for held in (attribute.g, *attribute.graphs)
    )
    return len(graph.node) + sum(inner)
