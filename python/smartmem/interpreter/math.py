"""``math``: functions of floats of 16 bits are computed in ``f32`` and rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import (
    Array,
    ElementType,
    conform,
    element_type,
    unsigned,
    wide,
)

Function = Callable[..., Any]


def _each(function: Callable[[float], float]) -> Function:
    """A function of Python's ``math``, in double precision, of each element."""
    ufunc = np.frompyfunc(function, 1, 1)
    return lambda a: np.asarray(ufunc(a), np.float64)


def _round_away(a: Any) -> Any:
    """To the nearest, halves away from 0; a + 0.5 would round what is just below a half."""
    whole = np.trunc(a)
    return np.where(np.abs(a - whole) >= 0.5, whole + np.copysign(1, a), whole)


def _power(a: Any, b: Any) -> Any:
    """Of integers: by squaring, so that it wraps around; 1 / a**n is 0 but for -1 and 1."""
    result, base, left = np.ones_like(a), a, np.abs(b)
    while np.any(left):
        result = np.where(left & 1, result * base, result)
        base, left = base * base, left >> 1
    return np.where(b >= 0, result, np.where(np.abs(a) == 1, result, np.zeros_like(a)))


_FUNCTIONS: Mapping[str, Function] = {
    "math.absf": np.abs,
    "math.acos": np.arccos,
    "math.acosh": np.arccosh,
    "math.asin": np.arcsin,
    "math.asinh": np.arcsinh,
    "math.atan": np.arctan,
    "math.atan2": np.arctan2,
    "math.atanh": np.arctanh,
    "math.cbrt": np.cbrt,
    "math.ceil": np.ceil,
    "math.clampf": lambda a, low, high: np.minimum(np.maximum(a, low), high),
    "math.copysign": np.copysign,
    "math.cos": np.cos,
    "math.cosh": np.cosh,
    "math.erf": _each(math.erf),
    "math.erfc": _each(math.erfc),
    "math.exp": np.exp,
    "math.exp2": np.exp2,
    "math.expm1": np.expm1,
    "math.floor": np.floor,
    "math.fma": lambda a, b, c: a * b + c,
    "math.fpowi": np.power,
    "math.log": np.log,
    "math.log10": np.log10,
    "math.log1p": np.log1p,
    "math.log2": np.log2,
    "math.powf": np.power,
    "math.round": _round_away,
    "math.roundeven": np.rint,
    "math.rsqrt": lambda a: np.reciprocal(np.sqrt(a)),
    "math.sin": np.sin,
    "math.sinh": np.sinh,
    "math.sqrt": np.sqrt,
    "math.tan": np.tan,
    "math.tanh": np.tanh,
    "math.trunc": np.trunc,
}

_TESTS: Mapping[str, Function] = {
    "math.isfinite": np.isfinite,
    "math.isinf": np.isinf,
    "math.isnan": np.isnan,
    "math.isnormal": lambda a: np.isfinite(a) & (np.abs(a) >= np.finfo(a.dtype).tiny),
}


@evaluates(*_FUNCTIONS)
def _function(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    result = _FUNCTIONS[op.name](*map(wide, operands))
    return [conform(np.asarray(result), element_type(op.results[0].type))]


@evaluates(*_TESTS)
def _test(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [np.asarray(_TESTS[op.name](wide(operands[0])))]


@evaluates("math.sincos")
def _sincos(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kind, a = element_type(op.results[0].type), wide(operands[0])
    return [conform(np.sin(a), kind), conform(np.cos(a), kind)]


@evaluates("math.absi")
def _absolute(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [conform(np.abs(operands[0]), element_type(op.results[0].type))]


@evaluates("math.ipowi")
def _integer_power(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [conform(_power(*operands), element_type(op.results[0].type))]


@evaluates("math.ctpop", "math.ctlz", "math.cttz")
def _count_bits(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kind = element_type(op.results[0].type)
    numbers = unsigned(operands[0], kind)
    count = np.frompyfunc(_COUNTS[op.name](kind), 1, 1)
    return [conform(np.asarray(count(numbers)).astype(np.int64), kind)]


def _leading(kind: ElementType) -> Callable[[Any], int]:
    return lambda n: kind.bits - int(n).bit_length()


def _trailing(kind: ElementType) -> Callable[[Any], int]:
    return lambda n: (int(n) & -int(n)).bit_length() - 1 if n else kind.bits


def _ones(kind: ElementType) -> Callable[[Any], int]:
    return lambda n: int(n).bit_count()


_COUNTS: Mapping[str, Callable[[ElementType], Callable[[Any], int]]] = {
    "math.ctpop": _ones,
    "math.ctlz": _leading,
    "math.cttz": _trailing,
}
