"""Tensors of which some parts are equal keep their own numbers in the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import smartmem

MODEL = """
func.func @main(%x: tensor<41x16xf32>, %w: tensor<16x16xf32>, %z: tensor<7x16xf32>) -> (tensor<48x16xf32>, tensor<48x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<48x16xf32>
  %s = tensor.extract_slice %x[1, 0] [40, 16] [1, 1] : tensor<41x16xf32> to tensor<40x16xf32>
  %i = tensor.insert_slice %s into %e[1, 0] [40, 16] [1, 1] : tensor<40x16xf32> into tensor<48x16xf32>
  %j = tensor.insert_slice %z into %i[41, 0] [7, 16] [1, 1] : tensor<7x16xf32> into tensor<48x16xf32>
  %r = tensor.extract_slice %x[0, 0] [1, 16] [1, 1] : tensor<41x16xf32> to tensor<1x16xf32>
  %er = tensor.empty() : tensor<1x16xf32>
  %fr = linalg.fill ins(%zero : f32) outs(%er : tensor<1x16xf32>) -> tensor<1x16xf32>
  %a = linalg.matmul ins(%r, %w : tensor<1x16xf32>, tensor<16x16xf32>) outs(%fr : tensor<1x16xf32>) -> tensor<1x16xf32>
  %b = linalg.matmul ins(%a, %w : tensor<1x16xf32>, tensor<16x16xf32>) outs(%fr : tensor<1x16xf32>) -> tensor<1x16xf32>
  %p = tensor.insert_slice %a into %j[0, 0] [1, 16] [1, 1] : tensor<1x16xf32> into tensor<48x16xf32>
  %q = tensor.insert_slice %b into %j[0, 0] [1, 16] [1, 1] : tensor<1x16xf32> into tensor<48x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<48x16xf32>) -> tensor<48x16xf32>
  %c = linalg.matmul ins(%p, %w : tensor<48x16xf32>, tensor<16x16xf32>) outs(%f : tensor<48x16xf32>) -> tensor<48x16xf32>
  %d = linalg.matmul ins(%q, %w : tensor<48x16xf32>, tensor<16x16xf32>) outs(%f : tensor<48x16xf32>) -> tensor<48x16xf32>
  return %c, %d : tensor<48x16xf32>, tensor<48x16xf32>
}
"""


def test_two_tensors_that_begin_alike(tmp_path: Path) -> None:
    """iree-compile 3.13 alone writes the second one over the first, or reads the wrong one."""
    model = tmp_path / "model.mlir"
    model.write_text(MODEL)
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape).astype(np.float32) for shape in ((41, 16), (16, 16)))
    z = np.zeros((7, 16), np.float32)
    results = smartmem.compile(model, target="cpu")(x, w, z)
    first = x[:1] @ w
    for result, row in zip(results, (first, first @ w), strict=True):
        expected = np.concatenate([row, x[1:], z]) @ w
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)
