"""Operators of ONNX that are written in simpler ones: one model of many, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx_models import floats, model, value

from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model

Run = Callable[..., "list[Any]"]


def _graph(
    nodes: Sequence[tuple[str, str, int, Mapping[str, Any]]],
    inputs: Mapping[str, Any],
    constants: Mapping[str, Any],
    opset: int,
) -> onnx.ModelProto:
    """A node of each operator, operands in a string, and a number of results."""
    made, names = [], []
    for number, (operator, operands, count, attributes) in enumerate(nodes):
        results = [f"{operator}_{number}_{k}" for k in range(count)]
        operands_ = ["" if name == "-" else name for name in operands.split()]
        made.append(helper.make_node(operator, operands_, results, **attributes))
        names += results
    outputs = [helper.make_empty_tensor_value_info(name) for name in names]
    given = [
        value(name, *array.shape, element=helper.np_dtype_to_tensor_dtype(array.dtype))
        for name, array in inputs.items()
    ]
    return model(made, given, outputs, dict(constants), opset=opset)


def _check(run: Run, proto: onnx.ModelProto, inputs: Mapping[str, Any]) -> None:
    """Compares with onnx's evaluator, which computes these operators right."""
    expected = ReferenceEvaluator(proto).run(None, dict(inputs))
    results = run(import_model(proto), list(inputs.values()))
    for output, result, wanted in zip(proto.graph.output, results, expected, strict=True):
        assert result.shape == np.shape(wanted), output.name
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-5, err_msg=output.name)


def test_spectra_losses_and_determinants(run: Run) -> None:
    inputs = {
        "x": floats(2, 6, 4, 5),
        "s": floats(2, 13, 1),
        "c": floats(2, 13, 2),
        "one": floats(1, 1),
        "square": floats(3, 5, 5),
        "scores": floats(3, 5, 4),
        "classes": np.array([[0, 2, 1, 2], [4, 4, 2, 0], [1, 3, 3, 2]], np.int64),
        "none": floats(0, 4),
        "odd": np.array([np.nan, -np.inf, -2, -0.0, 3], np.float32),
    }
    constants = {
        "two": np.array([2]),
        "zeros": np.array([1, 1, 0, 2]),
        "flat": np.array([4, 0]),
        "parts": np.array([2, 0, 4]),
        "first": np.array([0]),
        "three": np.array([3]),
        "step": np.int64(2),
        "five": np.int64(5),
        "eight": np.int64(8),
        "sixteen": np.int64(16),
        "axis": np.int64(-2),
        "window": np.hanning(8).astype(np.float32),
        "scale": floats(3),
        "bias": floats(3),
        "weights": np.abs(floats(5)),
    }
    nodes = [
        ("DFT", "s - axis", 1, {}),
        ("DFT", "s eight axis", 1, {"onesided": 1}),
        ("DFT", "c sixteen axis", 1, {"inverse": 1}),
        ("DFT", "c five axis", 1, {}),
        ("DFT", "c - axis", 1, {"inverse": 1, "onesided": 1}),
        ("STFT", "s step window", 1, {}),
        ("STFT", "c five - eight", 1, {"onesided": 0}),
        ("Det", "square", 1, {}),
        ("Det", "one", 1, {}),
        ("NegativeLogLikelihoodLoss", "scores classes weights", 1, {"ignore_index": 2}),
        ("SoftmaxCrossEntropyLoss", "scores classes weights", 2, {"reduction": "none"}),
        ("GroupNormalization", "x scale bias", 1, {"num_groups": 3}),
        ("Softsign", "x", 1, {}),
        ("Sign", "odd", 1, {}),
        ("TopK", "x three", 2, {"axis": 1}),
        ("Tile", "x zeros", 1, {}),
        ("Reshape", "none flat", 1, {"allowzero": 1}),
        ("Split", "x parts", 3, {"axis": 1}),
        ("ReduceSum", "none first", 1, {"keepdims": 0}),
        ("TopK", "x two", 2, {"largest": 0}),
    ]
    _check(run, _graph(nodes, inputs, constants, 20), inputs)


@pytest.mark.skipif(not onnx.defs.has("CumProd"), reason="onnx is older than CumProd")
def test_running_products_and_caches(run: Run) -> None:
    inputs = {
        "x": floats(3, 4),
        "cache": floats(2, 3, 6, 4),
        "new": floats(2, 3, 2, 4),
        "starts": np.array([1, 5], np.int64),
        "rows": floats(2, 6, 3),
        "few": floats(2, 2, 3),
    }
    starts = {"low": np.array([0, 4]), "axis": np.int64(1), "last": np.int64(-1)}
    nodes = [
        ("CumProd", "x axis", 1, {"exclusive": 1}),
        ("CumProd", "x last", 1, {"reverse": 1}),
        ("TensorScatter", "cache new starts", 1, {"mode": "circular"}),
        ("TensorScatter", "rows few low", 1, {}),
        ("TensorScatter", "rows few", 1, {"axis": 1}),
    ]
    proto = _graph(nodes, inputs, starts, 26)
    proto.ir_version = 13
    _check(run, proto, inputs)


def test_determinants_of_large_matrices_are_refused() -> None:
    proto = _graph([("Det", "m", 1, {})], {"m": floats(11, 11)}, {}, 17)
    with pytest.raises(UnsupportedError, match=r"operator Det .*up to 10 rows, not of 11"):
        import_model(proto)
