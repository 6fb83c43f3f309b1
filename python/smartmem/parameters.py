"""The side table that holds a model's parameters (weights, buffers, index tables).

In the IR a parameter is ``arith.constant dense_resource<key> : tensor<...>``, plain
upstream MLIR. MLIR's Python bindings cannot read such a resource back, so every
frontend records its array here under the same key. Passes look values up with
``Parameters.value`` and create re-laid-out parameters with ``Parameters.add``;
nothing is ever parsed from text after import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.errors import UnsupportedError
from smartmem.index_map.taking import contiguous

Array = npt.NDArray[np.generic]
Numbers = npt.NDArray[Any]
"""Numbers to compute with; ``Array`` has elements of any kind, of which nothing is known."""

# MLIR element type as printed -> NumPy dtype. Signless integers map to signed ones.
NUMPY_DTYPES: Mapping[str, np.dtype[np.generic]] = {
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i1": np.dtype(np.bool_),
    **{f"i{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"si{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"ui{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
}

_PROBES = 64
"""Bytes of an array that are compared before all are."""

_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|[-+.0-9e]+")
_RESOURCE_KEY = re.compile(r'dense_resource<(?:"((?:[^"\\]|\\.)*)"|([^>]+))>')


def numpy_dtype(element_type: ir.Type) -> np.dtype[np.generic]:
    """The NumPy dtype of an MLIR element type.

    Raises:
        UnsupportedError: the element type has no NumPy counterpart.
    """
    dtype = NUMPY_DTYPES.get(str(element_type))
    if dtype is None:
        raise UnsupportedError(
            f"element type {element_type} is not supported; "
            f"use one of {', '.join(NUMPY_DTYPES)}"
        )
    return dtype


def resource_key(attribute: ir.Attribute) -> str | None:
    """The key of a ``dense_resource`` attribute, or None for any other attribute."""
    try:
        # The bindings hand a resource back as a plain attribute: only a cast can tell.
        resource = ir.DenseResourceElementsAttr(attribute)
    except ValueError:
        return None
    match = _RESOURCE_KEY.match(str(resource))
    return (match.group(1) or match.group(2)) if match else None


class Parameters(Mapping[str, Array]):
    """Maps each ``dense_resource`` key of one module to its array."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._added: dict[tuple[Any, ...], list[tuple[Array, ir.Attribute]]] = {}

    def __getitem__(self, key: str) -> Array:
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in self._arrays.values())

    def add(self, name: str, array: Array, type: ir.RankedTensorType) -> ir.Attribute:
        """Records ``array`` and returns the attribute that stands for it in the IR.

        The key can differ from ``name``: MLIR keeps keys unique in a context. Booleans
        are not recorded but get a ``dense`` attribute, from which ``value`` reads them:
        IREE's folding stops at boolean resources.
        """
        array = contiguous(array)
        if array.dtype == np.bool_:
            return ir.DenseElementsAttr.get(array, context=type.context)
        attribute = ir.DenseResourceElementsAttr.get_from_buffer(array, name, type)
        key = resource_key(attribute)
        assert key is not None
        self._arrays[key] = array
        return attribute

    def add_once(self, name: str, array: Array, type: ir.RankedTensorType) -> ir.Attribute:
        """As ``add``; bit by bit the same as what was added before, it gets its attribute."""
        array = contiguous(array)
        bits = array.reshape(-1).view(np.uint8)
        added = self._added.setdefault((name, type, bits[:: _probe(bits)].tobytes()), [])
        for other, attribute in added:
            if np.array_equal(other, bits):
                return attribute
        attribute = self.add(name, array, type)
        added.append((bits, attribute))
        return attribute

    def record(self, key: str, array: Array) -> None:
        """Records the array of a resource that the IR already holds."""
        self._arrays[key] = array

    def holds(self, attribute: ir.Attribute) -> bool:
        """Whether ``value`` would know the elements of a constant attribute."""
        key = resource_key(attribute)
        if key is not None:
            return key in self._arrays
        if not isinstance(attribute, ir.DenseElementsAttr):
            return False
        return str(ir.RankedTensorType(attribute.type).element_type) in NUMPY_DTYPES

    def value(self, attribute: ir.Attribute) -> Array | None:
        """The elements of a constant attribute, or None when they are not known."""
        key = resource_key(attribute)
        if key is not None:
            return self._arrays.get(key)
        if isinstance(attribute, ir.DenseElementsAttr):
            return _dense_value(attribute)
        return None


def _probe(bits: Array) -> int:
    """The distance of the few bytes that tell most arrays apart; odd, to meet all their places."""
    return bits.size // _PROBES | 1


def _dense_value(attribute: ir.DenseElementsAttr) -> Array | None:
    type = ir.RankedTensorType(attribute.type)
    dtype = NUMPY_DTYPES.get(str(type.element_type))
    if dtype is None:
        return None
    if attribute.is_splat:
        return np.full(type.shape, attribute.get_splat_value().value, dtype=dtype)
    if dtype == ml_dtypes.bfloat16:
        return _printed_bfloat16(str(attribute)).reshape(type.shape)
    return np.array(attribute).astype(dtype, copy=False).reshape(type.shape)


def _printed_bfloat16(text: str) -> Array:
    """The elements of a ``dense`` attribute, from its text: the bindings know no bf16.

    MLIR prints many as one string of digits, and what is no finite number as its bits.
    """
    body = text[text.index("<") + 1 : text.rindex("> : ")]
    if body.startswith('"0x'):
        return np.frombuffer(bytes.fromhex(body[3:-1]), ml_dtypes.bfloat16)
    return np.array([_bfloat16(number) for number in _NUMBER.findall(body)])


def _bfloat16(number: str) -> np.generic:
    if number.startswith("0x"):
        return np.uint16(int(number, 16)).view(ml_dtypes.bfloat16)
    return ml_dtypes.bfloat16(float(number))
