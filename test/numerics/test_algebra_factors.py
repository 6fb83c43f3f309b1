"""Factors go into weights, biases, parts of them, and behind contractions; the values stay."""

from __future__ import annotations

import pytest
from algebra import Outcome, check, dense, outcomes, random

from smartmem.passes.analysis.algebra.sinking import CONTRACTION_RULE
from smartmem.passes.fold_constants import FoldConstants
from smartmem.passes.rewrite_algebra import RewriteAlgebra

FACTORS = f"""
#id3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#id4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#channel = affine_map<(d0, d1, d2, d3) -> (d1)>
#last = affine_map<(d0, d1) -> (d1)>
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @main(%x: tensor<1x3x6x6xf32>, %t: tensor<10x8xf32>, %u: tensor<2x5x4xf32>)
    -> (tensor<1x4x4x4xf32>, tensor<2x10x4xf32>, tensor<10x6xf32>, tensor<2x5x5xf32>) {{
  %zero = arith.constant 0.0 : f32
  %wc = {dense(random(4, 3, 3, 3))}
  %mean = {dense(random(4))}
  %gain = {dense(random(4))}
  %beta = {dense(random(4))}
  %ec = tensor.empty() : tensor<1x4x4x4xf32>
  %fc = linalg.fill ins(%zero : f32) outs(%ec : tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
  %conv = linalg.conv_2d_nchw_fchw ins(%x, %wc : tensor<1x3x6x6xf32>, tensor<4x3x3x3xf32>)
    outs(%fc : tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
  %norm = linalg.generic {{indexing_maps = [#id4, #channel, #channel, #channel, #id4],
    iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
    ins(%conv, %mean, %gain, %beta : tensor<1x4x4x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
    outs(%ec : tensor<1x4x4x4xf32>) {{
  ^bb0(%v: f32, %m: f32, %g: f32, %b: f32, %out: f32):
    %0 = arith.subf %v, %m : f32
    %1 = arith.mulf %0, %g : f32
    %2 = arith.addf %1, %b : f32
    linalg.yield %2 : f32
  }} -> tensor<1x4x4x4xf32> loc("normalization behind a convolution")

  %wt = {dense(random(8, 24))}
  %bias = {dense(random(24))}
  %et = tensor.empty() : tensor<10x24xf32>
  %ft = linalg.fill ins(%zero : f32) outs(%et : tensor<10x24xf32>) -> tensor<10x24xf32>
  %mm = linalg.matmul ins(%t, %wt : tensor<10x8xf32>, tensor<8x24xf32>)
    outs(%ft : tensor<10x24xf32>) -> tensor<10x24xf32>
  %qkv = linalg.generic {{indexing_maps = [#id, #last, #id],
    iterator_types = ["parallel", "parallel"]}}
    ins(%mm, %bias : tensor<10x24xf32>, tensor<24xf32>) outs(%et : tensor<10x24xf32>) {{
  ^bb0(%v: f32, %b: f32, %out: f32):
    %0 = arith.addf %v, %b : f32
    linalg.yield %0 : f32
  }} -> tensor<10x24xf32>
  %q = "smartmem.view"(%qkv) {{map = affine_map<(d0, d1, d2) -> (d1, d0 * 4 + d2)>}}
    : (tensor<10x24xf32>) -> tensor<2x10x4xf32>
  %rest = "smartmem.view"(%qkv) {{map = affine_map<(d0, d1, d2) -> (d1, d0 * 4 + d2 + 8)>}}
    : (tensor<10x24xf32>) -> tensor<2x10x4xf32>
  %eq = tensor.empty() : tensor<2x10x4xf32>
  %scaled = linalg.generic {{indexing_maps = [#id3, #id3],
    iterator_types = ["parallel", "parallel", "parallel"]}}
    ins(%q : tensor<2x10x4xf32>) outs(%eq : tensor<2x10x4xf32>) {{
  ^bb0(%v: f32, %out: f32):
    %c = arith.constant 0.25 : f32
    %0 = arith.mulf %v, %c : f32
    linalg.yield %0 : f32
  }} -> tensor<2x10x4xf32> loc("a part of a projection with bias")
  %both = linalg.generic {{indexing_maps = [#id3, #id3, #id3],
    iterator_types = ["parallel", "parallel", "parallel"]}}
    ins(%scaled, %rest : tensor<2x10x4xf32>, tensor<2x10x4xf32>) outs(%eq : tensor<2x10x4xf32>) {{
  ^bb0(%v: f32, %w: f32, %out: f32):
    %0 = arith.addf %v, %w : f32
    linalg.yield %0 : f32
  }} -> tensor<2x10x4xf32>

  %wb = {dense(random(8, 6))}
  %gamma = {dense(random(8))}
  %eg = tensor.empty() : tensor<10x8xf32>
  %g = linalg.generic {{indexing_maps = [#id, #last, #id],
    iterator_types = ["parallel", "parallel"]}}
    ins(%t, %gamma : tensor<10x8xf32>, tensor<8xf32>) outs(%eg : tensor<10x8xf32>) {{
  ^bb0(%v: f32, %k: f32, %out: f32):
    %0 = math.tanh %v : f32
    %1 = arith.mulf %0, %k : f32
    linalg.yield %1 : f32
  }} -> tensor<10x8xf32> loc("a factor before a contraction")
  %eb = tensor.empty() : tensor<10x6xf32>
  %fb = linalg.fill ins(%zero : f32) outs(%eb : tensor<10x6xf32>) -> tensor<10x6xf32>
  %below = linalg.matmul ins(%g, %wb : tensor<10x8xf32>, tensor<8x6xf32>)
    outs(%fb : tensor<10x6xf32>) -> tensor<10x6xf32>

  %es = tensor.empty() : tensor<2x5x4xf32>
  %us = linalg.generic {{indexing_maps = [#id3, #id3],
    iterator_types = ["parallel", "parallel", "parallel"]}}
    ins(%u : tensor<2x5x4xf32>) outs(%es : tensor<2x5x4xf32>) {{
  ^bb0(%v: f32, %out: f32):
    %c = arith.constant 0.5 : f32
    %0 = arith.mulf %v, %c : f32
    linalg.yield %0 : f32
  }} -> tensor<2x5x4xf32>
  %ut = "smartmem.view"(%u) {{map = affine_map<(d0, d1, d2) -> (d0, d2, d1)>}}
    : (tensor<2x5x4xf32>) -> tensor<2x4x5xf32>
  %ek = tensor.empty() : tensor<2x5x5xf32>
  %fk = linalg.fill ins(%zero : f32) outs(%ek : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  %scores = linalg.batch_matmul ins(%us, %ut : tensor<2x5x4xf32>, tensor<2x4x5xf32>)
    outs(%fk : tensor<2x5x5xf32>) -> tensor<2x5x5xf32> loc("{CONTRACTION_RULE}")
  %exp = linalg.generic {{indexing_maps = [#id3, #id3],
    iterator_types = ["parallel", "parallel", "parallel"]}}
    ins(%scores : tensor<2x5x5xf32>) outs(%ek : tensor<2x5x5xf32>) {{
  ^bb0(%v: f32, %out: f32):
    %0 = math.exp %v : f32
    linalg.yield %0 : f32
  }} -> tensor<2x5x5xf32>
  return %norm, %both, %below, %exp
    : tensor<1x4x4x4xf32>, tensor<2x10x4xf32>, tensor<10x6xf32>, tensor<2x5x5xf32>
}}
"""

FACTOR_CASES = {
    "normalization behind a convolution": "its factor goes into the weights of what it multiplies",
    "a part of a projection with bias": "its factor goes into the weights of what it multiplies",
    "a factor before a contraction": "its factor goes into the weights of what reads it",
    CONTRACTION_RULE: CONTRACTION_RULE,
}


@pytest.fixture(scope="module")
def by_factor() -> dict[str, Outcome]:
    inputs = [random(1, 3, 6, 6), random(10, 8), random(2, 5, 4)]
    passes = [RewriteAlgebra(), FoldConstants()]
    return outcomes(FACTORS, inputs, passes, list(FACTOR_CASES))


@pytest.mark.parametrize("name", FACTOR_CASES)
def test_a_factor_goes_where_it_costs_nothing(name: str, by_factor: dict[str, Outcome]) -> None:
    check(by_factor[name], FACTOR_CASES[name])
