"""ONNX models: what is imported, what is refused, and that the numbers agree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "small_swin.onnx"
GENERATOR = np.random.default_rng(0)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: dict[str, Any] | None = None,
    opset: int = 17,
    domain: str | None = None,
) -> onnx.ModelProto:
    initializers = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), initializers)
    opsets = [helper.make_opsetid("", opset)]
    if domain is not None:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def value(
    name: str, *shape: int | str | None, element: int = TensorProto.FLOAT
) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def relu(*shape: int | str | None, element: int = TensorProto.FLOAT) -> onnx.ModelProto:
    node = helper.make_node("Relu", ["x"], ["y"])
    return model(
        [node], [value("x", *shape, element=element)], [value("y", *shape, element=element)]
    )


def floats(*shape: int) -> Any:
    return GENERATOR.standard_normal(shape).astype(np.float32)


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


@pytest.mark.parametrize("rank", [3, 4])
def test_stacked_matmul_is_one_product(
    check: Callable[..., None], op_names: Callable[..., list[str]], rank: int
) -> None:
    shape = (2, 3, 4, 5)[-rank:]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    proto = model(
        [node], [value("x", *shape)], [value("y", *shape[:-1], 6)], {"w": floats(5, 6)}
    )
    imported = import_model(proto)
    assert "linalg.matmul" in op_names(imported)
    assert "linalg.batch_matmul" not in op_names(imported)
    check(imported, floats(*shape))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_moves_what_onnx_does(check: Callable[..., None], mode: str) -> None:
    node = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode=mode)
    proto = model([node], [value("x", 2, 12, 7, 3)], [value("y", 2, 3, 14, 6)])
    check(import_model(proto), floats(2, 12, 7, 3))


def test_space_to_depth_moves_what_onnx_does(check: Callable[..., None]) -> None:
    node = helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=3)
    proto = model([node], [value("x", 2, 5, 6, 9)], [value("y", 2, 45, 2, 3)])
    check(import_model(proto), floats(2, 5, 6, 9))


@pytest.mark.parametrize("axes", [None, [1, -1]])
def test_wrapping_pad_repeats_the_other_end(
    check: Callable[..., None], axes: list[int] | None
) -> None:
    pads = [0, 2, 1, 0, 0, 3] if axes is None else [2, 1, 0, 3]
    given = {"pads": pads} if axes is None else {"pads": pads, "axes": axes}
    names = ["x", "pads"] if axes is None else ["x", "pads", "", "axes"]
    node = helper.make_node("Pad", names, ["y"], mode="wrap")
    proto = model([node], [value("x", 2, 4, 5)], [value("y", 2, 6, 9)], given, opset=19)
    check(import_model(proto), floats(2, 4, 5))


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ([-1], [-100], [1], [-1]),
        ([3, 5], [0, -7], [0, -1], [-2, -1]),
        ([1, 4], [4, 1], [0, 2], [2, -1]),
        ([-1, 0, 9], [-9, 5, -9], None, [-1, 3, -3]),
    ],
)
def test_slice_backwards(
    check: Callable[..., None],
    starts: list[int],
    ends: list[int],
    axes: list[int] | None,
    steps: list[int],
) -> None:
    given = {"starts": starts, "ends": ends, "steps": steps}
    if axes is not None:
        given["axes"] = axes
    names = [
        "x",
        *(name if name in given else "" for name in ("starts", "ends", "axes", "steps")),
    ]
    taken = [slice(None)] * 3
    for axis, *limits in zip(axes or range(3), starts, ends, steps, strict=True):
        taken[axis] = slice(*limits)
    x = floats(4, 5, 6)
    node = helper.make_node("Slice", names, ["y"])
    check(
        import_model(
            model([node], [value("x", 4, 5, 6)], [value("y", *x[tuple(taken)].shape)], given)
        ),
        x,
    )


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize(("batch", "time"), [(1, 0), (0, 1)])
def test_sequences_are_reversed_up_to_their_length(
    check: Callable[..., None], batch: int, time: int, constant: bool
) -> None:
    lengths = np.array([4, 0, 3, 1], np.int64)
    node = helper.make_node(
        "ReverseSequence", ["x", "lengths"], ["y"], batch_axis=batch, time_axis=time
    )
    inputs, arrays = [value("x", 4, 4, 3)], [floats(4, 4, 3)]
    if not constant:
        inputs.append(value("lengths", 4, element=TensorProto.INT64))
        arrays.append(lengths)
    given = {"lengths": lengths} if constant else {}
    check(
        import_model(model([node], inputs, [value("y", 4, 4, 3)], given)), *arrays, tolerance=0
    )


def test_scan_behind_a_transpose(check: Callable[..., None]) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"]),
        helper.make_node("CumSum", ["turned", "axis"], ["y"]),
    ]
    proto = model(nodes, [value("x", 5, 7)], [value("y", 7, 5)], {"axis": np.int64(1)})
    check(import_model(proto), floats(5, 7))


def test_scatter(check: Callable[..., None]) -> None:
    node = helper.make_node("ScatterND", ["x", "places", "updates"], ["y"])
    inputs = [value("x", 4, 8), value("updates", 3)]
    places = {"places": np.array([[1, 2], [0, 3], [3, 7]])}
    check(
        import_model(model([node], inputs, [value("y", 4, 8)], places)), floats(4, 8), floats(3)
    )


def test_largest_elements(check: Callable[..., None]) -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"])
    outputs = [value("y", 4, 2), value("i", 4, 2, element=TensorProto.INT64)]
    proto = model([node], [value("x", 4, 8)], outputs, {"k": np.array([2])})
    check(import_model(proto), floats(4, 8))


def test_default_attributes_of_a_function_hold(check: Callable[..., None]) -> None:
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"])  # axes 0, 2, 3
    check(
        import_model(model([node], [value("x", 2, 3, 4, 5)], [value("y", 2, 3, 4, 5)])),
        floats(2, 3, 4, 5),
    )


def test_function_of_functions(check: Callable[..., None]) -> None:
    node = helper.make_node("RMSNormalization", ["x", "w"], ["y"], axis=-1)
    proto = model([node], [value("x", 3, 8)], [value("y", 3, 8)], {"w": floats(8)}, opset=23)
    check(import_model(proto), floats(3, 8))


def test_attention_without_optional_operands(check: Callable[..., None]) -> None:
    """A causal mask, and past keys and values, but no mask as an operand."""
    node = helper.make_node(
        "Attention",
        ["q", "k", "v", "", "past_k", "past_v"],
        ["y", "present_k", "present_v"],
        is_causal=1,
    )
    inputs = [value(name, 2, 3, 4, 8) for name in "qkv"]
    inputs += [value(name, 2, 3, 5, 8) for name in ("past_k", "past_v")]
    outputs = [value("y", 2, 3, 4, 8)]
    outputs += [value(name, 2, 3, 9, 8) for name in ("present_k", "present_v")]
    proto = model([node], inputs, outputs, opset=23)
    arrays = [floats(2, 3, 4, 8) for _ in range(3)] + [floats(2, 3, 5, 8) for _ in range(2)]
    check(import_model(proto), *arrays)


def test_function_whose_sizes_are_computed(check: Callable[..., None]) -> None:
    """Its body names axes in a constant that is no tensor, and computes pads from them."""
    nodes = [
        helper.make_node("Shape", ["like"], ["shape"], start=1),
        helper.make_node("CenterCropPad", ["x", "shape"], ["y"], axes=[1, 2]),
    ]
    proto = model(
        nodes, [value("x", 2, 8, 3), value("like", 1, 5, 6)], [value("y", 2, 5, 6)], opset=18
    )
    imported = import_model(proto)
    assert imported.outputs[0].shape == (2, 5, 6)
    check(imported, floats(2, 8, 3), floats(1, 5, 6), tolerance=0)


def test_large_constant_of_indices(check: Callable[..., None]) -> None:
    node = helper.make_node("Gather", ["x", "indices"], ["y"], axis=0)
    indices = {"indices": np.arange(200)[::-1]}
    check(
        import_model(model([node], [value("x", 200)], [value("y", 200)], indices)), floats(200)
    )


def test_einsum_without_dims_is_its_operand(check: Callable[..., None]) -> None:
    node = helper.make_node("Einsum", ["x"], ["y"], equation="->")
    check(import_model(model([node], [value("x")], [value("y")])), floats())


def test_reshape_of_no_elements_is_refused() -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=1)
    proto = model([node], [value("x", 0, 3)], [value("y", 3, 0)], {"shape": [3, 0]})
    with pytest.raises(UnsupportedError, match="Reshape of 0x3"):
        import_model(proto)


def test_constant_without_elements(check: Callable[..., None]) -> None:
    none = {"none": np.zeros((2, 0), np.float32)}
    node = helper.make_node("Concat", ["x", "none"], ["y"], axis=1)
    proto = model([node], [value("x", 2, 3)], [value("y", 2, 3)], none)
    check(import_model(proto), floats(2, 3))


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
    with pytest.raises(UnsupportedError, match="shape of y depends on the values"):
        import_model(proto)


@pytest.mark.parametrize("element", ["STRING", "FLOAT8E4M3FN", "COMPLEX64"])
def test_element_type_is_refused(element: str) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    number = TensorProto.DataType.Value(element)
    proto = model([node], [value("x", 2, element=number)], [value("y", 2, element=number)])
    with pytest.raises(UnsupportedError, match=f"x has elements of type {element}"):
        import_model(proto)


def test_reference_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    imported = import_model(relu(2, 3))
    assert imported.reference is not None
    x = floats(2, 3)
    np.testing.assert_array_equal(imported.reference([x])[0], np.maximum(x, 0))


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
