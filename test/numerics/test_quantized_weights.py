"""Layers of quantized weights compute what their weights in f32 do, and stay packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

import smartmem
from smartmem.compiler.compile import CompiledModel
from smartmem.options import CompileOptions

GENERATOR = np.random.default_rng(0)

_OVERHEAD = 60_000
"""Bytes of a module of some kernels without its weights, at most."""


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


@pytest.mark.parametrize("target", ["cpu", "cpu:x86-64-v3"])
def test_one_row(target: str) -> None:
    compiled = compiled_and_checked(ONE_ROW, target)
    packed = [r.reason for r in compiled.report.remarks if "bits" in r.reason and r.applied]
    assert len(packed) == 5


def test_several_rows() -> None:
    compiled_and_checked(ROWS, "cpu")


@pytest.mark.parametrize("rows", [1, 4])
def test_weights_stay_packed(rows: int) -> None:
    layer = Layer(rows, 512, 1024, 4, 32)
    compiled = compiled_and_checked([layer], "cpu")
    stored = layer.steps * layer.channels // 2 + layer.steps * layer.channels // 32 * 4
    assert compiled.path.stat().st_size < stored + _OVERHEAD
