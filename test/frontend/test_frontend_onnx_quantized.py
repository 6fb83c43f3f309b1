"""Quantized ONNX operators: integers agree to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_models import GENERATOR, floats, model, value

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model

# Sevens of bits: ONNX Runtime saturates sums of larger products of u8 and s8.
_SMALL = 60

TYPES = {
    np.int8: TensorProto.INT8,
    np.uint8: TensorProto.UINT8,
    np.int16: TensorProto.INT16,
    np.uint16: TensorProto.UINT16,
}


def integers(dtype: Any, *shape: int) -> Any:
    low = 0 if np.dtype(dtype).kind == "u" else -_SMALL
    return GENERATOR.integers(low, _SMALL, shape).astype(dtype)


@pytest.mark.parametrize("kind", ["tensor", "axis", "blocks"])
def test_quantization_rounds_to_even_and_saturates(
    check: Callable[..., None], kind: str
) -> None:
    x = floats(4, 6) * 100
    x.flat[:6] = [0.5, 1.5, -0.5, 2.5, 1e9, -1e9]
    scales = {"tensor": np.float32(0.5), "axis": abs(floats(6)), "blocks": abs(floats(4, 2))}
    scale = scales[kind]
    axis = {"tensor": {}, "axis": {"axis": -1}, "blocks": {"axis": 1, "block_size": 4}}[kind]
    nodes, outputs, constants = list[NodeProto](), [], {"scale": scale}
    for dtype, element in TYPES.items():
        name = np.dtype(dtype).name
        constants[f"zero_{name}"] = integers(dtype, *scale.shape)
        parameters = ["scale", f"zero_{name}"]
        nodes += [
            helper.make_node("QuantizeLinear", ["x", *parameters], [f"q_{name}"], **axis),
            helper.make_node("DequantizeLinear", [f"q_{name}", *parameters], [name], **axis),
        ]
        outputs += [value(f"q_{name}", 4, 6, element=element), value(name, 4, 6)]
    proto = model(nodes, [value("x", 4, 6)], outputs, constants, opset=21)
    check(import_model(proto), x, tolerance=0)


def test_scales_and_zero_points_that_are_inputs(check: Callable[..., None]) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=0),
        helper.make_node("DequantizeLinear", ["i", "t"], ["b"]),
    ]
    inputs = [
        value("x", 3, 4),
        value("s", 3),
        value("z", 3, element=TensorProto.UINT8),
        value("i", 4, element=TensorProto.INT32),
        value("t"),
    ]
    arrays = [floats(3, 4) * 9, abs(floats(3)), integers(np.uint8, 3)]
    arrays += [
        np.array([2**31 - 1, -(2**31), 16777217, -5], np.int32),
        np.array(0.013, np.float32),
    ]
    outputs = [value("y", 3, 4), value("b", 4)]
    check(import_model(model(nodes, inputs, outputs, opset=13)), *arrays, tolerance=0)


def test_dynamic_quantization(check: Callable[..., None]) -> None:
    nodes, outputs, inputs, arrays = list[NodeProto](), [], [], []
    for number, x in enumerate(
        [floats(4, 5) * 3, abs(floats(2, 3)), -abs(floats(7)), np.zeros((2, 2), np.float32)]
    ):
        names = [f"{letter}{number}" for letter in "qsz"]
        nodes.append(helper.make_node("DynamicQuantizeLinear", [f"x{number}"], names))
        inputs.append(value(f"x{number}", *x.shape))
        arrays.append(x)
        outputs += [
            value(names[0], *x.shape, element=TensorProto.UINT8),
            value(names[1]),
            value(names[2], element=TensorProto.UINT8),
        ]
    check(import_model(model(nodes, inputs, outputs)), *arrays, tolerance=0)


def _convolution(number: int, signed: bool, per_channel: bool, bias: bool, **how: Any) -> Any:
    """A QLinearConv of 4 channels to 6 on a 7x8 picture, and its constants."""
    dtype = np.int8 if signed else np.uint8
    count = (6,) if per_channel else ()
    group = how.get("group", 1)
    # Weights of the image's type: a zero point of signed weights is zero by convention.
    zeros = np.zeros(count, dtype) if signed else integers(dtype, *count)
    constants = {
        "xs": np.float32(0.02),
        "xz": integers(dtype),
        "w": integers(dtype, 6, 4 // group, 3, 2),
        "ws": abs(GENERATOR.uniform(0.01, 0.05, count)).astype(np.float32),
        "wz": zeros,
        "ys": np.float32(0.3),
        "yz": integers(dtype),
    }
    if bias:
        constants["b"] = GENERATOR.integers(-9000, 9000, 6).astype(np.int32)
    names = [f"{name}{number}" for name in constants]
    image = "signed" if signed else "unsigned"
    node = helper.make_node("QLinearConv", [image, *names], [f"y{number}"], **how)
    return node, {f"{name}{number}": array for name, array in constants.items()}


def test_quantized_convolutions(check: Callable[..., None]) -> None:
    made = [
        _convolution(0, True, True, True, pads=[1, 0, 1, 2]),
        _convolution(1, True, False, True, pads=[0, 1, 2, 0], group=2),
        _convolution(2, False, True, False, pads=[1, 1, 1, 1], dilations=[2, 1]),
        _convolution(3, False, False, False, auto_pad="SAME_LOWER", strides=[2, 2]),
        _convolution(4, False, True, True, auto_pad="VALID", strides=[1, 2]),
    ]
    nodes = [node for node, _ in made]
    constants = {name: array for _, some in made for name, array in some.items()}
    inputs = [
        value("signed", 2, 4, 7, 8, element=TensorProto.INT8),
        value("unsigned", 2, 4, 7, 8, element=TensorProto.UINT8),
    ]
    shapes = [(7, 9), (7, 8), (5, 9), (4, 4), (5, 4)]
    outputs = [
        value(f"y{n}", 2, 6, *size, element=inputs[n > 1].type.tensor_type.elem_type)
        for n, size in enumerate(shapes)
    ]
    arrays = [integers(np.int8, 2, 4, 7, 8), integers(np.uint8, 2, 4, 7, 8) * 4]
    check(import_model(model(nodes, inputs, outputs, constants)), *arrays, tolerance=0)


def test_products_of_integers(check: Callable[..., None]) -> None:
    nodes = [
        helper.make_node(
            "QLinearMatMul", ["a", "as", "az", "w", "ws", "wz", "ys", "yz"], ["y"]
        ),
        helper.make_node(
            "QLinearMatMul", ["a", "as", "az", "v", "as", "az", "ys", "yz"], ["z"]
        ),
        helper.make_node("MatMulInteger", ["a", "w", "az", "wz"], ["m"]),
        helper.make_node("ConvInteger", ["i", "f", "az"], ["c"], pads=[2, 0, 1, 1]),
    ]
    constants = {
        "as": np.float32(0.02),
        "az": np.uint8(110),
        "w": integers(np.uint8, 8, 6),
        "ws": abs(floats(6)) / 50,
        "wz": integers(np.uint8, 6),
        "ys": np.float32(0.05),
        "yz": np.uint8(128),
        "f": integers(np.uint8, 3, 2, 3, 2),
    }
    shapes = {"a": (2, 5, 8), "v": (2, 8, 3), "i": (1, 2, 6, 6)}
    inputs = [value(name, *shape, element=TensorProto.UINT8) for name, shape in shapes.items()]
    outputs = [
        value("y", 2, 5, 6, element=TensorProto.UINT8),
        value("z", 2, 5, 3, element=TensorProto.UINT8),
        value("m", 2, 5, 6, element=TensorProto.INT32),
        value("c", 1, 3, 7, 6, element=TensorProto.INT32),
    ]
    arrays = [integers(np.uint8, *shape) * 4 for shape in shapes.values()]
    check(import_model(model(nodes, inputs, outputs, constants)), *arrays, tolerance=0)


def test_sums_of_large_products_are_exact(run: Callable[..., Any]) -> None:
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    inputs = [value("a", 1, 64, element=TensorProto.UINT8)]
    outputs = [value("y", 1, 1, element=TensorProto.INT32)]
    a, b = np.full((1, 64), 255, np.uint8), np.full((64, 1), -128, np.int8)
    (result,) = run(import_model(model([node], inputs, outputs, {"b": b})), [a])
    assert result == -255 * 128 * 64


def test_vector_of_zero_points_belongs_to_rows(run: Callable[..., Any]) -> None:
    node = helper.make_node("MatMulInteger", ["a", "b", "az"], ["y"])
    a, b, zeros = integers(np.int8, 3, 4), integers(np.int8, 4, 2), integers(np.int8, 3)
    outputs = [value("y", 3, 2, element=TensorProto.INT32)]
    inputs = [value("a", 3, 4, element=TensorProto.INT8)]
    imported = import_model(model([node], inputs, outputs, {"b": b, "az": zeros}))
    (result,) = run(imported, [a])
    wide = a.astype(np.int32) - zeros[:, None].astype(np.int32)
    np.testing.assert_array_equal(result, wide @ b.astype(np.int32))


@pytest.mark.parametrize("opset", [10, 13, 17])
def test_quantized_weights_of_older_opsets(check: Callable[..., None], opset: int) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]),
        helper.make_node("Conv", ["x", "d"], ["y"]),
    ]
    constants = {"w": integers(np.int8, 4, 3, 3, 3), "s": np.float32(0.01), "z": np.int8(0)}
    inputs, outputs = [value("x", 1, 3, 6, 6)], [value("y", 1, 4, 4, 4)]
    imported = import_model(model(nodes, inputs, outputs, constants, opset=opset))
    assert [array.dtype for array in imported.parameters.values()] == [np.int8]
    check(imported, floats(1, 3, 6, 6))


@pytest.mark.parametrize(
    ("scale", "attributes", "message"),
    [
        ([0.1, 0.2], {"axis": 2}, "'q'.*axis is 2"),
        ([0.1, 0.2], {"axis": 0}, "'q'.*shape 2"),
        ([[0.1, 0.2]], {"axis": 1, "block_size": 3}, "'q'.*shape 1x2"),
    ],
)
def test_parameters_that_do_not_fit(
    scale: Sequence[Any], attributes: dict[str, int], message: str
) -> None:
    constants = {"s": np.array(scale, np.float32)}
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"], name="q", **attributes)
    outputs = [value("y", 3, 4, element=TensorProto.UINT8)]
    with pytest.raises(InvalidInputError, match=message):
        import_model(model([node], [value("x", 3, 4)], outputs, constants, opset=21))


def test_eight_bit_floats_are_refused() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], "n", output_dtype=17),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    proto = model(nodes, [value("x", 3)], [value("y", 3)], {"s": np.float32(1)}, opset=21)
    with pytest.raises(UnsupportedError, match=r"QuantizeLinear.*'n'.*FLOAT8E4M3FN"):
        import_model(proto)


def test_casts_to_all_integers(check: Callable[..., None]) -> None:
    elements = [*TYPES.values(), TensorProto.UINT32, TensorProto.UINT64]
    nodes, outputs = list[NodeProto](), []
    for source in ("x", "i"):
        for element in elements:
            node = helper.make_node("Cast", [source], [f"{source}{element}"], to=element)
            nodes.append(node)
            outputs.append(value(f"{source}{element}", 4, element=element))
    inputs = [value("x", 4), value("i", 4, element=TensorProto.INT32)]
    arrays = [np.array([0, 1.9, 100.5, 127], np.float32), np.array([0, 1, 100, 127], np.int32)]
    nodes.append(helper.make_node("Cast", ["big"], ["c"], to=TensorProto.UINT16))
    nodes.append(helper.make_node("Cast", ["big"], ["d"], to=TensorProto.UINT32))
    inputs.append(value("big", 2))
    outputs.append(value("c", 2, element=TensorProto.UINT16))
    outputs.append(value("d", 2, element=TensorProto.UINT32))
    arrays.append(np.array([65535, 40000], np.float32))
    check(import_model(model(nodes, inputs, outputs)), *arrays, tolerance=0)


def test_long_sums_of_large_products_are_exact(run: Callable[..., Any]) -> None:
    """More than 2^24: a float holds them only in parts. ONNX Runtime may saturate them."""
    a = GENERATOR.integers(200, 256, (2, 1400)).astype(np.uint8)
    b = GENERATOR.integers(-128, -60, (1400, 3)).astype(np.int8)
    nodes = [
        helper.make_node("MatMulInteger", ["a", "B"], ["y"]),
        helper.make_node("MatMulInteger", ["a", "b", "z"], ["computed"]),
    ]
    inputs = [
        value("a", *a.shape, element=TensorProto.UINT8),
        value("b", *b.shape, element=TensorProto.INT8),
    ]
    outputs = [value(name, 2, 3, element=TensorProto.INT32) for name in ("y", "computed")]
    proto = model(nodes, inputs, outputs, {"B": b, "z": np.uint8(3)})
    wide = a.astype(np.int32)
    expected = [wide @ b.astype(np.int32), (wide - 3) @ b.astype(np.int32)]
    assert abs(expected[0]).max() > 1 << 24
    results = run(import_model(proto), [a, b])
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
