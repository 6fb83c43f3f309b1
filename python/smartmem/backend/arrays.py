"""Checks the arrays given to a module against its signature."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from smartmem.errors import InvalidInputError
from smartmem.parameters import Array
from smartmem.tensor_spec import TensorSpec


def checked_inputs(specs: Sequence[TensorSpec], values: Sequence[Any]) -> list[Array]:
    """The values as contiguous arrays, each of its spec's shape and dtype.

    Accepts NumPy arrays, PyTorch tensors on any device, and whatever NumPy converts.

    Raises:
        InvalidInputError: a wrong number of values, or one of another shape or dtype.
    """
    if len(values) != len(specs):
        wanted = "; ".join(map(str, specs)) or "none"
        raise InvalidInputError(
            f"the module takes {len(specs)} inputs, {len(values)} were given; inputs: {wanted}"
        )
    return [_checked(spec, value) for spec, value in zip(specs, values, strict=True)]


def _checked(spec: TensorSpec, value: Any) -> Array:
    array = _as_array(spec, value)
    if array.shape != spec.shape:
        raise InvalidInputError(
            f"input {spec.name} has shape {[*array.shape]}, the module takes {[*spec.shape]}"
        )
    if array.dtype != spec.dtype:
        raise InvalidInputError(
            f"input {spec.name} has dtype {array.dtype}, the module takes {spec.dtype}; "
            f"convert it with .astype('{spec.dtype}')"
        )
    # ascontiguousarray makes 0-d arrays 1-d.
    return np.ascontiguousarray(array).reshape(spec.shape)


def _as_array(spec: TensorSpec, value: Any) -> Array:
    # A tensor can only exist where torch is imported already.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:  # NumPy has no such dtype of its own
            bits: Array = tensor.contiguous().view(torch.int16).numpy()
            return bits.view(ml_dtypes.bfloat16)
        converted: Array = tensor.numpy()
        return converted
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidInputError(f"input {spec.name} is not an array: {error}") from error
    if array.dtype == object:
        raise InvalidInputError(
            f"input {spec.name} is a {type(value).__name__}, not an array of {spec.dtype}"
        )
    return array
