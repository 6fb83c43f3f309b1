"""The error function of a scalar, as a quotient of polynomials."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir
from torch_mlir.dialects import arith

# Where erf is 1 to the last bit but one of f32.
_BOUND = 3.92

_CONTRACT = arith.FastMathFlags.contract

# Coefficients of P and Q, lowest first: erf(x) = x P(x^2) / Q(x^2). Fitted by least squares,
# reweighted until the largest relative error is about the least: 2e-8, in f32 3.2e-7.
_NUMERATOR = (
    1.12837915,
    0.190403396,
    0.0527483375,
    0.00376549263,
    0.000284881145,
    2.0501252e-06,
)
_DENOMINATOR = (
    1.0,
    0.502073358,
    0.114107861,
    0.0149689644,
    0.00116250778,
    3.80920294e-05,
)


def rational_erf(x: ir.Value) -> ir.Value:
    """erf of an f32, at the current insertion point; NaN of NaN."""
    y = arith.minimumf(arith.maximumf(x, _constant(-_BOUND)), _constant(_BOUND))
    square = arith.mulf(y, y)
    numerator = arith.mulf(y, _polynomial(_NUMERATOR, square))
    return arith.divf(numerator, _polynomial(_DENOMINATOR, square))


def _polynomial(coefficients: Sequence[float], x: ir.Value) -> ir.Value:
    """Horner's scheme."""
    *others, highest = coefficients
    value = _constant(highest)
    for coefficient in reversed(others):
        # One instruction where the target has it; math.fma would be a call where it has not.
        product = arith.mulf(value, x, fastmath=_CONTRACT)
        value = arith.addf(product, _constant(coefficient), fastmath=_CONTRACT)
    return value


def _constant(value: float) -> ir.Value:
    return arith.constant(ir.F32Type.get(), value)
