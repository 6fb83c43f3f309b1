"""What ``arith`` and ``math`` operations compute, as NumPy functions.

One table for everything that is evaluated when compiling. Float operations compute in
the type they have in the IR. An operation that is not in the table is not evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from torch_mlir import ir

from smartmem.mlir.memo import remembered
from smartmem.parameters import NUMPY_DTYPES, Array

Function = Callable[..., Any]


def _truncating_division(a: Any, b: Any) -> Any:
    # MLIR leaves division by 0 undefined; any value does, an exception does not.
    divisor = np.where(b == 0, 1, b)
    return (a - np.fmod(a, divisor)) // divisor


def _remainder(a: Any, b: Any) -> Any:
    return np.fmod(a, np.where(b == 0, 1, b))


def _floor_division(a: Any, b: Any) -> Any:
    return np.floor_divide(a, np.where(b == 0, 1, b))


def _sign_extend(a: Any) -> Any:
    # The only bit of an i1 is its sign.
    return -a.astype(np.int64) if a.dtype == np.bool_ else a


def _zero_extend(a: Any) -> Any:
    return a if a.dtype == np.bool_ else a.view(f"u{a.dtype.itemsize}")


def _rsqrt(a: Any) -> Any:
    return np.reciprocal(np.sqrt(a))


def _erf(a: Any) -> Any:
    return np.vectorize(math.erf, otypes=[np.float64])(a)


def _round_away(a: Any) -> Any:
    return np.copysign(np.floor(np.abs(a) + 0.5), a)


FUNCTIONS: Mapping[str, Function] = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
    "arith.divf": np.divide,
    "arith.negf": np.negative,
    "arith.remf": np.fmod,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "math.absf": np.abs,
    "math.ceil": np.ceil,
    "math.copysign": np.copysign,
    "math.cos": np.cos,
    "math.erf": _erf,
    "math.exp": np.exp,
    "math.exp2": np.exp2,
    "math.expm1": np.expm1,
    "math.floor": np.floor,
    "math.fma": lambda a, b, c: a * b + c,
    "math.log": np.log,
    "math.log1p": np.log1p,
    "math.log2": np.log2,
    "math.powf": np.power,
    "math.round": _round_away,
    "math.roundeven": np.rint,
    "math.rsqrt": _rsqrt,
    "math.sin": np.sin,
    "math.sqrt": np.sqrt,
    "math.tanh": np.tanh,
    "math.trunc": np.trunc,
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.divsi": _truncating_division,
    "arith.floordivsi": _floor_division,
    "arith.remsi": _remainder,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.shli": np.left_shift,
    "arith.shrsi": np.right_shift,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "math.absi": np.abs,
    "arith.select": np.where,
    # Casts: the result is converted to the type that the operation has.
    "arith.extf": np.asarray,
    "arith.truncf": np.asarray,
    "arith.sitofp": _sign_extend,
    "arith.uitofp": _zero_extend,
    "arith.fptosi": np.trunc,
    "arith.index_cast": _sign_extend,
    "arith.extsi": _sign_extend,
    "arith.extui": _zero_extend,
    "arith.trunci": np.asarray,
}

# By the number of the predicate in MLIR's enumerations.
_INTEGER_PREDICATES: tuple[Function, ...] = (
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
)
_ORDERED: tuple[Function, ...] = (
    np.equal,
    np.greater,
    np.greater_equal,
    np.less,
    np.less_equal,
    lambda a, b: (a != b) & ~_unordered(a, b),
)
_FALSE, _ORDERED_BOTH, _FIRST_UNORDERED = 0, 7, 8
_UNORDERED, _TRUE = 14, 15

# Results of i1: NumPy's arithmetic of booleans is another than that of one-bit numbers.
_NOT_ON_BOOLEANS = frozenset(("arith.addi", "arith.subi", "arith.muli", "arith.shli"))


def apply(
    name: str, type_: ir.Type, operands: list[Array], template: ir.Operation | None = None
) -> Array | None:
    """The result of a scalar operation on arrays that broadcast against each other.

    Args:
        name: of the operation.
        type_: of its result.
        template: the operation in the IR; a comparison has its predicate there.

    Returns:
        An array of the type ``type_``; None if the operation is not in the table.
    """
    function, dtype = _function(name, template), dtype_of(type_)
    if function is None or dtype is None:
        return None
    if dtype == np.bool_ and name in _NOT_ON_BOOLEANS:
        return None
    with np.errstate(all="ignore"):  # inf and nan are results like others
        return np.asarray(function(*operands)).astype(dtype, copy=False)


def is_function(name: str) -> bool:
    """Whether the table holds the operation ``name``."""
    return name in FUNCTIONS or name in ("arith.cmpi", "arith.cmpf")


@remembered
def dtype_of(type_: ir.Type) -> np.dtype[np.generic] | None:
    """The NumPy dtype of a scalar type; None if it has none."""
    if isinstance(type_, ir.IndexType):
        return np.dtype(np.int64)
    return NUMPY_DTYPES.get(str(type_))


def normal_range(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """The smallest normal and the largest finite number of a float type."""
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]  # no stubs
    return float(info.tiny), float(info.max)


def _function(name: str, template: ir.Operation | None) -> Function | None:
    if template is None or name not in ("arith.cmpi", "arith.cmpf"):
        return FUNCTIONS.get(name)
    number = ir.IntegerAttr(template.attributes["predicate"]).value
    if name == "arith.cmpf":
        return _float_predicate(number)
    return _INTEGER_PREDICATES[number] if number < len(_INTEGER_PREDICATES) else None


def _unordered(a: Any, b: Any) -> Any:
    return np.isnan(a) | np.isnan(b)


def _float_predicate(number: int) -> Function:
    """MLIR's order: false; oeq .. one; ord; ueq .. une; uno; true."""
    if number in (_FALSE, _TRUE):
        return lambda a, b: np.full(np.broadcast(a, b).shape, number == _TRUE)
    if number == _ORDERED_BOTH:
        return lambda a, b: ~_unordered(a, b)
    if number == _UNORDERED:
        return _unordered
    ordered = _ORDERED[(number - 1) % (_FIRST_UNORDERED - 1)]
    if number < _FIRST_UNORDERED:
        return ordered
    return lambda a, b: ordered(a, b) | _unordered(a, b)
