"""Integers without a sign, and operators that are lowered for floats only: the numbers agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_models import model, value

from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model

_BOOL = TensorProto.BOOL
_COMPARED = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
_PAIRS = ("Mod", "Div", "Max", "Min", "Add", "Mul")
_REDUCED = ("ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare", "ReduceProd")
_NODES = {
    **{kind: (("x", "y"), {}) for kind in (*_COMPARED, *_PAIRS)},
    **{kind: (("x",), {"axes": [1], "keepdims": 0}) for kind in _REDUCED},
    "ArgMax": (("x",), {"axis": 1}),
    "BitShift": (("x", "three"), {"direction": "RIGHT"}),
    "Sign": (("x",), {}),
    "Abs": (("x",), {}),
    "Clip": (("x", "low", "high"), {}),
    "MatMul": (("x", "column"), {}),
    "Pow": (("x", "three"), {}),
    "ScatterElements": (("x", "places", "y"), {"reduction": "max"}),
    "TopK": (("x", "count"), {}),
    "Trilu": (("x",), {"upper": 0}),
}
_OF_32_BITS = ("Mod", "Div", "ScatterElements", "TopK")


def _graph(dtype: Any, kinds: list[str], x: Any, y: Any) -> Any:
    """A node of each kind."""
    element, top = helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), np.iinfo(dtype).max
    constants = {
        "three": np.full(x.shape, 3, dtype),
        "low": dtype(2),
        "high": dtype(top - 3),
        "column": np.array([[1], [top], [3], [7]], dtype),
        "places": np.zeros(x.shape, np.int64),
        "count": np.array([2], np.int64),
    }
    outputs = {"TopK": ["TopK", "at"]}
    nodes = [
        helper.make_node(k, _NODES[k][0], outputs.get(k, [k]), **_NODES[k][1]) for k in kinds
    ]
    nodes.append(helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT))
    names = [name for node in nodes for name in node.output]
    results = [helper.make_empty_tensor_value_info(name) for name in names]
    inputs = [value(name, *x.shape, element=element) for name in "xy"]
    return model(nodes, inputs, results, constants)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_no_bit_is_a_sign(run: Callable[..., list[Any]], dtype: Any) -> None:
    top = np.iinfo(dtype).max
    x = np.array([[0, 1, 2, 3], [top, top - 1, top // 2 + 1, 250], [7, top - 5, 200, 9]], dtype)
    y = np.array([[1, top, 3, 200], [3, 7, 200, top // 2 + 1], [200, 3, 7, top]], dtype)
    kinds = [k for k in _NODES if dtype is not np.uint64 or k not in _OF_32_BITS]
    proto = _graph(dtype, kinds, x, y)
    expected = ReferenceEvaluator(proto).run(None, {"x": x, "y": y})
    results = run(import_model(proto), [x, y])
    for output, result, wanted in zip(proto.graph.output, results, expected, strict=True):
        if wanted.dtype.kind == "u":  # the evaluator's sums are of 64 bits
            result, wanted = result.view(dtype), wanted.astype(dtype)
        np.testing.assert_array_equal(result, wanted, err_msg=output.name)


@pytest.mark.parametrize("kind", _OF_32_BITS)
def test_64_bits_are_refused_where_no_signed_ones_do(kind: str) -> None:
    x = np.ones((3, 4), np.uint64)
    with pytest.raises(UnsupportedError, match=rf"{kind} .*64 unsigned bits"):
        import_model(_graph(np.uint64, [kind], x, x))


def test_exponents_without_a_sign(run: Callable[..., list[Any]]) -> None:
    x, y = np.array([0.5, 1.1, 3], np.float32), np.array([200, 130, 3], np.uint8)
    node = helper.make_node("Pow", ["x", "y"], ["z"])
    inputs = [value("x", 3), value("y", 3, element=TensorProto.UINT8)]
    (result,) = run(import_model(model([node], inputs, [value("z", 3)])), [x, y])
    np.testing.assert_allclose(result, x ** y.astype(np.float32), rtol=1e-5)


def test_powers_and_means_of_integers(run: Callable[..., list[Any]]) -> None:
    x = np.array([[-3, 4, 0, 1], [2**31 - 1, 2**31 - 2, 5, -7]], np.int32)
    nodes = [helper.make_node("Pow", ["x", f"p{p}"], [f"o{p}"]) for p in (0, 2, 5)]
    nodes.append(helper.make_node("ReduceMean", ["x"], ["row"], axes=[-1], keepdims=0))
    nodes.append(helper.make_node("ReduceMean", ["x"], ["whole"]))
    outputs = [helper.make_empty_tensor_value_info(n.output[0]) for n in nodes]
    powers = {f"p{p}": np.int32(p) for p in (0, 2, 5)}
    proto = model(nodes, [value("x", 2, 4, element=TensorProto.INT32)], outputs, powers)
    *raised, row, whole = run(import_model(proto), [x])
    for power, result in zip((0, 2, 5), raised, strict=True):
        np.testing.assert_array_equal(result, x**power)
    wide = x.astype(np.int64)
    np.testing.assert_array_equal(row, np.trunc(wide.sum(1) / 4))
    np.testing.assert_array_equal(whole, [[int(wide.sum() / 8)]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32])
def test_shifts_by_all_bits_or_by_less_than_none(
    run: Callable[..., list[Any]], dtype: Any
) -> None:
    bits, least = 8 * np.dtype(dtype).itemsize, np.iinfo(dtype).min
    x = (
        np.array([-8, 5, 1, -1, 7, -7], dtype)
        if least
        else np.array([248, 5, 1, 255, 7, 9], dtype)
    )
    counts = [bits, bits + 1, 2, bits - 1, 120 if least == 0 else -1, -3 if least else 200]
    y, element = np.array(counts, dtype), helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    sides = ("LEFT", "RIGHT")
    nodes = [helper.make_node("BitShift", ["x", "y"], [s], direction=s) for s in sides]
    outputs = [value(side, 6, element=element) for side in sides]
    inputs = [value(name, 6, element=element) for name in "xy"]
    proto = model(nodes, inputs, outputs, opset=28)
    left, right = run(import_model(proto), [x, y])
    wide, inside = x.astype(object), [0 <= count < bits for count in counts]
    signs = np.where(x < 0, -1, 0)
    shifted = [n << c if ok else 0 for n, c, ok in zip(wide, counts, inside, strict=True)]
    np.testing.assert_array_equal(left.view(dtype), np.array(shifted).astype(dtype))
    expected = [
        n >> c if ok else s for n, c, ok, s in zip(wide, counts, inside, signs, strict=True)
    ]
    np.testing.assert_array_equal(right.view(dtype), np.array(expected).astype(dtype))


def test_remainders_in_double_precision_are_refused() -> None:
    double = [value(name, 3, element=TensorProto.DOUBLE) for name in "xyz"]
    node = helper.make_node("Mod", ["x", "y"], ["z"], fmod=1, name="rest")
    with pytest.raises(UnsupportedError, match=r"Mod \(node 'rest'\): .* cast to FLOAT"):
        import_model(model([node], double[:2], double[2:]))


@pytest.mark.parametrize("p", [1, 2])
def test_a_norm_of_zero_divides_to_zero(run: Callable[..., list[Any]], p: int) -> None:
    x = np.array([[0, 0, 0], [3, -4, 0]], np.float32)
    node = helper.make_node("LpNormalization", ["x"], ["z"], p=p)
    (result,) = run(import_model(model([node], [value("x", 2, 3)], [value("z", 2, 3)])), [x])
    norm = 7 if p == 1 else 5
    np.testing.assert_allclose(result, [[0, 0, 0], [3 / norm, -4 / norm, 0]], rtol=1e-6)
