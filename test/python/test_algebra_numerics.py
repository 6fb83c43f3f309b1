"""Every rule of algebra, and every way of a factor, keeps the values that IREE computes.

Each table is one module, compiled once as it is and once rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from torch_mlir import ir

import smartmem.dialect
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.targets.targets import resolve_target
from smartmem.compiler.lowered import embed_metadata
from smartmem.compiler.recorder import save_bytecode
from smartmem.frontend.finish import function_specs
from smartmem.frontend.imported_model import ImportedModel
from smartmem.parameters import Parameters
from smartmem.passes import Pass, PassContext
from smartmem.passes.analysis.algebra.patterns import Apply, Letter, Literal, Pattern, parse
from smartmem.passes.analysis.algebra.rules import RULES, Rule
from smartmem.passes.analysis.algebra.sinking import (
    CONTRACTION_RULE,
    REDUCTION_RULES,
    ReductionRule,
)
from smartmem.passes.fold_constants import FoldConstants
from smartmem.passes.lower_to_linalg import LowerToLinalg
from smartmem.passes.rewrite_algebra import RewriteAlgebra

ROWS, COLUMNS = 8, 16
RNG = np.random.default_rng(0)

# Letters that stand for one value for each row: these rules only pay because of them.
ROW_LETTERS = {
    "(a * b) * c -> a * (b * c)": "bc",
    "(a + b) + c -> a + (b + c)": "bc",
    "(a + b) - c -> a + (b - c)": "bc",
    "(a - b) + c -> a + (c - b)": "bc",
    "(a - b) - c -> a - (b + c)": "bc",
    "a - (b - c) -> (a + c) - b": "ac",
    "a - (b + c) -> (a - b) - c": "ab",
    "a / b -> a * (1 / b)": "b",
    "a + a * b -> a * (b + 1)": "b",
    "a - a * b -> a * (1 - b)": "b",
    "a * b - a -> a * (b - 1)": "b",
}


def random(*shape: int) -> np.ndarray:
    """Numbers of magnitude 0.5 to 2 and either sign, of few digits."""
    signs = RNG.choice([-1.0, 1.0], shape)
    return (signs * RNG.uniform(0.5, 2, shape).round(3)).astype(np.float32)


def dense(array: np.ndarray) -> str:
    shape = "x".join(map(str, array.shape))
    return f"arith.constant dense<{json.dumps(array.round(3).tolist())}> : tensor<{shape}xf32>"


@dataclass(frozen=True)
class Outcome:
    """Of one result: its values as they were and rewritten, and what was done."""

    before: np.ndarray
    after: np.ndarray
    remarks: list[str]


def outcomes(
    text: str, inputs: list[np.ndarray], passes: list[Pass], names: list[str], folder: Path
) -> dict[str, Outcome]:
    """What ``passes`` make of the results of ``main``, whose locations are ``names``."""
    before, _ = run(text, inputs, [], folder / "before")
    after, remarks = run(text, inputs, passes, folder / "after")
    return {
        name: Outcome(
            b, a, [r.reason for r in remarks if r.applied and f'"{name}"' in r.location]
        )
        for name, b, a in zip(names, before, after, strict=True)
    }


def run(
    text: str, inputs: list[np.ndarray], passes: list[Pass], stem: Path
) -> tuple[list[np.ndarray], list]:
    context = ir.Context()
    smartmem.dialect.load(context)
    module = ir.Module.parse(text, context)
    shared = PassContext(Parameters())
    with context:
        for pass_ in (*passes, LowerToLinalg()):
            pass_.run(module.operation, shared)
    model = ImportedModel(module, shared.parameters, *function_specs(module), "mlir", None)
    target = resolve_target("cpu")
    embed_metadata(model, target)
    source, output = stem.with_suffix(".mlirbc"), stem.with_suffix(".vmfb")
    save_bytecode(module, source)
    compile_bytecode(source, target, output=output)
    return LoadedModule(output, "cpu")(*inputs), shared.remarks


def check(outcome: Outcome, remark: str) -> None:
    assert any(remark in found for found in outcome.remarks), outcome.remarks
    scale = np.abs(outcome.before).max()  # sums may cancel
    np.testing.assert_allclose(outcome.after, outcome.before, rtol=1e-5, atol=1e-6 * scale)


# One function that computes the left side of every rule.


class Scalars:
    """Writes a pattern as operations of a body."""

    def __init__(self, type_: str = "f32") -> None:
        self.lines: list[str] = []
        self._type = type_

    def write(self, pattern: Pattern, values: dict[str, str]) -> str:
        if isinstance(pattern, Letter):
            return values[pattern.name]
        name = f"%v{len(self.lines)}"
        args = (
            ", ".join(self.write(a, values) for a in pattern.args)
            if isinstance(pattern, Apply)
            else ""
        )
        name = f"%v{len(self.lines)}"
        if isinstance(pattern, Literal):
            self.lines.append(f"{name} = arith.constant {pattern.value} : {self._type}")
        else:
            self.lines.append(f"{name} = {pattern.kind} {args} : {self._type}")
        return name


def letters(pattern: Pattern) -> Iterator[str]:
    if isinstance(pattern, Letter):
        yield pattern.name
    elif isinstance(pattern, Apply):
        for arg in pattern.args:
            yield from letters(arg)


def elementwise(number: int, rule: Rule) -> str:
    """The left side of ``rule`` over rows and columns; a root is of positive numbers."""
    names = sorted(set(letters(rule.left)))
    suffix = "p" if any(f in rule.text for f in ("sqrt", "log")) else ""
    rows = ROW_LETTERS.get(rule.text, "")
    values = [
        f"%row_{n}" if n in rows else f"%{n}{'' if n[0] == 'k' else suffix}" for n in names
    ]
    kinds = ["#row" if n in rows else "#column" if n[0] == "k" else "#id" for n in names]
    types = {"#row": f"tensor<{ROWS}xf32>", "#column": f"tensor<{COLUMNS}xf32>", "#id": "!t"}
    body = Scalars()
    given = {n: f"%x{i}" for i, n in enumerate(names)}
    for name in rule.nonnegative:
        body.lines.append(f"%abs_{name} = math.absf {given[name]} : f32")
        given[name] = f"%abs_{name}"
    result = body.write(rule.left, given)
    arguments = ", ".join(f"%x{i}: f32" for i in range(len(names)))
    return f"""
  %r{number} = linalg.generic {{indexing_maps = [{", ".join(kinds)}, #id],
    iterator_types = ["parallel", "parallel"]}}
    ins({", ".join(values)} : {", ".join(types[k] for k in kinds)}) outs(%e : !t) {{
  ^bb0({arguments}, %out: f32):
    {chr(10).join(body.lines)}
    linalg.yield {result} : f32
  }} -> !t loc("{rule.text}")"""


HEADER = f"""
!t = tensor<{ROWS}x{COLUMNS}xf32>
!ti = tensor<{ROWS}x{COLUMNS}xi32>
!r = tensor<{ROWS}xf32>
!ri = tensor<{ROWS}xi32>
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#column = affine_map<(d0, d1) -> (d1)>
#d0 = affine_map<(d0) -> (d0)>
"""


@pytest.fixture(scope="module")
def by_rule(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    weights = "\n".join(f"  %{k} = {dense(random(COLUMNS))}" for k in ("k", "k1", "k2", "k3"))
    count = len(RULES)
    text = f"""{HEADER}
func.func @main(%a: !t, %b: !t, %c: !t, %ap: !t, %bp: !t, %cp: !t,
                %row_a: !r, %row_b: !r, %row_c: !r) -> ({", ".join(["!t"] * count)}) {{
  %e = tensor.empty() : !t
{weights}
{"".join(elementwise(i, rule) for i, rule in enumerate(RULES))}
  return {", ".join(f"%r{i}" for i in range(count))} : {", ".join(["!t"] * count)}
}}"""
    signed = [random(ROWS, COLUMNS) for _ in range(3)]
    inputs = [*signed, *map(np.abs, signed), *(random(ROWS) for _ in range(3))]
    folder = tmp_path_factory.mktemp("rules")
    names = [rule.text for rule in RULES]
    return outcomes(text, inputs, [RewriteAlgebra()], names, folder)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_a_rule_applies_and_keeps_the_values(rule: Rule, by_rule: dict[str, Outcome]) -> None:
    check(by_rule[rule.text], rule.text)


def test_the_rules_that_need_rows_exist() -> None:
    assert set(ROW_LETTERS) <= {rule.text for rule in RULES}


# The same for reductions, whose results another operation reads.


def reduction(number: int, rule: ReductionRule) -> str:
    integer = "<<" in rule.text
    s, t, r, x = ("i32", "!ti", "!ri", "%i") if integer else ("f32", "!t", "!r", "%a")
    combiner = {
        "sum": "arith.addi" if integer else "arith.addf",
        "prod": "arith.mulf",
        "max": "arith.maximumf",
        "min": "arith.minimumf",
    }[rule.reduction]
    start = {
        "sum": "0" if integer else "0.0",
        "prod": "1.0",
        "max": "0xFF800000",
        "min": "0x7F800000",
    }
    body = Scalars(s)
    inner = body.write(parse(rule.inner), {"a": "%x", "k": "%k"})
    return f"""
  %n{number} = arith.constant {start[rule.reduction]} : {s}
  %e{number} = tensor.empty() : {r}
  %f{number} = linalg.fill ins(%n{number} : {s}) outs(%e{number} : {r}) -> {r}
  %s{number} = linalg.generic {{indexing_maps = [#id, #row],
    iterator_types = ["parallel", "reduction"]}} ins({x} : {t}) outs(%f{number} : {r}) {{
  ^bb0(%x: {s}, %out: {s}):
    %k = arith.constant {"3" if integer else "1.5"} : {s}
    {chr(10).join(body.lines)}
    %w = {combiner} {inner}, %out : {s}
    linalg.yield %w : {s}
  }} -> {r} loc("{rule.text}")
  %r{number} = linalg.generic {{indexing_maps = [#d0, #d0], iterator_types = ["parallel"]}}
    ins(%s{number} : {r}) outs(%e{number} : {r}) {{
  ^bb0(%x: {s}, %out: {s}):
    %w = {"arith.addi" if integer else "arith.mulf"} %x, %x : {s}
    linalg.yield %w : {s}
  }} -> {r}"""


@pytest.fixture(scope="module")
def by_reduction(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    types = ["!ri" if "<<" in rule.text else "!r" for rule in REDUCTION_RULES]
    text = f"""{HEADER}
func.func @main(%a: !t, %i: !ti) -> ({", ".join(types)}) {{
{"".join(reduction(i, rule) for i, rule in enumerate(REDUCTION_RULES))}
  return {", ".join(f"%r{i}" for i in range(len(types)))} : {", ".join(types)}
}}"""
    inputs = [random(ROWS, COLUMNS), RNG.integers(-99, 99, (ROWS, COLUMNS), np.int32)]
    folder = tmp_path_factory.mktemp("reductions")
    names = [rule.text for rule in REDUCTION_RULES]
    return outcomes(text, inputs, [RewriteAlgebra()], names, folder)


@pytest.mark.parametrize("rule", REDUCTION_RULES, ids=lambda rule: rule.text)
def test_a_function_moves_behind_a_reduction(
    rule: ReductionRule, by_reduction: dict[str, Outcome]
) -> None:
    check(by_reduction[rule.text], rule.text)


# Factors: into weights, biases, parts of them, and behind contractions.

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
def by_factor(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    inputs = [random(1, 3, 6, 6), random(10, 8), random(2, 5, 4)]
    passes = [RewriteAlgebra(), FoldConstants()]
    folder = tmp_path_factory.mktemp("factors")
    return outcomes(FACTORS, inputs, passes, list(FACTOR_CASES), folder)


@pytest.mark.parametrize("name", FACTOR_CASES)
def test_a_factor_goes_where_it_costs_nothing(name: str, by_factor: dict[str, Outcome]) -> None:
    check(by_factor[name], FACTOR_CASES[name])
