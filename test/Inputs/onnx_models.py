"""ONNX models of few nodes, for the tests of the frontend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

GENERATOR = np.random.default_rng(0)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: dict[str, Any] | None = None,
    opset: int = 17,
    domain: str | None = None,
) -> onnx.ModelProto:
    initializers = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), initializers)
    opsets = [helper.make_opsetid("", opset)]
    if domain is not None:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def value(
    name: str, *shape: int | str | None, element: int = TensorProto.FLOAT
) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def relu(*shape: int | str | None, element: int = TensorProto.FLOAT) -> onnx.ModelProto:
    node = helper.make_node("Relu", ["x"], ["y"])
    return model(
        [node], [value("x", *shape, element=element)], [value("y", *shape, element=element)]
    )


def floats(*shape: int) -> Any:
    return GENERATOR.standard_normal(shape).astype(np.float32)
