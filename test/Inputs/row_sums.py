"""Modules of a single kernel, compiled as SmartMem does or as another tool would."""

from __future__ import annotations

import json

import numpy as np

from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.module.metadata import (
    REFLECTION_KEY,
    encode_metadata,
)
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.tensor_spec import TensorSpec

# Row sums: IREE reduces with subgroup operations on Vulkan.
SUM = """
func.func @main(%a: tensor<16x256xf32>) -> tensor<16xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<16xf32>) -> tensor<16xf32>
  %r = linalg.reduce {arith.addf} ins(%a : tensor<16x256xf32>) outs(%f : tensor<16xf32>)
      dimensions = [1]
  return %r : tensor<16xf32>
}
"""

F32 = np.dtype(np.float32)

SUM_INPUTS = [TensorSpec("rows", (16, 256), F32)]

SUM_OUTPUTS = [TensorSpec("sums", (16,), F32)]


def build(folder, text, target, inputs, outputs):
    """Compiles MLIR text, with metadata, and returns the path of the module."""
    target = target if isinstance(target, Target) else resolve_target(target)
    meta = json.dumps(encode_metadata(target, inputs, outputs))
    attribute = f'attributes {{iree.reflection = {{"{REFLECTION_KEY}" = {meta}}}}} {{'
    head, _, body = text.partition("{\n")
    path = folder / "module.vmfb"
    compile_bytecode(f"{head}{attribute}\n{body}".encode(), target, output=path)
    return path


def build_plain(folder, text, target):
    """Compiles MLIR text without metadata, as another tool would."""
    path = folder / "plain.vmfb"
    compile_bytecode(text.encode(), resolve_target(target), output=path)
    return path


def doubling(dtype: str, shape: tuple[int, ...]) -> str:
    kind = f"tensor<{''.join(f'{size}x' for size in shape)}{dtype}>"
    operation = {"f": "addf", "b": "addf"}.get(dtype[0], "ori" if dtype == "i1" else "addi")
    dims = ", ".join(f"d{i}" for i in range(len(shape)))
    same = f"affine_map<({dims}) -> ({dims})>"
    parallel = ", ".join(['"parallel"'] * len(shape))
    return f"""func.func @main(%a: {kind}) -> {kind} {{
      %e = tensor.empty() : {kind}
      %r = linalg.generic {{indexing_maps = [{same}, {same}], iterator_types = [{parallel}]}}
          ins(%a : {kind}) outs(%e : {kind}) {{
      ^bb0(%x: {dtype}, %o: {dtype}):
        %s = arith.{operation} %x, %x : {dtype}
        linalg.yield %s : {dtype}
      }} -> {kind}
      return %r : {kind}
    }}"""
