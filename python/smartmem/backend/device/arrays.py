"""Checks the arrays given to a module against its signature."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from smartmem.backend.iree_compile.tool import default_memory_limit
from smartmem.errors import InvalidInputError
from smartmem.parameters import Array
from smartmem.runtime.array_files import StoredArray
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


def refuse_huge(specs: Sequence[TensorSpec], what: str) -> None:
    """Raises InvalidInputError for tensors that together exceed this machine's memory.

    Args:
        what: what they are to the reader of the message: ``inputs``.
    """
    size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in specs)
    limit = default_memory_limit()
    if size > limit:
        raise InvalidInputError(
            f"the {what} {', '.join(map(str, specs))} take {size / 1e9:.3g} GB, and this "
            f"machine has {limit / 1e9:.3g} GB for them; use smaller shapes"
        )


def _checked(spec: TensorSpec, value: Any) -> Array:
    if isinstance(value, StoredArray):  # it can be far larger than the file that holds it
        _check_form(spec, value.shape, value.dtype)
    array = _as_array(spec, value)
    _check_form(spec, array.shape, array.dtype)
    # ascontiguousarray makes 0-d arrays 1-d.
    return np.ascontiguousarray(array).reshape(spec.shape)


def _check_form(spec: TensorSpec, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    if shape != spec.shape:
        raise InvalidInputError(
            f"input {spec.name} has shape {[*shape]}, the module takes {[*spec.shape]}"
        )
    if dtype == spec.dtype:
        return
    if dtype == "V2" and _is_bfloat16(spec):  # as NumPy's files keep it
        return
    raise InvalidInputError(
        f"input {spec.name} has dtype {dtype}, the module takes {spec.dtype}; "
        f"convert it with .astype('{spec.dtype}')"
    )


def _is_bfloat16(spec: TensorSpec) -> bool:
    return spec.dtype == ml_dtypes.bfloat16


def _as_array(spec: TensorSpec, value: Any) -> Array:
    # A tensor can only exist where torch is imported already.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_tensor(spec, value, torch)
    if np.ma.is_masked(value):
        raise InvalidInputError(
            f"input {spec.name} has masked elements, and a module knows no masks; give them "
            "values with .filled(value)"
        )
    if isinstance(value, StoredArray):
        value = value.load()
    if isinstance(value, np.ndarray) and value.dtype == "V2" and _is_bfloat16(spec):
        return value.view(spec.dtype)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidInputError(f"input {spec.name} is not an array: {error}") from error
    if array.dtype == object:
        raise InvalidInputError(
            f"input {spec.name} is a {type(value).__name__}, not an array of {spec.dtype}"
        )
    return array


def _of_tensor(spec: TensorSpec, value: Any, torch: Any) -> Array:
    try:
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:  # NumPy has no such dtype of its own
            bits: Array = tensor.contiguous().view(torch.int16).numpy()
            return bits.view(ml_dtypes.bfloat16)
        converted: Array = tensor.resolve_conj().resolve_neg().numpy()
        return converted
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise InvalidInputError(
            f"input {spec.name} is a tensor without plain elements ({value.layout}, device "
            f"{value.device}, {value.dtype}); give a dense one that has data"
        ) from error
