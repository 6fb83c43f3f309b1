"""Recurrent ONNX layers in all their forms agree with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_models import floats, model, value

from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 2
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
LENGTHS = np.array([5, 1, 3], np.int32)


class Layers:
    """A model of several layers that read the same sequence, and one that is reversed."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}
        self.outputs: list[onnx.ValueInfoProto] = []

    def add(self, operator: str, given: str = "", shown: str = "", **how: Any) -> None:
        """Adds a layer.

        Args:
            operator: LSTM, GRU or RNN.
            given: the operands it has: (b)ias, (l)engths, states (h) and (c), (p)eepholes.
            shown: the outputs it leaves out, of (y), (h) and (c).
            how: attributes.
        """
        count = 2 if how.get("direction") == "bidirectional" else 1
        rows, stem = GATES[operator] * HIDDEN, f"n{len(self.nodes)}"
        shapes = {"b": (count, 2 * rows), "l": (), "h": (count, BATCH, HIDDEN)}
        shapes |= {"c": shapes["h"], "p": (count, 3 * HIDDEN)}
        self.constants[f"{stem}w"] = floats(count, rows, INPUT)
        self.constants[f"{stem}r"] = floats(count, rows, HIDDEN)
        for key in given.replace("l", ""):
            self.constants[stem + key] = floats(*shapes[key])
        names = [stem + key if key in given else "" for key in "blhcp"]
        names[1] = "lengths" if "l" in given else ""
        names = ["x", f"{stem}w", f"{stem}r", *names][: 8 if operator == "LSTM" else 6]
        sizes = {"y": (TIME, count, BATCH, HIDDEN), "h": shapes["h"], "c": shapes["h"]}
        if operator != "LSTM":
            del sizes["c"]
        outputs = [f"{stem}_{key}" if key not in shown else "" for key in sizes]
        self.nodes.append(helper.make_node(operator, names, outputs, hidden_size=HIDDEN, **how))
        for key, size in sizes.items():
            if key not in shown:
                self.outputs.append(value(f"{stem}_{key}", *size))

    def check(self, check: Callable[..., None], opset: int = 17) -> None:
        """Asserts that the model computes what ONNX Runtime does."""
        inputs = [value("x", TIME, BATCH, INPUT)]
        arrays = [floats(TIME, BATCH, INPUT)]
        if any("lengths" in node.input for node in self.nodes):
            inputs.append(value("lengths", BATCH, element=TensorProto.INT32))
            arrays.append(LENGTHS)
        proto = model(self.nodes, inputs, self.outputs, self.constants, opset=opset)
        check(import_model(proto), *arrays)


def test_lstm(check: Callable[..., None]) -> None:
    layers = Layers()
    layers.add("LSTM", "blhcp", direction="bidirectional")
    layers.add("LSTM", "hc", "y", direction="reverse", clip=0.7)
    layers.add("LSTM", "blp", "hc", direction="reverse", input_forget=1)
    layers.check(check)


def test_gru(check: Callable[..., None]) -> None:
    layers = Layers()
    layers.add("GRU", "blh", direction="bidirectional", linear_before_reset=1)
    layers.add("GRU", "bl", direction="reverse")
    layers.add("GRU", "", "h", clip=0.5, linear_before_reset=1)
    layers.check(check, opset=13)


def test_rnn(check: Callable[..., None]) -> None:
    layers = Layers()
    layers.add("RNN", "bh", "y", activations=["Relu"])
    layers.add("RNN", "l", direction="bidirectional", activations=["Elu", "HardSigmoid"])
    layers.check(check)


def test_parameters_of_activations_go_to_those_that_have_them(
    check: Callable[..., None],
) -> None:
    layers = Layers()
    layers.add(
        "LSTM",
        "b",
        direction="bidirectional",
        activations=["Sigmoid", "ScaledTanh", "LeakyRelu", "HardSigmoid", "Affine", "softsign"],
        activation_alpha=[0.8, 0.2, 0.3, 0.5],
        activation_beta=[0.6, 0.4, 0.1],
    )
    layers.check(check)


def test_batch_comes_first(run: Callable[..., Any]) -> None:
    layers = [Layers(), Layers()]
    x, states = floats(TIME, BATCH, INPUT), "hc"
    layers[0].add("LSTM", "bhc", direction="bidirectional")
    layers[1].add("LSTM", "bhc", direction="bidirectional", layout=1)
    turned = dict(layers[0].constants)
    for key in states:
        turned[f"n0{key}"] = turned[f"n0{key}"].transpose(1, 0, 2)
    flat = model(
        layers[0].nodes, [value("x", *x.shape)], layers[0].outputs, layers[0].constants
    )
    outputs = [
        value(o.name, *np.transpose(np.empty(_sizes(o)), _order(o)).shape)
        for o in layers[1].outputs
    ]
    first = model(layers[1].nodes, [value("x", BATCH, TIME, INPUT)], outputs, turned)
    reference = import_model(flat).reference
    assert reference is not None
    expected = reference([x])  # ONNX Runtime has no layout 1
    actual = run(import_model(first), [np.ascontiguousarray(x.transpose(1, 0, 2))])
    for ours, theirs, output in zip(actual, expected, layers[0].outputs, strict=True):
        np.testing.assert_allclose(ours, theirs.transpose(_order(output)), atol=1e-5)


def _sizes(output: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(size.dim_value for size in output.type.tensor_type.shape.dim)


def _order(output: onnx.ValueInfoProto) -> tuple[int, ...]:
    return (2, 0, 1, 3) if output.name.endswith("_y") else (1, 0, 2)


def test_loop_reads_and_writes_slices(op_names: Callable[..., list[str]]) -> None:
    layers = Layers()
    layers.add("LSTM", "bl")
    inputs = [value("x", TIME, BATCH, INPUT), value("lengths", 3, element=TensorProto.INT32)]
    names = op_names(
        import_model(model(layers.nodes, inputs, layers.outputs, layers.constants))
    )
    assert names.count("scf.for") == 1
    assert names.count("linalg.matmul") == 2  # one for all times, one for each
    assert "tensor.insert_slice" in names
    assert "tensor.extract" not in names
    assert "tm_tensor.scatter" not in names


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"activations": ["Tanh", "Tanh"]}, "2 activations"),
        ({"activations": ["Sine"]}, "activation 'Sine'"),
        ({"activations": ["Affine"]}, "activation Affine has no defaults"),
        ({"hidden_size": 5}, "hidden_size"),
        ({"direction": "bidirectional"}, "w is of 1x2x4, and should be of 2x2x4"),
    ],
)
def test_layer_that_contradicts_itself(attributes: dict[str, Any], message: str) -> None:
    attributes = {"hidden_size": HIDDEN, **attributes}
    node = helper.make_node("RNN", ["x", "w", "r"], ["", "h"], "cell", **attributes)
    constants = {"w": floats(1, HIDDEN, INPUT), "r": floats(1, HIDDEN, HIDDEN)}
    inputs, outputs = [value("x", TIME, BATCH, INPUT)], [value("h", "d", BATCH, "h")]
    with pytest.raises(InvalidInputError, match=message):
        import_model(model([node], inputs, outputs, constants))
