"""ONNX models that are damaged, for ``fuzz_inputs``."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from fuzzing import NUMBERS, Case, damaged
from onnx import TensorProto, helper, numpy_helper

_NAMES = ("", "x", "\n", "\x1b[31m", 'a"b', "é" * 300, "../../x", "%s", "\0", "x y")


class OnnxModels:
    """ONNX models with other bytes, or other attributes, types, sizes and names."""

    name = "onnx"

    def __init__(self) -> None:
        self._models = [_convolution(), _attention(), _shapes()]

    def case(self, rng: random.Random) -> Case:
        model = copy.deepcopy(rng.choice(self._models))
        if rng.random() < 0.3:
            content = damaged(model.SerializeToString(), rng)
        else:
            for _ in range(rng.choice((1, 1, 2, 3))):
                _change_model(model, rng)
            content = model.SerializeToString()
        return Case(
            "smartmem",
            ["compile", "m.onnx", "-t", "cpu", "--emit", "lowered", "-o", "o.mlir", "-q"],
            {"m.onnx": content},
            ["o.mlir"],
        )


def _change_model(model: onnx.ModelProto, rng: random.Random) -> None:
    """Changes one thing in a model."""
    graph = model.graph
    node = rng.choice(graph.node)
    value = rng.choice([*graph.input, *graph.output])
    tensor = rng.choice(graph.initializer) if graph.initializer else None
    tensor_type = value.type.tensor_type
    match rng.randrange(14):
        case 0 if node.attribute:
            _change_attribute(rng.choice(node.attribute), rng)
        case 1 if node.attribute:
            del node.attribute[rng.randrange(len(node.attribute))]
        case 2:
            tensor_type.elem_type = rng.choice((0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 77, 99))
        case 3 if tensor_type.shape.dim:
            rng.choice(tensor_type.shape.dim).dim_value = rng.choice(NUMBERS)
        case 4:
            tensor_type.shape.dim.add().dim_value = rng.choice(NUMBERS)
        case 5:
            value.name = rng.choice(_NAMES)
        case 6 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))
        case 7 if node.output:
            node.output[rng.randrange(len(node.output))] = rng.choice(_names(graph))
        case 8:
            node.op_type = rng.choice(("Relu", "MatMul", "Conv", "Reshape", "Nope", "", "LSTM"))
        case 9:
            model.opset_import[0].version = rng.choice((0, 1, 7, 11, 13, 17, 21, 99, -1))
        case 10 if tensor is not None:
            tensor.raw_data = damaged(tensor.raw_data or b"0", rng)
        case 11 if tensor is not None:
            tensor.data_type = rng.choice((0, 1, 7, 8, 10, 16, 77))
        case 12 if tensor is not None and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
        case _:
            graph.node.remove(node)
            graph.node.insert(rng.randrange(len(graph.node) + 1), node)


def _names(graph: onnx.GraphProto) -> list[str]:
    return [
        *(name for node in graph.node for name in node.output),
        *_NAMES,
        graph.input[0].name,
    ]


def _change_attribute(attribute: onnx.AttributeProto, rng: random.Random) -> None:
    match attribute.type:
        case onnx.AttributeProto.INT:
            attribute.i = rng.choice(NUMBERS)
        case onnx.AttributeProto.INTS:
            if attribute.ints and rng.random() < 0.7:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
            else:
                attribute.ints.append(rng.choice(NUMBERS))
        case onnx.AttributeProto.FLOAT:
            attribute.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
        case onnx.AttributeProto.STRING:
            attribute.s = rng.choice((b"", b"SAME_UPPER", b"\xff\xfe", b"nearest", b"VALID"))
        case _:
            attribute.type = rng.choice((0, 1, 2, 3, 7, 8))


def _model(nodes: Sequence[Any], inputs: Any, outputs: Any, weights: Any) -> onnx.ModelProto:
    infos = [
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in values
        ]
        for values in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "fuzzed", *infos, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _ones(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ones(shape, np.float32)


def _convolution() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[1, 1], group=1),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0),
        node("AveragePool", ["p"], ["a"], kernel_shape=[2, 2], count_include_pad=1),
        node("Pad", ["a", "pads"], ["q"], mode="constant"),
        node("Resize", ["q", "", "scales"], ["y"], mode="nearest"),
    ]
    weights = {
        "w": _ones(4, 3, 3, 3),
        "b": _ones(4),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return _model(nodes, [("x", [1, 3, 8, 8])], [("y", [1, 4, 8, 8])], weights)


def _attention() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Reshape", ["m", "shape"], ["s"], allowzero=0),
        node("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3]),
        node("Softmax", ["t"], ["f"], axis=-1),
        node("LayerNormalization", ["f", "g"], ["n"], axis=-1, epsilon=1e-5),
        node("Gather", ["n", "i"], ["h"], axis=1),
        node("ReduceMean", ["h"], ["y"], axes=[2], keepdims=0),
    ]
    weights = {
        "w": _ones(16, 16),
        "g": _ones(4),
        "shape": np.array([2, 8, 4, 4]),
        "i": np.array([0, 3, 1]),
    }
    return _model(nodes, [("x", [2, 8, 16])], [("y", [2, 3, 4])], weights)


def _shapes() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "zero", "one"], ["b"]),
        node("Concat", ["b", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["r"]),
        node("Split", ["r"], ["u", "v"], axis=1),
        node("Concat", ["v", "u"], ["c"], axis=1),
        node("Slice", ["c", "zero", "one", "one"], ["l"]),
        node("Expand", ["l", "wide"], ["y"]),
    ]
    weights = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([-1]),
        "wide": np.array([2, 3, 1]),
    }
    return _model(nodes, [("x", [4, 2, 3])], [("y", None)], weights)
