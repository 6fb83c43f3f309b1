"""Rows that the threads of a GPU share, however few: what they compute."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import smartmem
from smartmem.backend.module.shader_races import shader_races

PASS = "smartmem-configure-kernels"
EPSILON = 1e-5

# Sums along rows, a number of each row from them, and the whole rows again.
NORM = """
func.func @main(%x: !x) -> !whole {{
  %zero = arith.constant 0.0 : f32
  %count = arith.constant {count}.0 : f32
  %epsilon = arith.constant {epsilon:f} : f32
  %er = tensor.empty() : !row
  %e = tensor.empty() : !whole
  %f = linalg.fill ins(%zero : f32) outs(%er : !row) -> !row
  %sum = linalg.generic {{indexing_maps = [#x, #row], iterator_types = [{sums}]}}
      ins(%x : !x) outs(%f : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %squares = linalg.generic {{indexing_maps = [#x, #row, #row], iterator_types = [{sums}]}}
      ins(%x, %sum : !x, !row) outs(%f : !row) {{
  ^bb0(%a: f32, %s: f32, %o: f32):
    %m = arith.divf %s, %count : f32
    %d = arith.subf %a, %m : f32
    %q = arith.mulf %d, %d : f32
    %t = arith.addf %q, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %y = linalg.generic {{indexing_maps = [#x, #row, #row, #whole],
      iterator_types = [{all}]}}
      ins(%x, %sum, %squares : !x, !row, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %s: f32, %q: f32, %o: f32):
    %m = arith.divf %s, %count : f32
    %d = arith.subf %a, %m : f32
    %v = arith.divf %q, %count : f32
    %w = arith.addf %v, %epsilon : f32
    %r = math.rsqrt %w : f32
    %t = arith.mulf %d, %r : f32
    linalg.yield %t : f32
  }} -> !whole
  return %y : !whole
}}
"""

SOFTMAX = """
func.func @main(%x: !x) -> !whole {{
  %zero = arith.constant 0.0 : f32
  %least = arith.constant 0xFF800000 : f32
  %er = tensor.empty() : !row
  %e = tensor.empty() : !whole
  %f = linalg.fill ins(%zero : f32) outs(%er : !row) -> !row
  %l = linalg.fill ins(%least : f32) outs(%er : !row) -> !row
  %largest = linalg.generic {{indexing_maps = [#x, #row], iterator_types = [{sums}]}}
      ins(%x : !x) outs(%l : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %p = linalg.generic {{indexing_maps = [#x, #row, #whole], iterator_types = [{all}]}}
      ins(%x, %largest : !x, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %m: f32, %o: f32):
    %d = arith.subf %a, %m : f32
    %t = math.exp %d : f32
    linalg.yield %t : f32
  }} -> !whole
  %sum = linalg.generic {{indexing_maps = [#whole, #row], iterator_types = [{sums}]}}
      ins(%p : !whole) outs(%f : !row) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }} -> !row
  %y = linalg.generic {{indexing_maps = [#whole, #row, #whole], iterator_types = [{all}]}}
      ins(%p, %sum : !whole, !row) outs(%e : !whole) {{
  ^bb0(%a: f32, %s: f32, %o: f32):
    %t = arith.divf %a, %s : f32
    linalg.yield %t : f32
  }} -> !whole
  return %y : !whole
}}
"""

# The largest elements of rows: a sum whose rows nothing reads again.
LARGEST = SOFTMAX.partition("  %p =")[0].replace("-> !whole {{", "-> !row {{") + (
    "  return %largest : !row\n}}\n"
)


# What comes before the sums: IREE's own tiles gave wrong numbers where rows lie across.
RELU = """
func.func @main(%i: !x) -> !whole {{
  %none = arith.constant 0.0 : f32
  %ex = tensor.empty() : !x
  %x = linalg.generic {{indexing_maps = [#x, #x], iterator_types = [{all}]}}
      ins(%i : !x) outs(%ex : !x) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %none : f32
    linalg.yield %t : f32
  }} -> !x
"""


def text(
    kernel: str,
    shape: tuple[int, ...],
    row: int = 1,
    order: tuple[int, ...] = (),
    *,
    across: bool = False,
) -> str:
    """MLIR of a kernel over rows.

    Args:
        shape: of the rows' dims, then of those along a row.
        row: number of the latter.
        order: in which the kernel's input holds them.
        across: whether its result does, too.
    """
    order = order or tuple(range(len(shape)))
    dims = [f"d{d}" for d in range(len(shape))]
    parallel = ['"parallel"'] * len(shape)
    outer = len(shape) - row
    places = {"x": order, "whole": order if across else range(len(shape)), "row": range(outer)}
    head = ""
    for name, held in places.items():
        type_ = "x".join([*(str(shape[d]) for d in held), "f32"])
        reads = ", ".join(dims[d] for d in held)
        head += f"#{name} = affine_map<({', '.join(dims)}) -> ({reads})>\n"
        head += f"!{name} = tensor<{type_}>\n"
    sums = ", ".join([*parallel[:outer], *['"reduction"'] * row])
    count = math.prod(shape[outer:])
    return head + kernel.format(
        count=count, epsilon=EPSILON, sums=sums, all=", ".join(parallel)
    )


def norm(x: np.ndarray) -> np.ndarray:
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + EPSILON)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


KERNELS = {
    "norm": (NORM, norm),
    "softmax": (SOFTMAX, softmax),
    "largest": (LARGEST, lambda x: x.max(axis=-1)),
}


def check(source: str, x: np.ndarray, expected: np.ndarray, folder: Path, reason: str) -> None:
    """Compiles a kernel, whose tiles have this reason, and compares what it computes."""
    (folder / "m.mlir").write_text(source)
    compiled = smartmem.compile(folder / "m.mlir", target="vulkan")
    assert compiled.statistics.kernels == 1 and not compiled.report.fallbacks
    reasons = [r.reason for r in compiled.report.remarks if r.argument == PASS and r.applied]
    assert len(reasons) == 1 and reason in reasons[0]
    error = np.abs(compiled(x) - expected).max() / np.abs(expected).max()
    assert error < 1e-5


def data(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32) + 1


@pytest.mark.vulkan
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        ("norm", (400,)),  # 100 vectors: five threads of eight
        ("norm", (268,)),  # 67 vectors: one thread
        ("norm", (4,)),
        ("norm", (2, 420)),  # seven threads for each row
        ("softmax", (1000,)),
        ("softmax", (3, 2, 84)),
        ("largest", (400,)),
        ("largest", (5, 84)),
    ],
)
def test_few_rows(kernel: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    source, reference = KERNELS[kernel]
    x = data(shape)
    check(text(source, shape), x, reference(x), tmp_path, "a subgroup for each row")


@pytest.mark.vulkan
@pytest.mark.parametrize("kernel", ["norm", "softmax", "largest"])
@pytest.mark.parametrize(
    ("shape", "row", "order", "who"),
    [
        ((3, 4, 2, 160), 2, (0, 2, 1, 3), "a subgroup"),  # pairs of lines of a picture
        ((64, 32, 2, 20), 2, (0, 2, 1, 3), "a thread"),
        ((6, 4, 2, 2, 32), 3, (0, 2, 1, 3, 4), "a subgroup"),
        ((64, 16, 2, 3, 4), 3, (2, 0, 3, 1, 4), "a thread"),
        ((12, 8, 16), 2, (1, 0, 2), "a subgroup"),
    ],
)
def test_rows_of_several_dims(
    kernel: str,
    shape: tuple[int, ...],
    row: int,
    order: tuple[int, ...],
    who: str,
    tmp_path: Path,
) -> None:
    source, reference = KERNELS[kernel]
    whole = data(shape)
    rows = reference(whole.reshape(*shape[: len(shape) - row], -1))
    expected = rows if kernel == "largest" else rows.reshape(shape)
    x = np.ascontiguousarray(whole.transpose(order))
    reason = f"{who} for each row"
    check(text(source, shape, row, order), x, expected, tmp_path, reason)


@pytest.mark.vulkan
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("kernel", ["norm", "softmax"])
@pytest.mark.parametrize(
    ("shape", "order"),
    [((2, 2, 12), (2, 0, 1)), ((5, 17, 12), (0, 2, 1)), ((3, 49, 49), (0, 2, 1))],
)
def test_rows_that_lie_across(
    kernel: str, shape: tuple[int, ...], order: tuple[int, ...], across: bool, tmp_path: Path
) -> None:
    kernel_text, reference = KERNELS[kernel]
    body = RELU + kernel_text.partition("{{\n")[2]
    whole = data(shape)
    x = np.ascontiguousarray(whole.transpose(order))
    expected = reference(np.maximum(whole, 0))
    source = text(body, shape, 1, order, across=across)
    result = expected.transpose(order) if across else expected
    check(source, x, result, tmp_path, "a thread for each row")


MEAN = """
func.func @main(%x: tensor<{rows}x{columns}xf32>) -> tensor<{columns}xf32> {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{columns}xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<{columns}xf32>) -> tensor<{columns}xf32>
  %s = linalg.generic {{indexing_maps = [{read}, {written}],
      iterator_types = ["parallel", {reductions}]}}
      ins(%x : tensor<{rows}x{columns}xf32>) outs(%f : tensor<{columns}xf32>) {{
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }} -> tensor<{columns}xf32>
  %y = linalg.generic {{indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> (c)>],
      iterator_types = ["parallel"]}}
      ins(%s : tensor<{columns}xf32>) outs(%e : tensor<{columns}xf32>) {{
  ^bb0(%a: f32, %o: f32):
    %t = math.tanh %a : f32
    linalg.yield %t : f32
  }} -> tensor<{columns}xf32>
  return %y : tensor<{columns}xf32>
}}
"""


@pytest.mark.vulkan
@pytest.mark.parametrize("shape", [(49, 36), (7, 7, 36), (3, 2, 5, 12), (13, 1512)])
def test_sums_across_rows(shape: tuple[int, ...], tmp_path: Path) -> None:
    loops = [f"r{d}" for d in range(len(shape) - 1)]
    head = f"affine_map<(c, {', '.join(loops)}) ->"
    source = MEAN.format(
        rows="x".join(map(str, shape[:-1])),
        columns=shape[-1],
        read=f"{head} ({', '.join(loops)}, c)>",
        written=f"{head} (c)>",
        reductions=", ".join(['"reduction"'] * len(loops)),
    )
    x = data(shape) / 8
    expected = np.tanh(x.reshape(-1, shape[-1]).sum(axis=0))
    check(source, x, expected, tmp_path, "a thread for each vector of columns")


def sum_of(axes: list[int], shape: tuple[int, ...], pad: bool) -> ModelProto:
    """A sum over some axes, which is padded or not."""
    rank = len(shape) - len(axes)
    constants = [numpy_helper.from_array(np.array(axes), "axes")]
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=0)]
    if pad:
        widths = [1, *[0] * (rank - 1), 3, *[0] * (rank - 1)]
        constants.append(numpy_helper.from_array(np.array(widths), "widths"))
        nodes.append(helper.make_node("Pad", ["s", "widths"], ["y"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y" if pad else "s", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.vulkan
@pytest.mark.parametrize(
    ("shape", "axes", "pad"),
    [((8, 3, 6), [2], True), ((8, 6, 3, 6), [1, 3], False), ((8, 6, 3), [1], True)],
)
def test_no_thread_reads_what_another_one_fills(
    shape: tuple[int, ...], axes: list[int], pad: bool
) -> None:
    """With the code generator's own tiles these kernels have races."""
    compiled = smartmem.compile(sum_of(axes, shape, pad), target="vulkan")
    assert not compiled.report.fallbacks
    assert not shader_races(compiled.path.read_bytes())
    x = data(shape)
    expected = x.sum(axis=tuple(axes))
    if pad:
        expected = np.pad(expected, [(1, 3), *[(0, 0)] * (expected.ndim - 1)])
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-5, atol=1e-5)
