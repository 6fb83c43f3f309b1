"""Indices outside of their tensor: never foreign memory, and an error where they are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import floats, model, value

import smartmem
from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model
from smartmem.frontend.lowering import walk

ROWS = 5
NEAR = [0, -1, 4, -5, 5, -6, 10**6, -(10**9)]
FAR = [2**62, -(2**62), 2**32 + 2]
"""What does not fit into 32 bits, to which passes cut indices: some row, not the nearest."""


def _row(index: int) -> int:
    return min(max(index + ROWS if index < 0 else index, 0), ROWS - 1)


def _indices(dtype: str) -> Any:
    return np.array(NEAR + (FAR if dtype == "int64" else []), dtype)


def _lookup(operator: str, x: Any, at: Any, *more: Any) -> onnx.ModelProto:
    element = {"int32": TensorProto.INT32, "int64": TensorProto.INT64}[str(at.dtype)]
    inputs = [value("x", *x.shape), value("at", *at.shape, element=element)]
    names = ["x", "at", *(f"updates{k}" for k in range(len(more)))]
    inputs += [value(n, *a.shape) for n, a in zip(names[2:], more, strict=True)]
    node = helper.make_node(operator, names, ["y"], name="culprit")
    proto = model([node], inputs, [])
    inferred = onnx.shape_inference.infer_shapes(proto)
    proto.graph.output.extend(inferred.graph.value_info)
    return proto


def _run(
    target: str, cases: dict[tuple[str, str], tuple[Any, ...]]
) -> dict[tuple[str, str], Any]:
    """The result of each lookup, by its operator and the type of its indices, of one model."""
    nodes, inputs, outputs = [], [], []
    for (operator, dtype), arrays in cases.items():
        proto = onnx.compose.add_prefix(_lookup(operator, *arrays), f"{operator}_{dtype}_")
        nodes += proto.graph.node
        inputs += proto.graph.input
        outputs += proto.graph.output
    compiled = smartmem.compile(model(nodes, inputs, outputs), target=target)
    results = compiled(*(array for arrays in cases.values() for array in arrays))
    return dict(zip(cases, map(np.asarray, results), strict=True))


def test_lookups_stay_inside_of_their_operand(target: str) -> None:
    """Rows that no index of a scatter is near keep what they hold."""
    x, column, near = floats(ROWS, 4), floats(ROWS, 1), [_row(i) for i in NEAR]
    outside = [index for index in (*NEAR, *FAR) if _row(index) in (0, ROWS - 1)]
    updates, places = floats(len(outside), 4), np.array(outside, np.int64)[:, None]
    cases: dict[tuple[str, str], tuple[Any, ...]] = {
        ("GatherND", "int64"): (x, np.stack([_indices("int64"), _indices("int64")[::-1]], 1)),
        ("ScatterND", "int64"): (x, places, updates),
        ("ScatterElements", "int64"): (x, np.repeat(places, 4, 1), updates),
    }
    for dtype in ("int32", "int64"):
        cases["Gather", dtype] = x, _indices(dtype)
        cases["GatherElements", dtype] = column, _indices(dtype)[:, None]
    found = _run(target, cases)
    for dtype in ("int32", "int64"):
        rows, elements = found["Gather", dtype], found["GatherElements", dtype]
        np.testing.assert_array_equal(rows[: len(NEAR)], x[near])
        assert all((row == x).all(1).any() for row in rows)
        np.testing.assert_array_equal(elements[: len(NEAR)], column[near])
        assert np.isin(elements, column).all()
    assert np.isin(found["GatherND", "int64"], x).all()
    for operator in ("ScatterND", "ScatterElements"):
        y = found[operator, "int64"]
        np.testing.assert_array_equal(y[1 : ROWS - 1], x[1 : ROWS - 1])
        assert np.isin(y[[0, -1]], updates).all()


@pytest.mark.parametrize("operator", ["Gather", "GatherElements", "GatherND", "ScatterND"])
@pytest.mark.parametrize("index", [ROWS, -ROWS - 1, 2**62])
def test_constant_index_outside_is_an_error(operator: str, index: int) -> None:
    x, at = floats(ROWS, 1), np.array([[0], [index]])
    updates = [floats(2, 1)] if operator == "ScatterND" else []
    proto = _lookup(operator, x, at, *updates)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(at, "at"))
    del proto.graph.input[1]
    with pytest.raises(InvalidInputError, match=rf"{operator} \(node 'culprit'\).*{index}"):
        import_model(proto)


MLIR = """
func.func @main(%x: tensor<5xf32>, %at: tensor<3xi64>) -> (tensor<3xf32>, tensor<2xf32>) {
  %e = tensor.empty() : tensor<3xf32>
  %read = linalg.generic {
      indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]}
      ins(%at : tensor<3xi64>) outs(%e : tensor<3xf32>) {
    ^bb0(%i: i64, %out: f32):
      %n = arith.index_cast %i : i64 to index
      %v = tensor.extract %x[%n] : tensor<5xf32>
      linalg.yield %v : f32
  } -> tensor<3xf32>
  %c0 = arith.constant 0 : index
  %start = tensor.extract %at[%c0] : tensor<3xi64>
  %offset = arith.index_cast %start : i64 to index
  %slice = tensor.extract_slice %x[%offset] [2] [2] : tensor<5xf32> to tensor<2xf32>
  return %read, %slice : tensor<3xf32>, tensor<2xf32>
}
"""


@pytest.mark.parametrize(
    ("at", "rows", "slice_"), [([1, 9, -7], [1, 4, 0], [1, 3]), ([9, 0, 2], [4, 0, 2], [2, 4])]
)
def test_mlir_reads_inside(
    run: Callable[..., list[Any]], at: list[int], rows: list[int], slice_: list[int]
) -> None:
    x = floats(5)
    read, part = run(import_model(MLIR.encode()), [x, np.array(at)])
    np.testing.assert_array_equal(read, x[rows])
    np.testing.assert_array_equal(part, x[slice_])


def test_no_clamp_where_the_code_says_that_an_index_is_inside() -> None:
    """The scatter's own unrolled loops: remainders and quotients of a loop's index."""
    x, at, updates = floats(ROWS, 4), np.zeros((3, 4), np.int64), floats(3, 4)
    module = import_model(_lookup("ScatterElements", x, at, updates)).module
    names = [operation.name for operation in walk(module)]
    assert names.count("arith.maxsi") == names.count("arith.minsi") == 1


def test_places_computed_from_floats(check: Callable[..., None]) -> None:
    node = helper.make_node(
        "Resize",
        ["x", "", "scales"],
        ["y"],
        mode="nearest",
        coordinate_transformation_mode="half_pixel",
        nearest_mode="floor",
    )
    scales = {"scales": np.array([1, 1, 2, 2], np.float32)}
    proto = model([node], [value("x", 1, 3, 4, 4)], [value("y", 1, 3, 8, 8)], scales)
    check(import_model(proto), floats(1, 3, 4, 4), tolerance=0)
