"""The NumPy arrays that stand for MLIR's values.

A tensor is an array of its shape, a scalar one of rank 0. In the body of a ``linalg``
operation a scalar is an array over all iterations at once, or one that broadcasts to it.
Signless integers are signed arrays and ``i1`` are booleans; integers of other widths lie
sign-extended in the next larger type. ``index`` is ``int64``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.errors import UnsupportedError

Array = npt.NDArray[Any]

UNDEFINED_BYTE = 0x5A
"""What integers are made of that nothing has written: far outside of any index."""

_FLOATS = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
    "f64": np.float64,
    "f8E4M3FN": ml_dtypes.float8_e4m3fn,
    "f8E5M2": ml_dtypes.float8_e5m2,
}
_INTEGER = re.compile(r"(s|u)?i(\d+)")
_HALF_BYTES = 2


@dataclass(frozen=True)
class ElementType:
    """What the elements of an array are.

    Attributes:
        dtype: in NumPy.
        bits: of an integer, which may be fewer than those of ``dtype``; 0 for floats.
    """

    dtype: np.dtype[Any]
    bits: int

    @property
    def is_half(self) -> bool:
        """Whether it is a float of 16 bits or fewer, with which nothing is accumulated."""
        return not self.bits and self.dtype.itemsize <= _HALF_BYTES


@lru_cache(maxsize=256)
def _named(name: str) -> ElementType | None:
    if name == "index":
        return ElementType(np.dtype(np.int64), 64)
    if name in _FLOATS:
        return ElementType(np.dtype(_FLOATS[name]), 0)
    match = _INTEGER.fullmatch(name)
    if match is None or not 0 < int(match[2]) <= 64:
        return None
    bits, sign = int(match[2]), "uint" if match[1] == "u" else "int"
    if bits == 1:
        return ElementType(np.dtype(np.bool_), 1)
    width = next(w for w in (8, 16, 32, 64) if w >= bits)
    return ElementType(np.dtype(f"{sign}{width}"), bits)


def element_type(type_: ir.Type) -> ElementType:
    """The elements of a tensor type, or of a scalar type itself.

    Raises:
        UnsupportedError: NumPy has nothing like it.
    """
    scalar = type_.element_type if isinstance(type_, ir.ShapedType) else type_
    found = _named(str(scalar))
    if found is None:
        raise UnsupportedError(f"the interpreter knows no elements of type {scalar}")
    return found


def conform(array: Array, kind: ElementType) -> Array:
    """``array`` as elements of ``kind``: integers wrap around, floats are rounded."""
    if kind.dtype == np.bool_:
        return array if array.dtype == np.bool_ else (array & 1).astype(np.bool_)
    array = np.asarray(array).astype(kind.dtype, copy=False)
    unused = 8 * kind.dtype.itemsize - kind.bits
    return (array << unused) >> unused if kind.bits and unused else array


def undefined(shape: tuple[int, ...], kind: ElementType) -> Array:
    """Elements that nothing has written: NaN, or integers of one byte repeated."""
    if not kind.bits:
        return np.full(shape, np.nan, kind.dtype)
    if kind.dtype == np.bool_:
        return np.ones(shape, np.bool_)
    pattern = np.frombuffer(bytes([UNDEFINED_BYTE] * kind.dtype.itemsize), kind.dtype)
    return conform(np.full(shape, pattern[0]), kind)


def signed(array: Array) -> Array:
    """Integers as signed numbers: the only bit of an ``i1`` is its sign."""
    return -array.astype(np.int8) if array.dtype == np.bool_ else array


def unsigned(array: Array, kind: ElementType) -> Array:
    """Integers as numbers without a sign, in an array as wide as they are or wider."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    wide = array.astype(f"u{array.dtype.itemsize}")
    mask = (1 << kind.bits) - 1
    return wide if kind.bits == 8 * wide.dtype.itemsize else wide & wide.dtype.type(mask)


def wide(array: Array) -> Array:
    """Floats of 16 bits or fewer as ``f32``, in which functions of them are computed."""
    kind = array.dtype
    is_float = kind.kind == "f" or kind in (ml_dtypes.bfloat16, *_SMALL_FLOATS)
    return array.astype(np.float32) if is_float and kind.itemsize <= _HALF_BYTES else array


_SMALL_FLOATS = tuple(np.dtype(f) for n, f in _FLOATS.items() if n.startswith("f8"))
