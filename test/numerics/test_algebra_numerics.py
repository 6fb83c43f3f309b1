"""Every rule of algebra keeps the values.

Each table is one module, computed once as it is and once rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from algebra import RNG, Outcome, check, dense, outcomes, random

from smartmem.passes.analysis.algebra.patterns import Apply, Letter, Literal, Pattern, parse
from smartmem.passes.analysis.algebra.rules import RULES, Rule
from smartmem.passes.analysis.algebra.sinking import REDUCTION_RULES, ReductionRule
from smartmem.passes.rewrite_algebra import RewriteAlgebra

ROWS, COLUMNS = 8, 16

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
def by_rule() -> dict[str, Outcome]:
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
    names = [rule.text for rule in RULES]
    return outcomes(text, inputs, [RewriteAlgebra()], names)


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
def by_reduction() -> dict[str, Outcome]:
    types = ["!ri" if "<<" in rule.text else "!r" for rule in REDUCTION_RULES]
    text = f"""{HEADER}
func.func @main(%a: !t, %i: !ti) -> ({", ".join(types)}) {{
{"".join(reduction(i, rule) for i, rule in enumerate(REDUCTION_RULES))}
  return {", ".join(f"%r{i}" for i in range(len(types)))} : {", ".join(types)}
}}"""
    inputs = [random(ROWS, COLUMNS), RNG.integers(-99, 99, (ROWS, COLUMNS), np.int32)]
    names = [rule.text for rule in REDUCTION_RULES]
    return outcomes(text, inputs, [RewriteAlgebra()], names)


@pytest.mark.parametrize("rule", REDUCTION_RULES, ids=lambda rule: rule.text)
def test_a_function_moves_behind_a_reduction(
    rule: ReductionRule, by_reduction: dict[str, Outcome]
) -> None:
    check(by_reduction[rule.text], rule.text)
