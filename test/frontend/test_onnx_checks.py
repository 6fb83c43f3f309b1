"""Damaged and hostile ONNX models: one line that names what is wrong, and no hang."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import floats, model, relu, value

from smartmem.errors import InvalidInputError, UnsupportedError, printable
from smartmem.frontend import import_model

node = helper.make_node


def _added(constant: np.ndarray) -> onnx.ModelProto:
    return model(
        [node("Add", ["x", "w"], ["y"])], [value("x", 4)], [value("y", 4)], {"w": constant}
    )


def _negative_size(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].dims[0] = -4


def _negative_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -4


def _long_data(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].raw_data += b"12345678"


def _short_data(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].raw_data = b"1"


def _strange_type(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].data_type = 77


def _strange_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = 99


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_negative_size, r"constant w has a negative size: \[-4\]"),
        (_negative_input, "x has the negative size -4"),
        (_long_data, r"constant w has 24 bytes of data; its shape \[4\] takes 16"),
        (_short_data, "constant w has 1 bytes"),
        (_strange_type, "w has elements of type 77"),
        (_strange_input, "x has elements of type 99"),
    ],
)
def test_damaged_tensor(damage: Callable[[onnx.ModelProto], None], message: str) -> None:
    proto = _added(floats(4))
    damage(proto)
    with pytest.raises(InvalidInputError, match=message):
        import_model(proto)


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(
        _added(floats(4)), path, save_as_external_data=True, location="w", size_threshold=0
    )
    (tmp_path / "w").write_bytes(b"1234")
    with pytest.raises(InvalidInputError):
        import_model(path)


def test_name_that_is_no_text() -> None:
    data = relu(3).SerializeToString().replace(b"Relu", b"Re\xff\xfe")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        import_model(data)


def test_messages_escape_what_names_hold() -> None:
    name = "bad\nerror: forged \x1b[31m"
    proto = model([node("Bernoulli", ["x"], ["y"], name)], [value("x", 3)], [value("y", 3)])
    with pytest.raises(UnsupportedError) as caught:
        import_model(proto)
    assert str(caught.value).isprintable()
    assert printable("a\nb\x1b\udcff é") == r"a\nb\x1b\udcff é"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((0, 5, 0), r"Range \(node 'culprit'\) has the step 0"),
        ((0, 10**12, 1), "r has 1000000000000 elements"),
    ],
)
def test_ranges_that_no_table_holds(limits: tuple[int, ...], message: str) -> None:
    constants = {f"c{k}": np.int64(limit) for k, limit in enumerate(limits)}
    nodes = [node("Range", list(constants), ["r"], "culprit"), node("ReduceMax", ["r"], ["m"])]
    nodes.append(node("Add", ["x", "m"], ["y"]))
    integer = TensorProto.INT64
    x, y = (value(name, 1, element=integer) for name in "xy")
    with pytest.raises((InvalidInputError, UnsupportedError), match=message):
        import_model(model(nodes, [x], [y], constants))


def test_functions_of_functions_are_counted() -> None:
    """26 levels of two calls each would be 2^26 nodes."""
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = []
    for level in range(26):
        inner = ("Relu", "") if level == 0 else (f"f{level - 1}", "own")
        calls = [node(inner[0], [a], [b], domain=inner[1]) for a, b in (("x", "t"), ("t", "y"))]
        functions.append(helper.make_function("own", f"f{level}", ["x"], ["y"], calls, opset))
    graph = helper.make_graph(
        [node("f25", ["x"], ["y"], domain="own")], "g", [value("x", 3)], [value("y", 3)]
    )
    proto = helper.make_model(graph, opset_imports=opset, functions=functions, ir_version=8)
    with pytest.raises(UnsupportedError, match=r"67108864 nodes .* up to 131072"):
        import_model(proto)
    proto.functions[0].node[0].op_type, proto.functions[0].node[0].domain = "f3", "own"
    with pytest.raises(InvalidInputError, match="calls itself"):
        import_model(proto)


@pytest.mark.parametrize("operator", ["NonZero", "Unique", "Compress", "StringNormalizer"])
def test_operator_whose_result_has_no_size_is_named(operator: str) -> None:
    inputs = [value("x", 4)]
    if operator == "Compress":
        inputs.append(value("mask", 4, element=TensorProto.BOOL))
    names = [v.name for v in inputs]
    proto = model([node(operator, names, ["y"], "culprit")], inputs, [])
    proto.graph.output.append(
        value(
            "y",
            *([None] * (2 if operator == "NonZero" else 1)),
            element=TensorProto.INT64 if operator == "NonZero" else TensorProto.FLOAT,
        )
    )
    with pytest.raises(UnsupportedError, match=rf"operator {operator} \(node 'culprit'\)"):
        import_model(proto)


def test_types_that_are_left_out_are_inferred() -> None:
    x, y = (helper.make_empty_tensor_value_info(name) for name in "xy")
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(InvalidInputError, match=r"input x .*element type"):
        import_model(model([node], [x], [y]))
    x.type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(InvalidInputError, match=r"input x has no shape.*input_shapes="):
        import_model(model([node], [x], [y]))
    imported = import_model(model([node], [x], [y]), input_shapes={"x": (2, 3)})
    assert imported.outputs[0].shape == (2, 3)
    assert imported.outputs[0].dtype == np.float32
