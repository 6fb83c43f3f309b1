"""The arrays that a model runs on: random ones, and given ones in the model's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smartmem.backend.device.arrays import checked_inputs, refuse_huge
from smartmem.errors import InvalidInputError
from smartmem.parameters import Array
from smartmem.tensor_spec import TensorSpec

RANDOM_INTEGER_END = 10
"""Random integer inputs lie in [0, 10): small enough to be indices of any embedding
or position table that is not a toy, more than two so that they differ."""


def random_inputs(specs: Sequence[TensorSpec], seed: int = 0) -> list[Array]:
    """One random array for each spec: floats are normal(0, 1), integers 0 to 9.

    Which integers make sense (token ids, masks) is not in a model, so pass real arrays
    where it matters.

    Raises:
        InvalidInputError: they do not fit this machine's memory.
    """
    refuse_huge(specs, "inputs")
    generator = np.random.default_rng(seed)
    return [_random_array(spec, generator) for spec in specs]


def _random_array(spec: TensorSpec, generator: np.random.Generator) -> Array:
    values: Array
    if spec.dtype == np.bool_:
        values = generator.integers(0, 2, spec.shape)
    elif np.issubdtype(spec.dtype, np.integer):
        values = generator.integers(0, RANDOM_INTEGER_END, spec.shape)
    else:
        values = generator.standard_normal(spec.shape)
    return np.asarray(values).astype(spec.dtype)  # a shape of () gives a bare number


def fit_arrays(specs: Sequence[TensorSpec], given: Any) -> list[Array]:
    """Given inputs as one contiguous array for each spec.

    Args:
        specs: the model's inputs.
        given: arrays or tensors: one, a sequence in order, or a mapping by name.

    Raises:
        InvalidInputError: a name, the number of arrays, a shape or a dtype does not fit.
    """
    if isinstance(given, Mapping):
        given = named_inputs(specs, given)
    elif not isinstance(given, list | tuple):
        given = [given]
    return checked_inputs(specs, given)


def named_inputs(specs: Sequence[TensorSpec], arrays: Mapping[str, Any]) -> list[Any]:
    """The values of ``arrays`` in the order of ``specs``.

    Raises:
        InvalidInputError: a name is missing or unknown.
    """
    names = [spec.name for spec in specs]
    missing = [name for name in names if name not in arrays]
    unknown = [name for name in arrays if name not in names]
    if missing or unknown:
        fault = f"input {missing[0]} is missing" if missing else f"no input {unknown[0]}"
        raise InvalidInputError(f"{fault}; the model's inputs are {', '.join(names) or 'none'}")
    return [arrays[name] for name in names]
