"""NaN goes where ONNX and PyTorch let it go, through the import and through the passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_models import model, value

import smartmem

NAN, INF = np.nan, np.inf
X = np.array([[NAN, 1, -2, 4], [3, NAN, 0, -7], [INF, -INF, 1, NAN], [5, 2, 7, 1]], np.float32)
Y = np.array([[0, NAN, 5, 1], [NAN, NAN, 0, 2], [NAN, 1, NAN, 2], [1, 9, 3, NAN]], np.float32)
CONSTANTS = {"zero": np.float32(0), "one": np.float32(1), "two": np.array([2])}

SAME_AS_ONNX: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "max": ("Max", ["x", "y"], {}),
    "max_constant": ("Max", ["x", "zero"], {}),
    "max_of_constant": ("Max", ["zero", "x"], {}),
    "min": ("Min", ["x", "y"], {}),
    "min_constant": ("Min", ["x", "zero"], {}),
    "relu": ("Relu", ["x"], {}),
    "clip": ("Clip", ["x", "zero", "one"], {}),
    "clip_below": ("Clip", ["x", "zero"], {}),
    "leaky": ("LeakyRelu", ["x"], {}),
    "elu": ("Elu", ["x"], {}),
    "hard_sigmoid": ("HardSigmoid", ["x"], {}),
    "hard_swish": ("HardSwish", ["x"], {}),
    "softmax": ("Softmax", ["x"], {"axis": 0}),
    "largest": ("ReduceMax", ["x"], {"axes": [1]}),
    "least": ("ReduceMin", ["x"], {"axes": [0]}),
    "argmax": ("ArgMax", ["x"], {"axis": 1}),
    "argmin": ("ArgMin", ["x"], {"axis": 0}),
    "less": ("Less", ["x", "y"], {}),
}
"""By the name of a result: operator, operands, attributes. Numbers as onnx's evaluator."""


def _outputs() -> list[onnx.ValueInfoProto]:
    elements = {
        "ArgMax": TensorProto.INT64,
        "ArgMin": TensorProto.INT64,
        "Less": TensorProto.BOOL,
    }
    outputs = []
    for name, (operator, _, attributes) in SAME_AS_ONNX.items():
        axis = attributes.get("axes", [attributes.get("axis", 0)])[0]
        reduced = operator.startswith(("Reduce", "Arg"))
        shape = ((1, 4), (4, 1))[axis] if reduced else (4, 4)
        outputs.append(value(name, *shape, element=elements.get(operator, TensorProto.FLOAT)))
    return outputs


def test_what_selects_by_comparison(target: str) -> None:
    nodes = [
        helper.make_node(operator, operands, [name], **attributes)
        for name, (operator, operands, attributes) in SAME_AS_ONNX.items()
    ]
    nodes.append(helper.make_node("TopK", ["x", "two"], ["values", "places"], axis=1))
    nodes.append(helper.make_node("Unsqueeze", ["x", "leading"], ["picture"]))
    nodes.append(helper.make_node("MaxPool", ["picture"], ["pooled"], kernel_shape=[2, 2]))
    outputs = [*_outputs(), value("values", 4, 2), value("pooled", 1, 1, 3, 3)]
    constants = {**CONSTANTS, "leading": np.array([0, 1])}
    proto = model(nodes, [value("x", 4, 4), value("y", 4, 4)], outputs, constants)
    *ours, largest, pooled = smartmem.compile(proto, target=target)(X, Y)
    theirs = ReferenceEvaluator(proto).run(list(SAME_AS_ONNX), {"x": X, "y": Y})
    for name, result, expected in zip(SAME_AS_ONNX, ours, theirs, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=name)
    # NaN is the largest number to a sort, and the maximum of its window.
    np.testing.assert_array_equal(largest, [[NAN, 4], [NAN, 3], [NAN, INF], [7, 5]])
    np.testing.assert_array_equal(pooled[0, 0], [[NAN, NAN, 4], [NAN, NAN, NAN], [INF, 7, NAN]])


def test_a_choice_written_as_one_stays_one() -> None:
    """``where(x > y, x, y)`` gives y where x is NaN."""
    nodes = [
        helper.make_node("Greater", ["x", "y"], ["above"]),
        helper.make_node("Where", ["above", "x", "y"], ["z"]),
    ]
    proto = model(nodes, [value("x", 4, 4), value("y", 4, 4)], [value("z", 4, 4)])
    result = smartmem.compile(proto, target="cpu")(X, Y)
    np.testing.assert_array_equal(result, np.where(X > Y, X, Y))


def test_nan_stays_in_its_row_of_an_attention(target: str) -> None:
    """Passes pad keys and blocks; what they add must neither hide nor spread NaN."""
    generator = np.random.default_rng(0)
    query, key = (generator.standard_normal((1, 2, 5, 8)).astype(np.float32) for _ in range(2))
    query[0, 1, 3, 2] = NAN
    nodes = [
        helper.make_node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "t"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "k"], ["y"]),
    ]
    inputs = [value("q", *query.shape), value("k", *key.shape)]
    proto = model(nodes, inputs, [value("y", 1, 2, 5, 8)])
    result = np.asarray(smartmem.compile(proto, target=target)(query, key))
    expected = ReferenceEvaluator(proto).run(None, {"q": query, "k": key})[0]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)
