"""Buffers between kernels are kept from one inference to the next, however large they are."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = 4096 * 4096 * 4 // resource.getpagesize()
"""Of each of the tensors between the two products."""

MODEL = """
func.func @main(%x: tensor<4096x8xf32>, %w: tensor<8x4096xf32>) -> tensor<4096x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4096x4096xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %y = linalg.matmul ins(%x, %w : tensor<4096x8xf32>, tensor<8x4096xf32>)
                     outs(%f : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %er = tensor.empty() : tensor<4096xf32>
  %fr = linalg.fill ins(%zero : f32) outs(%er : tensor<4096xf32>) -> tensor<4096xf32>
  %r = linalg.reduce ins(%y : tensor<4096x4096xf32>) outs(%fr : tensor<4096xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %m = arith.maximumf %a, %b : f32
      linalg.yield %m : f32
    }
  %br = linalg.broadcast ins(%r : tensor<4096xf32>) outs(%e : tensor<4096x4096xf32>) dimensions = [1]
  %d = linalg.sub ins(%y, %br : tensor<4096x4096xf32>, tensor<4096x4096xf32>)
                  outs(%e : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %t = linalg.exp ins(%d : tensor<4096x4096xf32>)
                  outs(%e : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %e2 = tensor.empty() : tensor<4096x8xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<4096x8xf32>) -> tensor<4096x8xf32>
  %z = linalg.matmul ins(%t, %x : tensor<4096x4096xf32>, tensor<4096x8xf32>)
                     outs(%f2 : tensor<4096x8xf32>) -> tensor<4096x8xf32>
  return %z : tensor<4096x8xf32>
}
"""

SCRIPT = """
import resource, sys
import numpy as np
import smartmem

compiled = smartmem.compile(sys.argv[1], target="cpu")
x, w = np.ones((4096, 8), np.float32), np.ones((8, 4096), np.float32)
for _ in range(3):
    compiled(x, w)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
compiled(x, w)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt(3) is glibc's")
def test_pages_of_large_buffers_are_touched_once(tmp_path: Path) -> None:
    model = tmp_path / "two_products.mlir"
    model.write_text(MODEL)
    kept = {k: v for k, v in os.environ.items() if "MALLOC_" not in k}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, model],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=kept,
    )
    assert not found.returncode, found.stderr
    assert int(found.stdout) < PAGES // 4
