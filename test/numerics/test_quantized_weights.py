"""Layers of quantized weights compute what their weights in f32 do, and stay packed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import smartmem
from smartmem.compiler.compile import CompiledModel
from smartmem.errors import InvalidInputError
from smartmem.options import CompileOptions

GENERATOR = np.random.default_rng(0)

_OVERHEAD = 60_000
"""Bytes of a module of some kernels without its weights, at most."""


CONVOLUTIONS = {
    "dense": ((64, 32, 3, 3), 1),
    "grouped": ((64, 8, 3, 3), 4),
    "depthwise": ((32, 1, 3, 3), 32),
    "of single points": ((192, 32, 1, 1), 1),
}
"""Their weights [channels out, channels in a group, window], and groups."""


@dataclass(frozen=True)
class Layer:
    """A product by weights [channels, steps] of integers of ``bits``, in groups of steps."""

    rows: int
    steps: int
    channels: int
    bits: int
    group: int
    zeros: bool = False


ONE_ROW = [
    Layer(1, 256, 512, 4, 32),
    Layer(1, 128, 256, 4, 64, zeros=True),
    Layer(1, 64, 96, 8, 16, zeros=True),
    Layer(1, 64, 96, 2, 64),
    Layer(1, 40, 112, 4, 8),
    Layer(1, 40, 113, 4, 8),  # no whole vectors of channels
    Layer(1, 36, 128, 4, 12, zeros=True),  # a scale for each word and a half
]
ROWS = [
    Layer(5, 256, 512, 4, 32),
    Layer(20, 128, 256, 4, 32),
    Layer(21, 64, 80, 8, 64, zeros=True),
    Layer(22, 64, 96, 4, 64),
]


def built(layers: list[Layer]) -> tuple[Any, list[Any], list[Any]]:
    """A model of the layers side by side, its inputs, and what NumPy gives."""
    nodes, inputs, outputs, constants = [], [], [], []
    arrays, expected = [], []
    for number, layer in enumerate(layers):
        names = dict(
            zip("xqszwtvy", (f"{letter}{number}" for letter in "xqszwtvy"), strict=True)
        )
        half, groups = 1 << (layer.bits - 1), layer.steps // layer.group
        q = GENERATOR.integers(-half, half, (layer.channels, layer.steps)).astype(np.int8)
        s = (GENERATOR.random((layer.channels, groups)) * 0.1 + 0.01).astype(np.float32)
        z = GENERATOR.integers(-half, half, s.shape).astype(np.int8) * np.int8(layer.zeros)
        x = GENERATOR.standard_normal((layer.rows, layer.steps)).astype(np.float32)
        w = (q - np.repeat(z, layer.group, 1).astype(np.float32)) * np.repeat(s, layer.group, 1)
        arrays.append(x)
        expected.append(np.tanh(x.astype(np.float64) @ w.T.astype(np.float64)))
        constants += [
            numpy_helper.from_array(a, names[k]) for k, a in zip("qsz", (q, s, z), strict=True)
        ]
        nodes += [
            helper.make_node(
                "DequantizeLinear",
                [names[k] for k in "qsz"],
                [names["w"]],
                axis=1,
                block_size=layer.group,
            ),
            helper.make_node("Transpose", [names["w"]], [names["t"]], perm=[1, 0]),
            helper.make_node("MatMul", [names["x"], names["t"]], [names["v"]]),
            helper.make_node("Tanh", [names["v"]], [names["y"]]),
        ]
        inputs.append(helper.make_tensor_value_info(names["x"], TensorProto.FLOAT, x.shape))
        shape = (layer.rows, layer.channels)
        outputs.append(helper.make_tensor_value_info(names["y"], TensorProto.FLOAT, shape))
    graph = helper.make_graph(nodes, "layers", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model, arrays, expected


def compiled_and_checked(layers: list[Layer], target: str) -> CompiledModel:
    model, arrays, expected = built(layers)
    compiled = smartmem.compile(model, target=target, options=CompileOptions(strict=True))
    results = compiled(*arrays)
    results = [results] if len(layers) == 1 else results
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-4, atol=1e-5)
    return compiled


def test_one_row() -> None:
    compiled = compiled_and_checked(ONE_ROW, "cpu")
    packed = [r.reason for r in compiled.report.remarks if "bits" in r.reason and r.applied]
    assert len(packed) == 5


def test_vectors_of_eight_elements() -> None:
    compiled_and_checked(ONE_ROW[:2], "cpu:x86-64-v3")


def test_several_rows() -> None:
    compiled_and_checked(ROWS, "cpu")


def test_weights_stay_packed() -> None:
    layer = Layer(4, 512, 1024, 4, 32)
    compiled = compiled_and_checked([layer], "cpu")
    stored = layer.steps * layer.channels // 2 + layer.steps * layer.channels // 32 * 4
    assert compiled.path.stat().st_size < stored + _OVERHEAD


def linear_layers(rows: int) -> Any:
    """Two layers of 128 steps and 256 channels, and back, as text of MLIR with its weights."""
    sizes = {"w": (128, 256), "v": (256, 128)}
    weights = {k: GENERATOR.standard_normal(s).astype(np.float32) for k, s in sizes.items()}
    data = ", ".join(f'{k}: "0x04000000{weights[k].tobytes().hex()}"' for k in sizes)
    text = f"""\
func.func @main(%x: tensor<{rows}x128xf32>) -> tensor<{rows}x128xf32> {{
  %w = arith.constant dense_resource<w> : tensor<128x256xf32>
  %v = arith.constant dense_resource<v> : tensor<256x128xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{rows}x256xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{rows}x256xf32>) -> tensor<{rows}x256xf32>
  %m = linalg.matmul ins(%x, %w : tensor<{rows}x128xf32>, tensor<128x256xf32>) outs(%f : tensor<{rows}x256xf32>) -> tensor<{rows}x256xf32>
  %t = linalg.tanh ins(%m : tensor<{rows}x256xf32>) outs(%e : tensor<{rows}x256xf32>) -> tensor<{rows}x256xf32>
  %d = tensor.empty() : tensor<{rows}x128xf32>
  %g = linalg.fill ins(%zero : f32) outs(%d : tensor<{rows}x128xf32>) -> tensor<{rows}x128xf32>
  %n = linalg.matmul ins(%t, %v : tensor<{rows}x256xf32>, tensor<256x128xf32>) outs(%g : tensor<{rows}x128xf32>) -> tensor<{rows}x128xf32>
  return %n : tensor<{rows}x128xf32>
}}
{{-# dialect_resources: {{ builtin: {{ {data} }} }} #-}}"""
    return text, weights


def rounded(weights: Any, bits: int, group: int) -> Any:
    """Weights [steps, channels] as the pass rounds them: one of two scales for each group."""
    half = 1 << (bits - 1)
    groups = weights.T.reshape(weights.shape[1], -1, group)
    extreme = np.take_along_axis(groups, abs(groups).argmax(2)[..., None], 2)
    found = [
        np.clip(np.rint(groups / s), -half, half - 1) * s
        for s in (abs(extreme) / np.float32(half - 1), -extreme / np.float32(half))
    ]
    errors = [((w - groups) ** 2).sum(2, keepdims=True) for w in found]
    return np.where(errors[0] <= errors[1], *found).reshape(weights.T.shape).T


@pytest.mark.parametrize(
    ("form", "bits", "group"), [("int4:group=16", 4, 16), ("int8", 8, None)]
)
def test_rounded_weights(form: str, bits: int, group: int | None, tmp_path: Path) -> None:
    text, weights = linear_layers(1)
    path = tmp_path / "layers.mlir"
    path.write_text(text)
    w, v = (rounded(weights[k], bits, group or len(weights[k])) for k in "wv")
    x = GENERATOR.standard_normal((1, 128)).astype(np.float32)
    options = CompileOptions(weights=form, strict=True)
    compiled = smartmem.compile(path, target="cpu", options=options)
    np.testing.assert_allclose(compiled(x), np.tanh(x @ w) @ v, rtol=1e-4, atol=1e-3)
    assert compiled.path.stat().st_size < 2 * 128 * 256 * bits * 2 // 16 + _OVERHEAD
    errors = [r for r in compiled.report.remarks if "relative error" in r.reason and r.applied]
    assert len(errors) == 2


def test_forms_of_weights_that_are_none() -> None:
    for form in ("int3", "int4:", "int4:group", "int4:group=-1", "int8:error=0", "int8:x=1"):
        with pytest.raises(InvalidInputError, match="use int8 or int4"):
            CompileOptions(weights=form)


def test_weights_for_a_gpu_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "layers.mlir"
    path.write_text(linear_layers(1)[0])
    with pytest.raises(InvalidInputError, match="on CPUs only"):
        smartmem.compile(path, target="adreno", options=CompileOptions(weights="int8"))


def test_convolutions_by_integers() -> None:
    """With a bias, a zero point, and a scale for each channel."""
    nodes, outputs, constants = [], [], []
    x = GENERATOR.standard_normal((1, 32, 12, 12)).astype(np.float32)
    for number, (shape, group) in enumerate(CONVOLUTIONS.values()):
        q = GENERATOR.integers(-100, 100, shape).astype(np.int8)
        s = (GENERATOR.random(shape[0]) * 0.1 + 0.01).astype(np.float32)
        z = GENERATOR.integers(-20, 20, shape[0]).astype(np.int8)
        b = GENERATOR.standard_normal(shape[0]).astype(np.float32)
        names = [f"{letter}{number}" for letter in "qszb"]
        constants += map(numpy_helper.from_array, (q, s, z, b), names)
        nodes += [
            helper.make_node("DequantizeLinear", names[:3], [f"w{number}"], axis=0),
            helper.make_node(
                "Conv", ["x", f"w{number}", names[3]], [f"c{number}"],
                group=group, pads=[shape[2] // 2] * 4,
            ),
            helper.make_node("Relu", [f"c{number}"], [f"y{number}"]),
        ]  # fmt: skip
        sizes = (1, shape[0], 12, 12)
        outputs.append(helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, sizes))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    graph = helper.make_graph(nodes, "convolutions", [given], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    compiled = smartmem.compile(model, target="cpu", options=CompileOptions(strict=True))
    reference = ReferenceEvaluator(model).run(None, {"x": x})
    for ours, theirs in zip(compiled(x), reference, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * abs(theirs).max())
    narrow = [r for r in compiled.report.remarks if "multiplies by integers" in r.reason]
    assert len(narrow) == 3  # the depthwise one has so few weights that they are stored in f32
