"""Channels padded to whole vectors compute what they computed, and need no kernel more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.backend.targets.targets import resolve_target

# 252 channels are 63 groups of 4, which no vector of 8 or 16 divides; 256 are 64.
CHANNELS, GROUPS = 252, 63
PASS = "smartmem-pad-dims"


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_network_of_padded_channels_computes_the_same(stride: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    conv = torch.nn.Conv2d

    class Network(torch.nn.Module):
        """What reads the channels: a grouped convolution, joint sums, a residual, a pooling."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = conv(16, CHANNELS, 1)
            self.grouped = conv(CHANNELS, CHANNELS, 3, stride, 1, groups=GROUPS)
            self.behind, self.beside = conv(CHANNELS, 64, 1), conv(CHANNELS, 64, 1, stride)
            self.first, self.last = conv(64, CHANNELS, 1), conv(CHANNELS, CHANNELS, 1)
            self.head = torch.nn.Linear(CHANNELS, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.stem(x))
            joint = self.behind(torch.relu(self.grouped(x))) + self.beside(x)
            x = torch.relu(self.first(torch.relu(joint)))
            x = torch.relu(self.last(x) + x)
            return self.head(x.mean((2, 3)))

    model, x = Network().eval(), torch.randn(1, 16, 12, 12)
    compiled = smartmem.compile(model, inputs=(x,), target="cpu")
    assert not compiled.report.fallbacks
    assert compiled.report.kernels.copies == 0
    if resolve_target("cpu").vectors.lanes in (8, 16):
        padded = [r for r in compiled.report.remarks if r.argument == PASS and r.applied]
        assert {r.reason for r in padded} == {"256 columns instead of 252: whole vectors"}
        assert len(padded) == 2  # the stem's channels, and those of the residual together
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(compiled(x.numpy()), expected, rtol=1e-4, atol=1e-4)


def pointwise(rows: int, channels: int, taken: int) -> str:
    """A linear layer with a bias, of whose channels another one reads the first ``taken``."""
    made, read = f"tensor<{rows}x{channels}xf32>", f"tensor<{rows}x{taken}xf32>"
    return f"""\
func.func @main(%x: tensor<{rows}x16xf32>, %v: tensor<{taken}x8xf32>) -> tensor<{rows}x8xf32> {{
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<16x{channels}xf32>
  %b = arith.constant dense<-1.0> : tensor<{channels}xf32>
  %e = tensor.empty() : {made}
  %z = linalg.fill ins(%c : f32) outs(%e : {made}) -> {made}
  %m = linalg.matmul ins(%x, %w : tensor<{rows}x16xf32>, tensor<16x{channels}xf32>)
    outs(%z : {made}) -> {made}
  %r = linalg.generic {{indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>,
    affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]}}
    ins(%m, %b : {made}, tensor<{channels}xf32>) outs(%e : {made}) {{
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    %q = arith.divf %s, %s : f32
    %t = arith.addf %q, %s : f32
    linalg.yield %t : f32
  }} -> {made}
  %p = "smartmem.view"(%r) {{map = affine_map<(m, n) -> (m, n)>}} : ({made}) -> {read}
  %f = tensor.empty() : tensor<{rows}x8xf32>
  %g = linalg.fill ins(%c : f32) outs(%f : tensor<{rows}x8xf32>) -> tensor<{rows}x8xf32>
  %y = linalg.matmul ins(%p, %v : {read}, tensor<{taken}x8xf32>)
    outs(%g : tensor<{rows}x8xf32>) -> tensor<{rows}x8xf32>
  return %y : tensor<{rows}x8xf32>
}}
"""


@pytest.mark.parametrize("taken", [252, 251, 128])
def test_nobody_reads_what_the_new_channels_hold(taken: int, tmp_path: Path) -> None:
    """The new ones are 0 / 0, which would make all sums not a number."""
    path = tmp_path / "model.mlir"
    path.write_text(pointwise(49, CHANNELS, taken))
    compiled = smartmem.compile(path, target="cpu")
    assert not compiled.report.fallbacks
    random = np.random.default_rng(0)
    x, v = (random.standard_normal(s.shape).astype(np.float32) for s in compiled.inputs)
    made = x @ np.full((16, CHANNELS), 0.5, np.float32) - 1
    expected = (made + 1)[:, :taken] @ v
    np.testing.assert_allclose(compiled(x, v), expected, rtol=1e-4, atol=1e-3)
