"""ONNX operators that are rewritten or computed on the way in: the numbers agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import floats, model, value

import smartmem
from smartmem.frontend import import_model


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


def test_gelu_of_tanh_is_computed_to_the_precision_of_f32() -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], approximate="tanh")
    proto = model([node], [value("x", 1024)], [value("y", 1024)], opset=20)
    x = np.linspace(-6, 6, 1024)
    exact = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    compiled = smartmem.compile(proto, target="cpu")
    np.testing.assert_allclose(compiled(x.astype(np.float32)), exact, rtol=0, atol=2e-6)


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


def test_constant_without_elements(check: Callable[..., None]) -> None:
    none = {"none": np.zeros((2, 0), np.float32)}
    node = helper.make_node("Concat", ["x", "none"], ["y"], axis=1)
    proto = model([node], [value("x", 2, 3)], [value("y", 2, 3)], none)
    check(import_model(proto), floats(2, 3))


def test_scatter_that_reduces(check: Callable[..., None]) -> None:
    places = np.array([[0, -3, 1, 0], [2, 0, 1, -1], [0, 0, 0, 0]], np.int64)
    nodes, outputs = [], []
    for reduction in ("add", "mul", "max", "min"):
        for axis in (0, -1):
            name = f"{reduction}{axis}"
            nodes.append(
                helper.make_node(
                    "ScatterElements", ["x", "i", "u"], [name], axis=axis, reduction=reduction
                )
            )
            outputs.append(value(name, 4, 5))
    inputs = [value("x", 4, 5), value("u", 3, 4)]
    proto = model(nodes, inputs, outputs, {"i": places}, opset=18)
    check(import_model(proto), floats(4, 5), floats(3, 4))


def test_constant_elements_gathered_from_a_long_axis(check: Callable[..., None]) -> None:
    table = {
        "table": floats(2, 40),
        "i": np.array([[39, -1, 0], [1, 38, -40]], np.int64),
    }
    gather = helper.make_node("GatherElements", ["table", "i"], ["g"], axis=-1)
    add = helper.make_node("Add", ["x", "g"], ["y"])
    check(
        import_model(model([gather, add], [value("x", 2, 3)], [value("y", 2, 3)], table)),
        floats(2, 3),
    )


def test_weights_of_64_bits() -> None:
    x, w = floats(1, 3, 6, 6).astype(np.float64), floats(4, 3, 3, 3).astype(np.float64)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    inputs = [value("x", *x.shape, element=TensorProto.DOUBLE)]
    outputs = [value("y", 1, 4, 4, 4, element=TensorProto.DOUBLE)]
    proto = model([node], inputs, outputs, {"w": w})
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    expected = np.einsum("bchwij,ocij->bohw", windows, w)
    result = smartmem.compile(proto, target="cpu")(x)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
