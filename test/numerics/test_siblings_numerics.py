"""Layers joined into one compute what they computed apart, and nothing is copied."""

from __future__ import annotations

from pathlib import Path

import iree.runtime as rt
import numpy as np
import pytest
from torch_mlir import ir

import smartmem.dialect
from smartmem.backend.iree_compile.compile import CompileStatistics, compile_bytecode
from smartmem.backend.targets.targets import resolve_target
from smartmem.frontend.mlir import read_resources
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import PASSES, PassContext
from smartmem.passes.analysis.fusion.horizontal_fusion import Merge, Sibling, siblings
from smartmem.passes.analysis.ir.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.operators.affine_epilogues import affine_end
from smartmem.passes.base import operations
from smartmem.passes.fuse_siblings import FuseSiblings
from smartmem.passes.rewrites.fusion.merge_layers import merge_layers

HEADS, DEPTH, WIDTH = 2, 8, 8

# Bodies of an end on %in, with a bias %b for each channel, and what they compute.
ENDS = {
    "bias": ("%y = arith.addf %in, %b : f32", lambda x, b: x + b),
    "scaled": (
        "%s = arith.addf %in, %b : f32\n %y = arith.mulf %s, %half : f32",
        lambda x, b: (x + b) * 0.5,
    ),
    "from the other side": (
        """%s = arith.subf %b, %in : f32
    %t = arith.negf %s : f32
    %y = arith.divf %t, %half : f32""",
        lambda x, b: (x - b) / 0.5,
    ),
    "twice": (
        "%s = arith.mulf %in, %b : f32\n %y = arith.subf %s, %in : f32",
        lambda x, b: x * b - x,
    ),
}


def literal(array: np.ndarray) -> str:
    return f"dense<{array.tolist()}> : tensor<{'x'.join(map(str, array.shape))}xf32>"


def projection(name: str, end: str, weights: np.ndarray, bias: np.ndarray) -> str:
    """The value ``%<name>``: an end of x times the transposed ``weights``."""
    body, _ = ENDS[end]
    return f"""
  %w{name} = arith.constant {literal(weights)}
  %b{name} = arith.constant {literal(bias)}
  %t{name} = "smartmem.view"(%w{name}) {{map = affine_map<(d0, d1) -> (d1, d0)>}}
    : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %m{name} = linalg.matmul ins(%x, %t{name} : !x, tensor<8x8xf32>) outs(%f : !x) -> !x
  %{name} = linalg.generic {{indexing_maps = [#id, #row, #id],
    iterator_types = ["parallel", "parallel"]}}
    ins(%m{name}, %b{name} : !x, tensor<8xf32>) outs(%e : !x) {{
  ^bb0(%in: f32, %b: f32, %out: f32):
    {body}
    linalg.yield %y : f32
  }} -> !x"""


def attention(
    rows: int, ends: tuple[str, str, str], weights: np.ndarray, bias: np.ndarray
) -> str:
    """q k^T v for each head, from projections of one input of ``rows`` x 8."""
    projections = "".join(
        projection(name, end, w, b)
        for name, end, w, b in zip("qkv", ends, weights, bias, strict=True)
    )
    return f"""
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#heads = affine_map<(d0, d1, d2) -> (d1, d0 * 4 + d2)>
!x = tensor<{rows}x8xf32>
!h = tensor<2x{rows}x4xf32>
!s = tensor<2x{rows}x{rows}xf32>
func.func @main(%x: !x) -> !h {{
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %e = tensor.empty() : !x
  %f = linalg.fill ins(%zero : f32) outs(%e : !x) -> !x{projections}
  %qh = "smartmem.view"(%q) {{map = #heads}} : (!x) -> !h
  %kh = "smartmem.view"(%k) {{map = affine_map<(d0, d1, d2) -> (d2, d0 * 4 + d1)>}}
    : (!x) -> tensor<2x4x{rows}xf32>
  %vh = "smartmem.view"(%v) {{map = #heads}} : (!x) -> !h
  %es = tensor.empty() : !s
  %fs = linalg.fill ins(%zero : f32) outs(%es : !s) -> !s
  %s = linalg.batch_matmul ins(%qh, %kh : !h, tensor<2x4x{rows}xf32>) outs(%fs : !s) -> !s
  %eh = tensor.empty() : !h
  %fh = linalg.fill ins(%zero : f32) outs(%eh : !h) -> !h
  %o = linalg.batch_matmul ins(%s, %vh : !s, !h) outs(%fh : !h) -> !h
  return %o : !h
}}"""


def expected(
    x: np.ndarray, ends: tuple[str, str, str], weights: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    q, k, v = (
        ENDS[end][1](x @ w.T, b).reshape(len(x), HEADS, -1).transpose(1, 0, 2)
        for end, w, b in zip(ends, weights, bias, strict=True)
    )
    return q @ k.transpose(0, 2, 1) @ v


def lower(module: ir.Module, without: type | None = None) -> PassContext:
    """Runs all passes but ``without``."""
    context = PassContext(read_resources(module))
    run_pipeline(module, [p() for p in PASSES if p is not without], context)
    return context


def compile_cpu(module: ir.Module, folder: Path) -> CompileStatistics:
    source = folder / "main.mlirbc"
    with source.open("wb") as file:
        module.operation.write_bytecode(file)
    return compile_bytecode(source, resolve_target("cpu"), output=folder / "main.vmfb")


def run(folder: Path, x: np.ndarray) -> np.ndarray:
    config = rt.Config("local-sync")
    context = rt.SystemContext(config=config)
    context.add_vm_module(rt.VmModule.mmap(config.vm_instance, str(folder / "main.vmfb")))
    return np.asarray(context.modules.module.main(x))


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(
    "ends",
    [
        ("scaled", "bias", "bias"),
        ("from the other side", "scaled", "bias"),
        ("twice", "from the other side", "twice"),
    ],
)
def test_an_attention_equals_numpy(
    rows: int, ends: tuple[str, str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, DEPTH)).astype(np.float32)
    weights = rng.standard_normal((3, WIDTH, DEPTH)).astype(np.float32)
    bias = rng.standard_normal((3, WIDTH)).astype(np.float32)
    context = ir.Context()
    smartmem.dialect.load(context)
    text = attention(rows, ends, weights, bias)
    kernels = []
    for without in (FuseSiblings, None):
        with context, ir.Location.unknown():
            module = ir.Module.parse(text)
            lower(module, without)
            statistics = compile_cpu(module, tmp_path)
        assert statistics.copies == 0
        kernels.append(statistics.kernels)
        wanted = expected(x, ends, weights, bias)
        result = run(tmp_path, x)
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    apart, joined = kernels
    assert joined == apart - 2


RETURNED = f"""
func.func @main(%x: tensor<3x8xf32>) -> (tensor<3x8xf32>, tensor<3x8xf32>) {{
  %zero = arith.constant 0.0 : f32
  %a = arith.constant {literal(np.eye(8))}
  %b = arith.constant {literal(2 * np.eye(8))}
  %e = tensor.empty() : tensor<3x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x8xf32>) -> tensor<3x8xf32>
  %0 = linalg.matmul ins(%x, %a : tensor<3x8xf32>, tensor<8x8xf32>)
    outs(%f : tensor<3x8xf32>) -> tensor<3x8xf32>
  %1 = linalg.matmul ins(%x, %b : tensor<3x8xf32>, tensor<8x8xf32>)
    outs(%f : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %0, %1 : tensor<3x8xf32>, tensor<3x8xf32>
}}"""


def parsed(text: str) -> tuple[ir.Module, PassContext]:
    module = ir.Module.parse(text)
    return module, PassContext(read_resources(module))


def test_a_layer_whose_slice_would_be_copied_stays_apart(tmp_path: Path) -> None:
    context = ir.Context()
    smartmem.dialect.load(context)
    with context, ir.Location.unknown():
        module, passes = parsed(RETURNED)
        assert not siblings(module.operation, passes.parameters).merges
        lower(module)
        apart = compile_cpu(module, tmp_path)
        forced, passes = parsed(RETURNED)
        found = [linear_layer(op) for op in operations(forced.operation)]
        layers = [layer for layer in found if isinstance(layer, LinearLayer)]
        ends = [affine_end(layer, passes.parameters) for layer in layers]
        merge_layers(Merge(tuple(map(Sibling, layers, ends))), passes.parameters)
        lower(forced)
        joined = compile_cpu(forced, tmp_path)
    assert apart.copies == 0 and apart.kernels == 2
    assert joined.copies == 2 and joined.kernels == 1


BATCHED = f"""
func.func @main(%x: tensor<2x3x8xf32>) -> tensor<2x3x3xf32> {{
  %zero = arith.constant 0.0 : f32
  %a = arith.constant {literal(np.arange(128, dtype=np.float32).reshape(2, 8, 8))}
  %b = arith.constant {literal(np.arange(128, dtype=np.float32).reshape(2, 8, 8)[::-1])}
  %e = tensor.empty() : tensor<2x3x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %0 = linalg.batch_matmul ins(%x, %a : tensor<2x3x8xf32>, tensor<2x8x8xf32>)
    outs(%f : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %1 = linalg.batch_matmul ins(%x, %b : tensor<2x3x8xf32>, tensor<2x8x8xf32>)
    outs(%f : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %t = "smartmem.view"(%1) {{map = affine_map<(d0, d1, d2) -> (d0, d2, d1)>}}
    : (tensor<2x3x8xf32>) -> tensor<2x8x3xf32>
  %g = tensor.empty() : tensor<2x3x3xf32>
  %h = linalg.fill ins(%zero : f32) outs(%g : tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %2 = linalg.batch_matmul ins(%0, %t : tensor<2x3x8xf32>, tensor<2x8x3xf32>)
    outs(%h : tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  return %2 : tensor<2x3x3xf32>
}}"""


def test_weights_of_each_batch(tmp_path: Path) -> None:
    a = np.arange(128, dtype=np.float32).reshape(2, 8, 8)
    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    context = ir.Context()
    smartmem.dialect.load(context)
    with context, ir.Location.unknown():
        module = ir.Module.parse(BATCHED)
        lower(module)
        statistics = compile_cpu(module, tmp_path)
    assert (statistics.kernels, statistics.copies) == (2, 0)
    wanted = (x @ a) @ (x @ a[::-1]).transpose(0, 2, 1)
    np.testing.assert_allclose(
        run(tmp_path, x), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max()
    )
