"""ONNX models that cannot be imported: one message says what, where and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import floats, model, relu, value

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model, onnx_reference

EXAMPLE = Path(__file__).parents[2] / "examples" / "small_swin.onnx"


@pytest.mark.parametrize("keep", [5, 1000, 100_000])
def test_truncated(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "short.onnx"
    path.write_bytes(EXAMPLE.read_bytes()[:keep])
    with pytest.raises(InvalidInputError, match=r"short\.onnx is not a (complete|valid) ONNX"):
        import_model(path)


def test_invalid_graph() -> None:
    node = helper.make_node("Relu", ["nowhere"], ["y"])
    with pytest.raises(InvalidInputError, match=r"not a valid ONNX model: .*nowhere"):
        import_model(model([node], [value("x", 3)], [value("y", 3)]))


def test_shapes_that_contradict() -> None:
    node = helper.make_node("Add", ["a", "b"], ["y"], name="adder")
    proto = model([node], [value("a", 3), value("b", 4)], [value("y", 4)])
    with pytest.raises(InvalidInputError, match=r"do not fit together: .*adder"):
        import_model(proto)


@pytest.mark.parametrize(
    ("operator", "domain", "message"),
    [
        ("NoSuchOp", "", r"operator NoSuchOp \(node 'culprit'\) is not in ONNX"),
        ("Bernoulli", "", r"operator Bernoulli \(node 'culprit'\) draws random numbers"),
        ("Fancy", "com.acme", r"com\.acme\.Fancy \(node 'culprit'\) is not known to ONNX"),
    ],
)
def test_operator_that_cannot_work_is_named(operator: str, domain: str, message: str) -> None:
    nodes = [
        helper.make_node(operator, ["x"], ["z"], name="culprit", domain=domain),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    proto = model(nodes, [value("x", 3, 3)], [value("y", 3, 3)], domain=domain or None)
    with pytest.raises(UnsupportedError, match=message):
        import_model(proto)


def test_operator_without_a_lowering_is_named() -> None:
    node = helper.make_node("Fancy", ["x"], ["y"], name="culprit", domain="com.acme")
    proto = model([node], [value("x", 3)], [value("y", 3)], domain="com.acme")
    with pytest.raises(UnsupportedError, match=r"operation onnx\.Fancy \(node 'culprit'\)"):
        import_model(proto)


def test_size_that_depends_on_values() -> None:
    node = helper.make_node("NonZero", ["x"], ["y"])
    proto = model([node], [value("x", 2, 2)], [value("y", 2, None, element=TensorProto.INT64)])
    with pytest.raises(UnsupportedError, match=r"how much operator NonZero .* depends on"):
        import_model(proto)


@pytest.mark.parametrize("element", ["STRING", "FLOAT8E4M3FN", "COMPLEX64"])
def test_element_type_is_refused(element: str) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    number = TensorProto.DataType.Value(element)
    proto = model([node], [value("x", 2, element=number)], [value("y", 2, element=number)])
    with pytest.raises(UnsupportedError, match=f"x has elements of type {element}"):
        import_model(proto)


def test_reference_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_reference, "find_spec", lambda _: None)
    reference = import_model(relu(2, 3)).reference
    assert isinstance(reference, onnx_reference.OnnxReference)
    x = floats(2, 3)
    np.testing.assert_array_equal(reference([x])[0], np.maximum(x, 0))
    assert "ONNX Runtime is not installed" in reference.name


def test_reference_of_what_onnx_runtime_has_not() -> None:
    pytest.importorskip("onnxruntime")
    lrn = helper.make_node("LRN", ["x"], ["y"], size=4)
    proto = model([lrn], [value("x", 1, 6, 2, 2)], [value("y", 1, 6, 2, 2)])
    references = [import_model(m).reference for m in (relu(1, 6, 2, 2), proto)]
    for reference, name in zip(references, ("ONNX Runtime", "cannot load"), strict=True):
        assert isinstance(reference, onnx_reference.OnnxReference)
        reference([floats(1, 6, 2, 2)])
        assert name in reference.name


@pytest.mark.parametrize(
    ("operator", "shapes", "attributes", "message"),
    [
        ("Conv", [(1, 4, 5, 5), (4, 4, 3, 3)], {"group": 0}, "group is 0"),
        ("Conv", [(1, 4, 5, 5), (4, 2, 3, 3)], {"group": 3}, "group is 3"),
        ("Conv", [(1, 4, 5, 5), (3, 2, 3, 3)], {"group": 2}, "group is 2"),
        ("Conv", [(1, 4, 5, 5), (4, 4, 3, 3)], {"strides": [0, 1]}, r"strides is \[0, 1\]"),
        ("Conv", [(1, 4, 5, 5), (4, 4, 3, 3)], {"dilations": [1, 0]}, r"dilations is \[1, 0\]"),
        ("MaxPool", [(1, 4, 5, 5)], {"kernel_shape": [0, 2]}, r"kernel_shape is \[0, 2\]"),
        ("Transpose", [(2, 3)], {"perm": [0, 0]}, r"perm is \[0, 0\]"),
        ("DepthToSpace", [(1, 4, 5, 5)], {"blocksize": 0}, "blocksize is 0"),
    ],
)
def test_attribute_that_cannot_be(
    operator: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], message: str
) -> None:
    names = [f"x{number}" for number in range(len(shapes))]
    node = helper.make_node(operator, names, ["y"], "wrong", **attributes)
    inputs = [value(name, *shape) for name, shape in zip(names, shapes, strict=True)]
    outputs = [value("y", *[None] * len(shapes[0]))]
    with pytest.raises(InvalidInputError, match=f"{operator} .node 'wrong'.: {message}"):
        import_model(model([node], inputs, outputs))
