"""Compiles reductions for the device at hand and runs them there.

Subgroup reductions are where a wrong target shows: they give wrong numbers, no error.
"""

# REQUIRES: vulkan
# RUN: %PYTHON %s | FileCheck %s

import json
import tempfile
from pathlib import Path

import numpy as np

from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.module.metadata import REFLECTION_KEY, encode_metadata
from smartmem.backend.targets.targets import resolve_target
from smartmem.tensor_spec import TensorSpec

TARGET = resolve_target("vulkan")
F32 = np.dtype(np.float32)


def run(name, signature, body, arrays, expected):
    """Compiles one function, runs it on the device, prints whether the numbers agree."""
    inputs = [TensorSpec(f"x{i}", array.shape, F32) for i, array in enumerate(arrays)]
    meta = encode_metadata(TARGET, inputs, [TensorSpec("y", expected.shape, F32)])
    attribute = f'attributes {{iree.reflection = {{"{REFLECTION_KEY}" = {json.dumps(meta)}}}}}'
    text = f"func.func @main{signature} {attribute} {{{body}}}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module.vmfb")
        compile_bytecode(text.encode(), TARGET, IreeOptions("O1"), output=path)
        (y,) = LoadedModule(path)(*arrays)
    error = np.abs(y - expected).max() / np.abs(expected).max()
    print(f"{name}: {'agrees' if error < 1e-5 else f'error {error}'}")


random = np.random.default_rng(0)
x = random.standard_normal((49, 96), dtype=np.float32)
w = random.standard_normal((96, 64), dtype=np.float32)

# CHECK: row-sum: agrees
run(
    "row-sum",
    "(%x: tensor<49x96xf32>) -> tensor<49xf32>",
    """
    %z = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<49xf32>
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<49xf32>) -> tensor<49xf32>
    %r = linalg.reduce {arith.addf} ins(%x : tensor<49x96xf32>) outs(%f : tensor<49xf32>)
        dimensions = [1]
    return %r : tensor<49xf32>
    """,
    [x],
    x.sum(axis=1),
)

# CHECK: softmax: agrees
run(
    "softmax",
    "(%x: tensor<49x96xf32>) -> tensor<49x96xf32>",
    """
    %e = tensor.empty() : tensor<49x96xf32>
    %r = linalg.softmax dimension(1)
        ins(%x : tensor<49x96xf32>) outs(%e : tensor<49x96xf32>) -> tensor<49x96xf32>
    return %r : tensor<49x96xf32>
    """,
    [x],
    np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
)

# CHECK: matmul: agrees
run(
    "matmul",
    "(%x: tensor<49x96xf32>, %w: tensor<96x64xf32>) -> tensor<49x64xf32>",
    """
    %z = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<49x64xf32>
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<49x64xf32>) -> tensor<49x64xf32>
    %r = linalg.matmul ins(%x, %w : tensor<49x96xf32>, tensor<96x64xf32>)
        outs(%f : tensor<49x64xf32>) -> tensor<49x64xf32>
    return %r : tensor<49x64xf32>
    """,
    [x, w],
    x @ w,
)
