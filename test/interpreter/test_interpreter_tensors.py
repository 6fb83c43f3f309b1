"""The interpreter's linalg, tensor and smartmem operations compute what NumPy does."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from interpreting import run, run_body

import smartmem.interpreter.linalg
from smartmem.compiler.stages import read_model
from smartmem.interpreter import InterpreterError, interpret
from smartmem.options import CompileOptions
from smartmem.runtime.inputs import random_inputs

RNG = np.random.default_rng(0)
SWIN = Path(__file__).parents[2] / "examples" / "small_swin.onnx"


def _floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_movements() -> None:
    text = """
      func.func @main(%x: tensor<4x6xf32>, %y: tensor<2x3xf32>)
          -> (tensor<2x1x3xf32>, tensor<4x6xf32>, tensor<2x2x6xf32>, tensor<24xf32>,
              tensor<6x9xf32>, tensor<4x9xf32>, tensor<6x4xf32>, tensor<2x2x2x3xf32>,
              tensor<4x6xf32>) {
        %c1 = arith.constant 1 : index
        %z = arith.constant 0.5 : f32
        %0 = tensor.extract_slice %x[%c1, 1] [2, 3] [2, 2] : tensor<4x6xf32> to tensor<2x3xf32>
        %1 = tensor.expand_shape %0 [[0, 1], [2]] output_shape [2, 1, 3]
             : tensor<2x3xf32> into tensor<2x1x3xf32>
        %2 = tensor.insert_slice %y into %x[0, 0] [2, 3] [2, 2]
             : tensor<2x3xf32> into tensor<4x6xf32>
        %3 = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 2, 6]
             : tensor<4x6xf32> into tensor<2x2x6xf32>
        %4 = tensor.collapse_shape %x [[0, 1]] : tensor<4x6xf32> into tensor<24xf32>
        %5 = tensor.pad %x low[2, 1] high[0, 2] {
          ^bb0(%i: index, %j: index): tensor.yield %z : f32
        } : tensor<4x6xf32> to tensor<6x9xf32>
        %s = tensor.extract_slice %x[0, 0] [4, 3] [1, 1] : tensor<4x6xf32> to tensor<4x3xf32>
        %6 = tensor.concat dim(1) %x, %s
             : (tensor<4x6xf32>, tensor<4x3xf32>) -> tensor<4x9xf32>
        %e = tensor.empty() : tensor<6x4xf32>
        %7 = linalg.transpose ins(%x : tensor<4x6xf32>) outs(%e : tensor<6x4xf32>)
             permutation = [1, 0]
        %f = tensor.empty() : tensor<2x2x2x3xf32>
        %8 = linalg.pack %x outer_dims_perm = [1, 0] inner_dims_pos = [0, 1]
             inner_tiles = [2, 3] into %f : tensor<4x6xf32> -> tensor<2x2x2x3xf32>
        %g = tensor.empty() : tensor<4x6xf32>
        %9 = linalg.unpack %8 outer_dims_perm = [1, 0] inner_dims_pos = [0, 1]
             inner_tiles = [2, 3] into %g : tensor<2x2x2x3xf32> -> tensor<4x6xf32>
        return %1, %2, %3, %4, %5, %6, %7, %8, %9 : tensor<2x1x3xf32>, tensor<4x6xf32>,
          tensor<2x2x6xf32>, tensor<24xf32>, tensor<6x9xf32>, tensor<4x9xf32>,
          tensor<6x4xf32>, tensor<2x2x2x3xf32>, tensor<4x6xf32>
      }"""
    x, y = _floats(4, 6), _floats(2, 3)
    inserted = x.copy()
    inserted[:4:2, :6:2] = y
    want = [
        x[1:4:2, 1:6:2].reshape(2, 1, 3),
        inserted,
        x.reshape(2, 2, 6),
        x.ravel(),
        np.pad(x, ((2, 0), (1, 2)), constant_values=0.5),
        np.concatenate([x, x[:, :3]], axis=1),
        x.T,
        x.reshape(2, 2, 2, 3).transpose(2, 0, 1, 3),
        x,
    ]
    for result, expected in zip(run(text, x, y), want, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_views_and_concats_by_their_definition() -> None:
    text = """
      func.func @main(%x: tensor<3x4xf32>) -> (tensor<4x3xf32>, tensor<5xf32>, tensor<6xf32>) {
        %z = arith.constant 9.0 : f32
        %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
             : (tensor<3x4xf32>) -> tensor<4x3xf32>
        %1 = "smartmem.view"(%x, %z) {map = affine_map<(d0) -> (1, d0 - 1)>,
             domain = affine_map<(d0) -> (d0 - 1)>} : (tensor<3x4xf32>, f32) -> tensor<5xf32>
        %2 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 floordiv 2, d0 mod 2)>}
             : (tensor<3x4xf32>) -> tensor<6xf32>
        %3 = "smartmem.view"(%x) {map = affine_map<(d0) -> (0, d0)>,
             domain = affine_map<(d0) -> (2 - d0)>} : (tensor<3x4xf32>) -> tensor<6xf32>
        %4 = "smartmem.concat"(%3, %2) {domains = [affine_map<(d0) -> (2 - d0)>,
             affine_map<(d0) -> ()>]} : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
        return %0, %1, %4 : tensor<4x3xf32>, tensor<5xf32>, tensor<6xf32>
      }"""
    x = _floats(3, 4)
    transposed, padded, joined = run(text, x)
    np.testing.assert_array_equal(transposed, x.T)
    np.testing.assert_array_equal(padded, [9, *x[1]])
    np.testing.assert_array_equal(joined, [*x[0, :3], x[1, 1], *x[2, :2]])


def test_unwritten_elements_are_nan_or_far_from_any_index() -> None:
    body = """%0 = tensor.empty() : tensor<2xf32>
      %1 = tensor.empty() : tensor<2xi32>
      %2 = "smartmem.view"(%arg0) {map = affine_map<(d0) -> (d0)>,
           domain = affine_map<(d0) -> (1 - d0)>} : (tensor<2xf32>) -> tensor<3xf32>
      return %0, %1, %2 : tensor<2xf32>, tensor<2xi32>, tensor<3xf32>"""
    results = "tensor<2xf32>, tensor<2xi32>, tensor<3xf32>"
    floats, integers, view = run_body(body, ["tensor<2xf32>"], results, np.ones(2, "f4"))
    assert np.isnan(floats).all()
    assert (integers > 1 << 30).all()
    assert np.isnan(view).tolist() == [False, False, True]


MATMUL = """
  func.func @main(%a: tensor<{b}x5x7x{t}>, %w: tensor<{b}x7x6x{t}>, %i: tensor<{b}x5x6x{s}>)
      -> tensor<{b}x5x6x{s}> {{
    %0 = linalg.batch_matmul ins(%a, %w : tensor<{b}x5x7x{t}>, tensor<{b}x7x6x{t}>)
         outs(%i : tensor<{b}x5x6x{s}>) -> tensor<{b}x5x6x{s}>
    return %0 : tensor<{b}x5x6x{s}>
  }}"""


def test_contractions() -> None:
    a, w, start = _floats(3, 5, 7), _floats(3, 7, 6), _floats(3, 5, 6)
    (got,) = run(MATMUL.format(b=3, t="f32", s="f32"), a, w, start)
    np.testing.assert_allclose(got, a @ w + start, 1e-5, 1e-5)
    halves = [x.astype(np.float16) for x in (a, w, start)]
    (got,) = run(MATMUL.format(b=3, t="f16", s="f16"), *halves)
    x, y, z = (h.astype(np.float32) for h in halves)
    np.testing.assert_array_equal(got, (x @ y + z).astype(np.float16))  # rounded once
    a8, w8 = (RNG.integers(-128, 128, s).astype(np.int8) for s in ((3, 5, 7), (3, 7, 6)))
    zero = np.zeros((3, 5, 6), np.int32)
    (got,) = run(MATMUL.format(b=3, t="i8", s="i32"), a8, w8, zero)
    np.testing.assert_array_equal(got, a8.astype(np.int32) @ w8.astype(np.int32))
    big = np.full((1, 5, 7), 1 << 62), np.full((1, 7, 6), 3)
    (got,) = run(MATMUL.format(b=1, t="i64", s="i64"), *big, np.zeros((1, 5, 6), np.int64))
    np.testing.assert_array_equal(got, big[0] @ big[1])  # wraps around


def test_bf16_is_accumulated_in_f32() -> None:
    a = np.ones((1, 5, 7), ml_dtypes.bfloat16)
    w = np.full((1, 7, 6), 1 + 2**-7, ml_dtypes.bfloat16)
    (got,) = run(MATMUL.format(b=1, t="bf16", s="bf16"), a, w, np.zeros((1, 5, 6), a.dtype))
    assert (got == ml_dtypes.bfloat16(7 * (1 + 2**-7))).all()


def test_convolutions_and_pools() -> None:
    text = """
      func.func @main(%x: tensor<1x3x7x7xf32>, %w: tensor<4x3x3x3xf32>,
          %d: tensor<3x3x3xf32>)
          -> (tensor<1x4x3x3xf32>, tensor<1x3x5x5xf32>, tensor<1x3x3x3xf32>) {
        %z = arith.constant 0.0 : f32
        %low = arith.constant -1.0e30 : f32
        %e0 = tensor.empty() : tensor<1x4x3x3xf32>
        %f0 = linalg.fill ins(%z : f32) outs(%e0 : tensor<1x4x3x3xf32>) -> tensor<1x4x3x3xf32>
        %0 = linalg.conv_2d_nchw_fchw {strides = dense<2> : vector<2xi64>,
             dilations = dense<1> : vector<2xi64>}
             ins(%x, %w : tensor<1x3x7x7xf32>, tensor<4x3x3x3xf32>)
             outs(%f0 : tensor<1x4x3x3xf32>) -> tensor<1x4x3x3xf32>
        %e1 = tensor.empty() : tensor<1x3x5x5xf32>
        %f1 = linalg.fill ins(%z : f32) outs(%e1 : tensor<1x3x5x5xf32>) -> tensor<1x3x5x5xf32>
        %1 = linalg.depthwise_conv_2d_nchw_chw
             ins(%x, %d : tensor<1x3x7x7xf32>, tensor<3x3x3xf32>)
             outs(%f1 : tensor<1x3x5x5xf32>) -> tensor<1x3x5x5xf32>
        %e2 = tensor.empty() : tensor<1x3x3x3xf32>
        %f2 = linalg.fill ins(%low : f32) outs(%e2 : tensor<1x3x3x3xf32>) -> tensor<1x3x3x3xf32>
        %k = tensor.empty() : tensor<3x3xf32>
        %2 = linalg.pooling_nchw_max {strides = dense<2> : vector<2xi64>}
             ins(%x, %k : tensor<1x3x7x7xf32>, tensor<3x3xf32>)
             outs(%f2 : tensor<1x3x3x3xf32>) -> tensor<1x3x3x3xf32>
        return %0, %1, %2 : tensor<1x4x3x3xf32>, tensor<1x3x5x5xf32>, tensor<1x3x3x3xf32>
      }"""
    x, w, d = _floats(1, 3, 7, 7), _floats(4, 3, 3, 3), _floats(3, 3, 3)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    conv, depthwise, pooled = run(text, x, w, d)
    want = np.einsum("nchwij,fcij->nfhw", windows[:, :, ::2, ::2], w)
    np.testing.assert_allclose(conv, want, 1e-5, 1e-5)
    want = np.einsum("nchwij,cij->nchw", windows, d)
    np.testing.assert_allclose(depthwise, want, 1e-5, 1e-5)
    np.testing.assert_array_equal(pooled, windows[:, :, ::2, ::2].max((4, 5)))


GENERIC = """
  func.func @main(%x: tensor<4x6xf32>, %i: tensor<4x6xi64>, %t: tensor<9xf32>)
      -> (tensor<4xf32>, tensor<4xi64>, tensor<6x4xf32>, tensor<4xf32>) {
    %low = arith.constant dense<-1.0e30> : tensor<4xf32>
    %none = arith.constant dense<0> : tensor<4xi64>
    %ones = arith.constant dense<1.0> : tensor<4xf32>
    %0:2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
        affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>],
        iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<4x6xf32>) outs(%low, %none : tensor<4xf32>, tensor<4xi64>) {
      ^bb0(%a: f32, %m: f32, %n: i64):
        %j = linalg.index 1 : index
        %k = arith.index_cast %j : index to i64
        %p = arith.cmpf ogt, %a, %m : f32
        %q = arith.select %p, %a, %m : f32
        %r = arith.select %p, %k, %n : i64
        linalg.yield %q, %r : f32, i64
    } -> (tensor<4xf32>, tensor<4xi64>)
    %e = tensor.empty() : tensor<6x4xf32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>,
        affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
        ins(%i : tensor<4x6xi64>) outs(%e : tensor<6x4xf32>) {
      ^bb0(%a: i64, %o: f32):
        %j = arith.index_cast %a : i64 to index
        %v = tensor.extract %t[%j] : tensor<9xf32>
        linalg.yield %v : f32
    } -> tensor<6x4xf32>
    %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
        affine_map<(d0, d1) -> (d0, 5 - d1)>, affine_map<(d0, d1) -> (d0)>],
        iterator_types = ["parallel", "reduction"]}
        ins(%x, %x : tensor<4x6xf32>, tensor<4x6xf32>) outs(%ones : tensor<4xf32>) {
      ^bb0(%a: f32, %b: f32, %o: f32):
        %p = arith.mulf %a, %b : f32
        %q = arith.addf %o, %p : f32
        %r = arith.addf %q, %a : f32
        linalg.yield %r : f32
    } -> tensor<4xf32>
    return %0#0, %0#1, %1, %2 : tensor<4xf32>, tensor<4xi64>, tensor<6x4xf32>, tensor<4xf32>
  }"""


@pytest.mark.parametrize("limit", [1 << 23, 5], ids=["whole", "in parts"])
def test_bodies_of_any_kind(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smartmem.interpreter.linalg, "LARGEST_BOX", limit)
    x, table = _floats(4, 6), _floats(9)
    indices = RNG.integers(0, 9, (4, 6))
    largest, where, taken, sums = run(GENERIC, x, indices, table)
    np.testing.assert_array_equal(largest, x.max(1))
    np.testing.assert_array_equal(where, x.argmax(1))
    np.testing.assert_array_equal(taken, table[indices].T)
    np.testing.assert_allclose(sums, 1 + (x * x[:, ::-1] + x).sum(1), 1e-5, 1e-5)


def test_reading_outside_is_an_error_that_names_the_operation() -> None:
    indices = np.full((4, 6), 9)
    with pytest.raises(
        InterpreterError, match=r"tensor\.extract at .*index 9 leaves a dim of 9"
    ):
        run(GENERIC, _floats(4, 6), indices, _floats(9))


def test_scans_scatters_and_sorts() -> None:
    text = """
      func.func @main(%x: tensor<2x5xf32>, %i: tensor<3x1xi32>, %u: tensor<3xf32>)
          -> (tensor<2x5xf32>, tensor<2x5xf32>, tensor<2x5xi64>, tensor<4xf32>) {
        %e = tensor.empty() : tensor<2x5xf32>
        %a = arith.constant dense<0.0> : tensor<2xf32>
        %0:2 = tm_tensor.scan dimension(1) inclusive(true) ins(%x : tensor<2x5xf32>)
            outs(%e, %a : tensor<2x5xf32>, tensor<2xf32>) {
          ^bb0(%p: f32, %q: f32):
            %s = arith.addf %p, %q : f32
            tm_tensor.yield %s : f32
        } -> tensor<2x5xf32>, tensor<2xf32>
        %n = arith.constant dense<[[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]> : tensor<2x5xi64>
        %1:2 = tm_tensor.sort dimension(1) outs(%x, %n : tensor<2x5xf32>, tensor<2x5xi64>) {
          ^bb0(%p: f32, %q: f32, %r: i64, %t: i64):
            %s = arith.cmpf oge, %p, %q : f32
            tm_tensor.yield %s : i1
        } -> tensor<2x5xf32>, tensor<2x5xi64>
        %z = arith.constant dense<0.0> : tensor<4xf32>
        %2 = tm_tensor.scatter {dimension_map = array<i64: 0>} unique_indices(false)
            ins(%u, %i : tensor<3xf32>, tensor<3x1xi32>) outs(%z : tensor<4xf32>) {
          ^bb0(%p: f32, %q: f32):
            %s = arith.addf %q, %p : f32
            tm_tensor.yield %s : f32
        } -> tensor<4xf32>
        return %0#0, %1#0, %1#1, %2
          : tensor<2x5xf32>, tensor<2x5xf32>, tensor<2x5xi64>, tensor<4xf32>
      }"""
    x = np.float32([[3, 1, 3, 2, 5], [0, 0, 4, 4, 1]])
    updates = np.float32([1, 2, 4])
    sums, ordered, order, scattered = run(text, x, np.int32([[1], [3], [1]]), updates)
    np.testing.assert_array_equal(sums, x.cumsum(1))
    want = np.argsort(-x, axis=1, kind="stable")
    np.testing.assert_array_equal(order, want)
    np.testing.assert_array_equal(ordered, np.take_along_axis(x, want, 1))
    assert scattered.tolist() == [0, 5, 0, 2]


def test_an_imported_network_computes_what_onnx_runtime_does() -> None:
    imported = read_model(SWIN, None, CompileOptions())
    inputs = random_inputs(imported.inputs)
    assert imported.reference is not None
    for got, want in zip(
        interpret(imported.module, inputs, imported.parameters),
        imported.reference(inputs),
        strict=True,
    ):
        assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
