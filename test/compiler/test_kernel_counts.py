"""What runs when a module is loaded, beside what an inference runs."""

from __future__ import annotations

import numpy as np
import pytest

from smartmem.backend.iree_compile.compile import dump_phase
from smartmem.backend.iree_compile.kernels import (
    PHASE,
    WITHOUT_EVALUATION,
    kernels_of,
    load_time_dispatches,
)
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import resolve_target

_DATA = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32).tobytes().hex()

# A weight that is read in another order than it is stored in, and one that is not.
_TEXT = """\
func.func @main(%x: tensor<8x64xf32>) -> tensor<8x96xf32> {{
  %w = arith.constant dense_resource<w> : tensor<{stored}xf32>
  {moved}
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x96xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x96xf32>) -> tensor<8x96xf32>
  %0 = "flow.dispatch.region"() ({{
    %1 = linalg.matmul ins(%x, {weights} : tensor<8x64xf32>, tensor<64x96xf32>)
        outs(%z : tensor<8x96xf32>) -> tensor<8x96xf32>
    "flow.return"(%1) : (tensor<8x96xf32>) -> ()
  }}, {{}}) {{operandSegmentSizes = array<i32: 0, 0>}} : () -> tensor<8x96xf32>
  return %0 : tensor<8x96xf32>
}}
{{-# dialect_resources: {{ builtin: {{ w: "0x04000000{data}" }} }} #-}}
"""
_TRANSPOSE = """%f = tensor.empty() : tensor<64x96xf32>
  %t = linalg.transpose ins(%w : tensor<96x64xf32>) outs(%f : tensor<64x96xf32>)
      permutation = [1, 0]"""


@pytest.mark.parametrize(
    ("stored", "moved", "weights", "kernels"),
    [("64x96", "", "%w", 0), ("96x64", _TRANSPOSE, "%t", 1)],
)
def test_kernels_that_run_when_a_module_is_loaded(
    stored: str, moved: str, weights: str, kernels: int
) -> None:
    text = _TEXT.format(stored=stored, moved=moved, weights=weights, data=_DATA)
    options = IreeOptions(extra_flags=[WITHOUT_EVALUATION])
    dumped = dump_phase(text.encode(), resolve_target("cpu"), PHASE, options)
    assert load_time_dispatches(dumped) == kernels
    assert kernels_of(dumped).dispatches == 1
