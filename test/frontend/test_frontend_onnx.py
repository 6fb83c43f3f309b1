"""ONNX models: what is imported, what is refused, and that the numbers agree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import floats, model, relu, value

from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "small_swin.onnx"
GENERATOR = np.random.default_rng(0)


def test_example_computes_what_onnx_does(check: Callable[..., None]) -> None:
    imported = import_model(EXAMPLE)
    assert [str(spec) for spec in imported.inputs] == ["image: float32[1, 3, 112, 112]"]
    assert [str(spec) for spec in imported.outputs] == ["logits: float32[1, 100]"]
    check(imported, floats(1, 3, 112, 112))


def test_example_is_what_its_script_writes(small_swin_script: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    proto = small_swin_script.export(tmp_path / "small_swin.onnx")
    committed = onnx.load(EXAMPLE)
    kinds = [[node.op_type for node in m.graph.node] for m in (proto, committed)]
    assert kinds[0] == kinds[1]
    for ours, theirs in zip(proto.graph.initializer, committed.graph.initializer, strict=True):
        np.testing.assert_array_equal(
            numpy_helper.to_array(ours), numpy_helper.to_array(theirs)
        )


def test_example_is_static_and_flat(op_names: Callable[..., list[str]]) -> None:
    names = op_names(import_model(EXAMPLE))
    assert "tensor.cast" not in names
    assert "tensor.concat" in names  # the roll
    # Linear layers are one product; only attention multiplies batches.
    assert names.count("linalg.batch_matmul") == 8
    assert names.count("linalg.matmul") == 18


def test_bytes_proto_and_external_data_agree(tmp_path: Path) -> None:
    proto = onnx.load(EXAMPLE)
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load(EXAMPLE),
        path,
        save_as_external_data=True,
        location="data.bin",
        size_threshold=0,
    )
    expected = import_model(EXAMPLE)
    for imported in (
        import_model(EXAMPLE.read_bytes()),
        import_model(proto),
        import_model(path),
    ):
        assert str(imported.module) == str(expected.module)
        for key, array in expected.parameters.items():
            np.testing.assert_array_equal(imported.parameters[key], array)
    # The caller's proto is not changed, and the file is what the reference runs.
    assert proto == onnx.load(EXAMPLE)
    assert expected.reference is not None and imported.reference is not None
    x = floats(1, 3, 112, 112)
    theirs = expected.reference([x])[0]
    np.testing.assert_allclose(imported.reference([x])[0], theirs, atol=1e-4)


def test_missing_external_data(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.load(EXAMPLE), path, save_as_external_data=True, location="data.bin")
    (tmp_path / "data.bin").unlink()
    with pytest.raises(InvalidInputError, match=r"data\.bin"):
        import_model(path)


def test_parameters_keep_their_names(check: Callable[..., None]) -> None:
    node = helper.make_node(
        "Constant", [], ["offset"], value=numpy_helper.from_array(floats(2, 3))
    )
    proto = model(
        [
            node,
            helper.make_node("Mul", ["x", "layer.0/scale:0"], ["scaled"]),
            helper.make_node("Add", ["scaled", "offset"], ["y"]),
        ],
        [value("x", 2, 3)],
        [value("y", 2, 3)],
        {"layer.0/scale:0": floats(2, 3)},
    )
    imported = import_model(proto)
    assert set(imported.parameters) == {"layer.0/scale:0", "offset"}
    check(imported, floats(2, 3))


@pytest.mark.parametrize(
    "dtype",
    [np.float16, np.float64]
    + [np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)],
)
def test_constants_of_every_type(check: Callable[..., None], dtype: Any) -> None:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    table = np.arange(100, 100 + 96).reshape(96).astype(dtype)
    proto = model(
        [helper.make_node("Gather", ["table", "i"], ["y"])],
        [value("i", 5, element=TensorProto.INT64)],
        [value("y", 5, element=element)],
        {"table": table},
    )
    imported = import_model(proto)
    assert imported.outputs[0].dtype == dtype
    np.testing.assert_array_equal(imported.parameters["table"].view(dtype), table)
    check(imported, np.array([0, 95, 3, 3, 41], dtype=np.int64), tolerance=0)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_unsigned_integers_are_compared_as_such(check: Callable[..., None], bits: int) -> None:
    """The larger half of them would be negative as signed integers."""
    dtype = np.dtype(f"uint{bits}")
    element, top = helper.np_dtype_to_tensor_dtype(dtype), np.iinfo(dtype).max
    nodes = [
        helper.make_node("Max", ["x", "limits"], ["larger"]),
        helper.make_node("Less", ["larger", "top"], ["below"]),
        helper.make_node("Where", ["below", "larger", "one"], ["y"]),
    ]
    constants = {
        "limits": np.array([3, top // 2 + 5] * 40, dtype),  # a resource
        "top": np.array([top], dtype),
        "one": np.array([1], dtype),
    }
    proto = model(
        nodes, [value("x", 80, element=element)], [value("y", 80, element=element)], constants
    )
    check(import_model(proto), np.array([top, 2, top // 2, top - 1] * 20, dtype), tolerance=0)


def test_boolean_table(check: Callable[..., None]) -> None:
    proto = model(
        [helper.make_node("Where", ["mask", "x", "zero"], ["y"])],
        [value("x", 9, 9)],
        [value("y", 9, 9)],
        {"mask": GENERATOR.integers(0, 2, (9, 9)).astype(bool), "zero": np.float32(0)},
    )
    imported = import_model(proto)
    check(imported, floats(9, 9), tolerance=0)


def test_dynamic_sizes_are_named() -> None:
    with pytest.raises(
        InvalidInputError, match=r"input x has dynamic sizes \(Nx3x\?\).*input_shapes"
    ):
        import_model(relu("N", 3, None))


X = np.zeros((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    "how",
    [{"input_shapes": {"x": X.shape}}, {"inputs": {"x": X}}, {"inputs": [X]}, {"inputs": X}],
    ids=["shapes", "named", "in order", "alone"],
)
def test_dynamic_sizes_are_fixed(check: Callable[..., None], how: dict[str, Any]) -> None:
    imported = import_model(relu("N", 3, None), **how)
    assert imported.inputs[0].shape == imported.outputs[0].shape == (2, 3, 4)
    check(imported, floats(2, 3, 4), tolerance=0)


def test_symbol_holds_for_all_inputs() -> None:
    node = helper.make_node("Add", ["a", "b"], ["y"])
    proto = model([node], [value("a", "N", 4), value("b", "N", 4)], [value("y", "N", 4)])
    imported = import_model(proto, input_shapes={"a": (5, 4)})
    assert [spec.shape for spec in imported.inputs] == [(5, 4), (5, 4)]
    with pytest.raises(InvalidInputError, match="the size 'N' both 5 and 6"):
        import_model(proto, input_shapes={"a": (5, 4), "b": (6, 4)})


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"z": (1,)}, "given for 'z'; the model's inputs are x"),
        ({"x": (2, 3)}, "has 2 sizes, the model's has 3"),
        ({"x": (2, 4, 4)}, "differs from the model's in axis 1: 4 against 3"),
    ],
)
def test_shapes_that_do_not_fit(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        import_model(relu("N", 3, None), input_shapes=shapes)


def test_computed_sizes_become_constants(check: Callable[..., None]) -> None:
    """Reshape to (2 * batch, -1) as exporters with a dynamic batch write it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Div", ["batch", "two"], ["half"]),
        helper.make_node("Unsqueeze", ["half", "zeros"], ["rows"]),
        helper.make_node("Concat", ["rows", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["flat"]),
        helper.make_node("Shape", ["flat"], ["again"]),
        helper.make_node("ConstantOfShape", ["again"], ["empty"]),
        helper.make_node("Add", ["flat", "empty"], ["y"]),
    ]
    integers = {"zero": np.int64(0), "two": np.int64(2), "zeros": [0], "rest": [-1]}
    constants = {name: np.asarray(number, dtype=np.int64) for name, number in integers.items()}
    proto = model(nodes, [value("x", "N", 6)], [value("y", "M", "K")], constants)
    imported = import_model(proto, input_shapes={"x": (4, 6)})
    assert imported.outputs[0].shape == (2, 12)
    check(imported, floats(4, 6), tolerance=0)


def test_old_opset_is_converted(check: Callable[..., None]) -> None:
    nodes = [
        helper.make_node("Squeeze", ["x"], ["flat"], axes=[0]),
        helper.make_node("Softmax", ["flat"], ["y"], axis=1),
    ]
    proto = model(nodes, [value("x", 1, 2, 3)], [value("y", 2, 3)], opset=9)
    check(import_model(proto), floats(1, 2, 3))


def test_model_functions_are_inlined(check: Callable[..., None]) -> None:
    proto = model(
        [helper.make_node("Twice", ["x"], ["y"], domain="local")],
        [value("x", 3)],
        [value("y", 3)],
        domain="local",
    )
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("local", "Twice", ["a"], ["b"], body, opsets))
    check(import_model(proto), floats(3), tolerance=0)


def test_initializers_among_the_inputs_are_no_inputs() -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    proto = model([node], [value("x", 3), value("w", 3)], [value("y", 3)], {"w": floats(3)})
    assert [spec.name for spec in import_model(proto).inputs] == ["x"]


def test_needs_no_pytorch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from smartmem.frontend import import_model\n"
        f"print(len(import_model({str(EXAMPLE)!r}).parameters) > 50)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
