"""What a padding holds behind each operation, and when the padding of a sum is not noticed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
from torch_mlir import ir

from smartmem.passes.analysis.padding.contents import (
    ANYTHING,
    FINITE,
    LOWEST,
    REPEATED,
    ZERO,
    Content,
    content_of,
    is_neutral,
)
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node, Pool

SUMS = "arith.addf", "arith.subf", "arith.mulf", "arith.divf", "arith.maximumf"


@pytest.fixture(autouse=True)
def context() -> Iterator[ir.Context]:
    with ir.Context() as context, ir.Location.unknown():
        yield context


def argument(pool: Pool, number: int) -> Node:
    return pool.node(ARGUMENT, ir.F32Type.get(), payload=number)


def made(kind: str, *held: Content) -> Content:
    """What an operation makes of operands that hold this."""
    pool = Pool()
    root = pool.apply(kind, *(argument(pool, k) for k in range(len(held))))
    return content_of(root, dict(enumerate(held)))


def scaled(kind: str, type_: str, number: float, *, is_first: bool = False) -> Content:
    """What an operation makes of minus infinity and a constant."""
    pool, of = Pool(), ir.Type.parse(type_)
    args = [
        pool.node(ARGUMENT, of, payload=0),
        pool.node(CONSTANT, of, payload=number),
    ]
    return content_of(pool.apply(kind, *args[:: -1 if is_first else 1]), {0: LOWEST})


@pytest.mark.parametrize(
    ("kind", "held", "result"),
    [
        ("math.exp", (LOWEST,), ZERO),
        ("math.exp2", (LOWEST,), ZERO),
        ("math.exp", (ZERO,), ANYTHING),
        ("math.exp", (REPEATED,), REPEATED),
        ("math.cos", (ZERO,), ANYTHING),
        ("math.cos", (REPEATED,), REPEATED),
        ("arith.extf", (FINITE,), FINITE),
        ("arith.truncf", (LOWEST,), LOWEST),
        ("arith.truncf", (ZERO,), ZERO),
        ("arith.truncf", (FINITE,), ANYTHING),
        ("arith.negf", (ZERO,), ZERO),
        ("arith.negf", (LOWEST,), ANYTHING),
        ("arith.addf", (LOWEST, LOWEST), LOWEST),
        ("arith.addf", (REPEATED, LOWEST), LOWEST),
        ("arith.addf", (LOWEST, ANYTHING), ANYTHING),
        ("arith.addf", (ZERO, ZERO), ZERO),
        ("arith.addf", (ZERO, REPEATED), FINITE),
        ("arith.addf", (ZERO, ANYTHING), ANYTHING),
        ("arith.subf", (LOWEST, REPEATED), LOWEST),
        ("arith.subf", (LOWEST, LOWEST), ANYTHING),
        ("arith.subf", (REPEATED, LOWEST), ANYTHING),
        ("arith.subf", (FINITE, ZERO), FINITE),
        ("arith.mulf", (ZERO, FINITE), ZERO),
        ("arith.mulf", (REPEATED, ZERO), ZERO),
        ("arith.mulf", (ZERO, LOWEST), ANYTHING),
        ("arith.mulf", (ZERO, ANYTHING), ANYTHING),
        ("arith.mulf", (REPEATED, FINITE), FINITE),
        ("arith.mulf", (LOWEST, REPEATED), ANYTHING),
        ("arith.divf", (ZERO, REPEATED), ZERO),
        ("arith.divf", (ZERO, FINITE), ANYTHING),
        ("arith.divf", (ZERO, ZERO), ANYTHING),
        ("arith.divf", (FINITE, REPEATED), FINITE),
        ("arith.divf", (REPEATED, FINITE), ANYTHING),
        ("arith.divf", (LOWEST, REPEATED), ANYTHING),
        ("arith.maximumf", (LOWEST, LOWEST), LOWEST),
        ("arith.maximumf", (LOWEST, ZERO), ZERO),
        ("arith.maximumf", (REPEATED, LOWEST), FINITE),
        ("arith.maxnumf", (LOWEST, ANYTHING), ANYTHING),
        ("arith.select", (REPEATED, LOWEST, LOWEST), LOWEST),
        ("arith.select", (ANYTHING, REPEATED, ZERO), FINITE),
        ("arith.select", (REPEATED, REPEATED, LOWEST), ANYTHING),
    ],
)
def test_what_operations_make_of_a_padding(
    kind: str, held: tuple[Content, ...], result: Content
) -> None:
    assert made(kind, *held) is result


@pytest.mark.parametrize("kind", SUMS)
def test_nothing_is_known_of_what_is_made_of_anything(kind: str) -> None:
    for other in Content:
        assert made(kind, ANYTHING, other) is ANYTHING
        assert made(kind, other, ANYTHING) is ANYTHING


def test_what_is_made_of_the_last_elements_is_the_last_element() -> None:
    pool = Pool()
    root = pool.apply("math.powf", argument(pool, 0), argument(pool, 1))
    assert content_of(root, {}) is REPEATED  # neither operand has the dim
    assert content_of(root, {1: REPEATED}) is REPEATED
    assert content_of(root, {1: FINITE}) is ANYTHING


@pytest.mark.parametrize("kind", ["arith.mulf", "arith.divf"])
@pytest.mark.parametrize(
    ("type_", "number", "result"),
    [
        ("f32", 0.125, LOWEST),
        ("f32", 1e-30, LOWEST),
        ("f16", 1e-4, LOWEST),
        # Zero in shaders that have none of these numbers.
        ("f16", 2e-5, ANYTHING),
        ("f32", 1e-40, ANYTHING),
        ("f32", 0.0, ANYTHING),
        ("f32", -1.0, ANYTHING),
        ("f32", math.inf, ANYTHING),
    ],
)
def test_a_mask_behind_a_scale(kind: str, type_: str, number: float, result: Content) -> None:
    assert scaled(kind, type_, number) is result


def test_a_mask_is_no_divisor() -> None:
    assert scaled("arith.mulf", "f32", 0.5, is_first=True) is LOWEST
    assert scaled("arith.divf", "f32", 0.5, is_first=True) is ANYTHING


def test_sums_do_not_notice_what_is_neutral() -> None:
    neutral = {
        (combiner, content)
        for combiner, content in itertools.product(
            ("addf", "mulf", "maximumf", "maxnumf", "minimumf", "minnumf"), Content
        )
        if is_neutral(f"arith.{combiner}", content)
    }
    assert neutral == {
        ("addf", ZERO),
        *((f"max{c}f", held) for c in ("imum", "num") for held in (LOWEST, REPEATED)),
        *((f"min{c}f", REPEATED) for c in ("imum", "num")),
    }


def test_what_holds_if_one_of_two_does() -> None:
    assert ZERO.join(ZERO) is ZERO and LOWEST.join(LOWEST) is LOWEST
    assert ZERO.join(REPEATED) is FINITE and FINITE.join(ZERO) is FINITE
    assert LOWEST.join(REPEATED) is ANYTHING and ANYTHING.join(ZERO) is ANYTHING
