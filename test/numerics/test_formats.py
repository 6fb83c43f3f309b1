"""Memory formats: all that are legal give the same numbers, and the search finds the best."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_layouts import READ_BY_INDEX, sequences
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.backend.targets.vectors import AVX512
from smartmem.errors import InvalidInputError
from smartmem.frontend.mlir import read_resources
from smartmem.index_map.primitives import Primitive
from smartmem.interpreter import interpret
from smartmem.mlir.pipelines import run_pipeline
from smartmem.options import LAYOUTS, CompileOptions
from smartmem.passes import PASSES, PIPELINE, PassContext
from smartmem.passes.analysis.elimination.producer_consumer import TABLE
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.format_search import (
    Found,
    analytic,
    greedy,
    measured,
    search,
    total,
)
from smartmem.passes.analysis.layout.formats import Graph, graph_of, layout_in
from smartmem.passes.analysis.layout.kernel_costs import CPU
from smartmem.passes.rewrites.layout.lay_out import write_layout
from smartmem.passes.search_formats import STRATEGIES, SearchFormats

COST = analytic(CPU, AVX512)

FEW_MODELS = settings(
    max_examples=8,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""Each example runs all passes on a model."""

STEPS = [step for _, steps in PIPELINE for step in steps]
BEHIND = STEPS[STEPS.index(SearchFormats) :]

Layouts = Mapping[int, Sequence[Primitive]]
"""Layouts of a graph's tensors by their number."""


# y = x + W exp(x'), whose rows are then summed: x is 12 tokens of 20 channels.
MIXER = """\
func.func @main(%x: tensor<1x12x20xf32>) -> (tensor<12x20xf32>, tensor<12xf32>) {
  %w = arith.constant dense_resource<w> : tensor<16x12xf32>
  %v = arith.constant dense_resource<v> : tensor<12x16xf32>
  %c = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<20x12xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(a, b) -> (0, b, a)>,
      affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<1x12x20xf32>) outs(%e0 : tensor<20x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.exp %a : f32
    linalg.yield %m : f32
  } -> tensor<20x12xf32>
  %e1 = tensor.empty() : tensor<20x16xf32>
  %z1 = linalg.fill ins(%c : f32) outs(%e1 : tensor<20x16xf32>) -> tensor<20x16xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
      affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%n, %w : tensor<20x12xf32>, tensor<16x12xf32>) outs(%z1 : tensor<20x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<20x16xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>,
      affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}
      ins(%h : tensor<20x16xf32>) outs(%e1 : tensor<20x16xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.tanh %a : f32
    linalg.yield %m : f32
  } -> tensor<20x16xf32>
  %e2 = tensor.empty() : tensor<20x12xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<20x12xf32>) -> tensor<20x12xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
      affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%g, %v : tensor<20x16xf32>, tensor<12x16xf32>) outs(%z2 : tensor<20x12xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<20x12xf32>
  %e3 = tensor.empty() : tensor<12x20xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(a, b) -> (0, a, b)>,
      affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<1x12x20xf32>, tensor<20x12xf32>) outs(%e3 : tensor<12x20xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.addf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<12x20xf32>
  %e4 = tensor.empty() : tensor<12xf32>
  %z4 = linalg.fill ins(%c : f32) outs(%e4 : tensor<12xf32>) -> tensor<12xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<20x12xf32>) outs(%z4 : tensor<12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<12xf32>
  return %r, %t : tensor<12x20xf32>, tensor<12xf32>
}
"""

# Scores of two heads, a tensor of three dims, scaled and added to themselves transposed.
HEADS = """\
func.func @main(%q: tensor<2x6x8xf32>, %k: tensor<2x6x8xf32>) -> tensor<2x6x6xf32> {
  %c = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<2x6x8xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>,
      affine_map<(a, b, c) -> (a, b, c)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q : tensor<2x6x8xf32>) outs(%e0 : tensor<2x6x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.exp %a : f32
    linalg.yield %m : f32
  } -> tensor<2x6x8xf32>
  %e = tensor.empty() : tensor<2x6x6xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<2x6x6xf32>) -> tensor<2x6x6xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(b, m, n, d) -> (b, m, d)>,
      affine_map<(b, m, n, d) -> (b, n, d)>, affine_map<(b, m, n, d) -> (b, m, n)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%n, %k : tensor<2x6x8xf32>, tensor<2x6x8xf32>) outs(%z : tensor<2x6x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<2x6x6xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(b, m, n) -> (b, m, n)>,
      affine_map<(b, m, n) -> (b, n, m)>, affine_map<(b, m, n) -> (b, m, n)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %s : tensor<2x6x6xf32>, tensor<2x6x6xf32>) outs(%e : tensor<2x6x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.subf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<2x6x6xf32>
  return %r : tensor<2x6x6xf32>
}
"""

TEXTS = {"mixer": MIXER, "heads": HEADS}
INPUTS = {"mixer": [(1, 12, 20)], "heads": [(2, 6, 8), (2, 6, 8)]}


def parsed(model: str) -> tuple[ir.Module, PassContext, Graph]:
    """The model before the formats are searched, and its graph; in a context of its own."""
    rng = np.random.default_rng(0)
    data = ", ".join(
        f'{key}: "0x04000000{rng.standard_normal(192).astype(np.float32).tobytes().hex()}"'
        for key in ("w", "v")
    )
    resources = f"{{-# dialect_resources: {{ builtin: {{ {data} }} }} #-}}"
    context = ir.Context()
    dialect.load(context)
    with context:
        module = ir.Module.parse(f"{TEXTS[model]}\n{resources if model == 'mixer' else ''}")
        shared = PassContext(read_resources(module))
        before = PASSES[: PASSES.index(SearchFormats)]
        for pass_ in before:
            pass_().run(module.operation, shared)
        return module, shared, graph_of(_block(module), TABLE)


def _block(module: ir.Module) -> ir.Block:
    return module.body.operations[0].operation.regions[0].blocks[0]


def results(model: str, layouts: Layouts) -> list[np.ndarray]:
    """What the interpreter computes of what goes to iree-compile with these layouts."""
    module, shared, graph = parsed(model)
    with module.context:
        for number, layout in layouts.items():
            write_layout(graph.tensors[number].value, layout)
        assert module.operation.verify()
        run_pipeline(module, [e if isinstance(e, str) else e() for e in BEHIND], shared)
        rng = np.random.default_rng(1)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in INPUTS[model]]
        return interpret(module, arrays, shared.parameters)


@cache
def expected(model: str) -> list[np.ndarray]:
    return results(model, {})


@pytest.mark.parametrize("model", INPUTS)
@FEW_MODELS
@given(data=st.data())
def test_any_legal_formats_give_the_same_numbers(model: str, data: st.DataObject) -> None:
    module, _, graph = parsed(model)
    assert len(graph.tensors) >= 2
    chosen = {
        number: layout_in(tensor.value, data.draw(st.sampled_from(tensor.orders)))
        for number, tensor in enumerate(graph.tensors)
    }
    assert module.operation.verify(), "and it holds the graph's values"
    _same_numbers(model, chosen)


@pytest.mark.parametrize("model", INPUTS)
@FEW_MODELS
@given(data=st.data())
def test_any_layout_gives_the_same_numbers(model: str, data: st.DataObject) -> None:
    module, _, graph = parsed(model)
    chosen = {
        number: data.draw(sequences(shape_of(tensor.value), READ_BY_INDEX), label=str(number))
        for number, tensor in enumerate(graph.tensors)
    }
    assert module.operation.verify(), "and it holds the graph's values"
    _same_numbers(model, chosen)


def _same_numbers(model: str, layouts: Layouts) -> None:
    for got, want in zip(results(model, layouts), expected(model), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_the_mixer_computes_what_numpy_does() -> None:
    x = np.random.default_rng(1).standard_normal((1, 12, 20)).astype(np.float32)[0]
    rng = np.random.default_rng(0)
    w, v = (rng.standard_normal(192).astype(np.float32) for _ in range(2))
    y = np.tanh(np.exp(x).T @ w.reshape(16, 12).T) @ v.reshape(12, 16).T
    added, summed = expected("mixer")
    np.testing.assert_allclose(added, x + y.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(summed, y.sum(axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", INPUTS)
def test_the_search_finds_what_trying_all_finds(model: str) -> None:
    _, _, graph = parsed(model)
    choices = itertools.product(*(tensor.orders for tensor in graph.tensors))
    best = min(total(graph, dict(enumerate(orders)), COST) for orders in choices)
    found = search(graph, COST)
    assert found.is_exhaustive
    assert found.after == pytest.approx(best) or not found.formats
    assert found.before == pytest.approx(total(graph, {}, COST))
    assert best <= greedy(graph, COST).after + 1e-12


def test_a_small_budget_is_no_better_and_says_so() -> None:
    _, _, graph = parsed("mixer")
    narrow = search(graph, COST, budget=1)
    assert not narrow.is_exhaustive
    assert narrow.after >= search(graph, COST).after
    assert narrow.after <= narrow.before


def test_a_search_is_deterministic() -> None:
    def once() -> Found:
        return search(parsed("mixer")[2], COST, budget=4)

    assert once() == once()


def test_measured_costs_decide_where_there_are_any() -> None:
    _, _, graph = parsed("mixer")
    wanted = {0: graph.tensors[0].orders[-1]}
    known = {node.with_formats(wanted): 0.0 for node in graph.nodes if 0 in node.tensors}
    found = search(graph, measured(known, COST))
    assert found.formats[0] == wanted[0]


def test_the_option_and_the_pass_know_the_same_strategies(tmp_path: Path) -> None:
    assert LAYOUTS == STRATEGIES
    with pytest.raises(InvalidInputError, match="'best' is unknown; use one of rule, model"):
        CompileOptions(layout="best")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compile_with_each_strategy(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "heads.mlir"
    path.write_text(HEADS)
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((2, 6, 8)).astype(np.float32) for _ in range(2)]
    got = smartmem.compile(path, target="cpu", options=CompileOptions(layout=layout))(*arrays)
    scores = np.exp(arrays[0]) @ arrays[1].transpose(0, 2, 1)
    np.testing.assert_allclose(got, scores - scores.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)
