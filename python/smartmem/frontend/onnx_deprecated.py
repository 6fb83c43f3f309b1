"""Replace operators that onnx's checker refuses because a later opset corrected them.

    GroupNormalization(x, scale, bias)  ->  InstanceNormalization(Reshape(x, [0, groups, -1]))

In opsets 18 to 20 it has a factor for each group, as instances of that many channels have.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from smartmem.frontend.onnx_checks import graphs_of

_OPSETS = range(18, 21)


def replace_deprecated(model: onnx.ModelProto) -> bool:
    """Applies the rewrite in place, to subgraphs as well; says whether it changed something."""
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset not in _OPSETS:
        return False
    changed = False
    for graph in graphs_of(model.graph):
        if any(map(_is_old, graph.node)):
            _replace(graph)
            changed = True
    return changed


def _is_old(node: onnx.NodeProto) -> bool:
    return node.op_type == "GroupNormalization" and node.domain in ("", "ai.onnx")


def _replace(graph: onnx.GraphProto) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.extend(_instances(graph, node) if _is_old(node) else [node])
    del graph.node[:]
    graph.node.extend(nodes)


def _instances(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    source, scale, bias = node.input
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    numbers = count(1)

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{node.output[0]}/{next(numbers)}/{op.lower()}"
        nodes.append(helper.make_node(op, inputs, [name], name=node.name, **attributes))
        return name

    nodes: list[onnx.NodeProto] = []
    shape = f"{node.output[0]}/groups"
    sizes = np.array([0, given.get("num_groups", 1), -1], np.int64)
    graph.initializer.append(numpy_helper.from_array(sizes, shape))
    whole = add("Shape", source)
    groups = add("Reshape", source, shape)
    epsilon = given.get("epsilon", 1e-5)
    groups = add("InstanceNormalization", groups, scale, bias, epsilon=epsilon)
    nodes.append(helper.make_node("Reshape", [groups, whole], node.output, name=node.name))
    return nodes
