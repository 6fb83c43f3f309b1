"""The rules of algebra that expressions are rewritten by (DNNFusion, section 4.2, table 4).

A rule is an equation, read from left to right, in the notation of Python. Its letters
stand for any expression; ``k`` and ``k1``, ``k2``, ... for expressions of weights and
constants alone, which are computed when compiling. ``+``, ``*``, ``max`` and ``min``
match in any order and grouping, so that the commutative rules of the paper, which only
enable others, need no row. What a rule assumes beyond real arithmetic stands beside it:

- Sums and products are regrouped. Rounding changes: by a few units in the last place
  of the largest intermediate result, not always of the final one.
- Intermediate results neither overflow nor underflow, in the old form or the new one.
  Where the old form did, as exp(a) * exp(b) with a = 100 and b = -100, the new form
  gives the value of real arithmetic. The sign of a zero is not kept.
- Rules that would turn the NaN of a negative square root into a number have a
  requirement on the sign, and apply only where the expression itself proves it.

A rule only applies where it lowers the cost that ``costs`` defines.
"""

from __future__ import annotations

from dataclasses import dataclass

from smartmem.passes.analysis.algebra.patterns import Pattern, parse


@dataclass(frozen=True)
class Rule:
    """``left`` is replaced by ``right``.

    Attributes:
        property: what makes them equal: associative, distributive, ...
        text: the rule as it was written, for the report.
        nonnegative: letters whose expressions must be provably at least 0.
    """

    property: str
    text: str
    left: Pattern
    right: Pattern
    nonnegative: tuple[str, ...] = ()


def _rules(property_: str, *texts: str | tuple[str, str]) -> list[Rule]:
    rules = []
    for item in texts:
        text, needs = item if isinstance(item, tuple) else (item, "")
        left, right = text.split(" -> ")
        rules.append(Rule(property_, text, parse(left), parse(right), tuple(needs.split())))
    return rules


RULES: tuple[Rule, ...] = (
    *_rules(
        "associative",
        # Groups weights with weights, and rows with rows: (A*R)*(R*C) -> A*(R*R)*C of
        # table 4, where R is a sum over the innermost dimension.
        "(a * b) * c -> a * (b * c)",
        "(a + b) + c -> a + (b + c)",
        "(a + b) - c -> a + (b - c)",
        "(a - b) + c -> a + (c - b)",
        "(a - b) - c -> a - (b + c)",
        "a - (b - c) -> (a + c) - b",
        "a - (b + c) -> (a - b) - c",
        # recip(A) * recip(A*B) of table 4 among others: one division instead of two.
        "(1 / a) * (1 / b) -> 1 / (a * b)",
        ("sqrt(a) * sqrt(a) -> a", "a"),
        ("rsqrt(a) * rsqrt(a) -> 1 / a", "a"),
        ("sqrt(a) * sqrt(b) -> sqrt(a * b)", "a b"),
        "sqrt(a * a) -> abs(a)",
        "abs(a) * abs(b) -> abs(a * b)",
        "abs(a) / abs(b) -> abs(a / b)",
        "abs(abs(a)) -> abs(a)",
        "max(a, a) -> a",
        "min(a, a) -> a",
    ),
    *_rules(
        "division",
        # Where b is a constant, or the same for a whole row as in softmax. 1/b is exact
        # for powers of 2; else the result differs by at most 1.5 units in the last place.
        "a / b -> a * (1 / b)",
        "(a / b) / c -> a / (b * c)",
        "a / (b / c) -> (a * c) / b",
        "(1 / b) * a -> a / b",
        "a / sqrt(b) -> a * rsqrt(b)",
        "1 / sqrt(a) -> rsqrt(a)",
        "1 / rsqrt(a) -> sqrt(a)",
        "1 / (1 / a) -> a",
    ),
    *_rules(
        "distributive",
        "a * c + a * b -> a * (b + c)",
        "a * c - a * b -> a * (c - b)",
        "a + a * b -> a * (b + 1)",
        "a - a * b -> a * (1 - b)",
        "a * b - a -> a * (b - 1)",
        "a / c + b / c -> (a + b) / c",
        "a / c - b / c -> (a - b) / c",
        # Normalization with weights: x * k1 + k2 folds into the contraction before it.
        "(a + k1) * k2 + k3 -> a * k2 + (k1 * k2 + k3)",
        "(a - k1) * k2 + k3 -> a * k2 + (k3 - k1 * k2)",
        "(a + k1) * k2 - k3 -> a * k2 + (k1 * k2 - k3)",
        "(a - k1) * k2 - k3 -> a * k2 - (k1 * k2 + k3)",
        "(a * k1 + k2) * k3 -> a * (k1 * k3) + k2 * k3",
        "(a * k1 - k2) * k3 -> a * (k1 * k3) - k2 * k3",
    ),
    *_rules(
        "negation",
        "-(-a) -> a",
        "a + (-b) -> a - b",
        "a - (-b) -> a + b",
        "-(a - b) -> b - a",
        "(-a) * (-b) -> a * b",
        "(-a) * k -> a * (-k)",
        "-(a * k) -> a * (-k)",
        "(-a) / (-b) -> a / b",
        "abs(-a) -> abs(a)",
        "max(-a, -b) -> -min(a, b)",
        "min(-a, -b) -> -max(a, b)",
    ),
    *_rules(
        "exponential",
        "exp(a) * exp(b) -> exp(a + b)",
        "exp(a) / exp(b) -> exp(a - b)",
        "1 / exp(a) -> exp(-a)",
        "log(exp(a)) -> a",
        ("exp(log(a)) -> a", "a"),
        "max(exp(a), exp(b)) -> exp(max(a, b))",
        "min(exp(a), exp(b)) -> exp(min(a, b))",
    ),
    *_rules(
        "power",
        "pow(a, 2) -> a * a",
        "pow(a, 3) -> a * (a * a)",
    ),
    *_rules(
        "identity",
        "a * 1 -> a",
        "a / 1 -> a",
        "a + 0 -> a",
        "a - 0 -> a",
    ),
)
