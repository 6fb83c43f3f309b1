"""Arrays to run a model on: given, read from files, or random."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smartmem.errors import InvalidInputError
from smartmem.frontend import TensorSpec
from smartmem.parameters import Array

RANDOM_INTEGER_END = 10
"""Random integer inputs lie in [0, 10): small enough to be indices of any embedding
or position table that is not a toy, more than two so that they differ."""


def random_inputs(specs: Sequence[TensorSpec], seed: int = 0) -> list[Array]:
    """One random array for each spec: floats are normal(0, 1), integers 0 to 9.

    Which integers make sense (token ids, masks) is not in a model, so pass real arrays
    where it matters.
    """
    generator = np.random.default_rng(seed)
    return [_random_array(spec, generator) for spec in specs]


def _random_array(spec: TensorSpec, generator: np.random.Generator) -> Array:
    if spec.dtype == np.bool_:
        return generator.integers(0, 2, spec.shape).astype(np.bool_)
    if np.issubdtype(spec.dtype, np.integer):
        return generator.integers(0, RANDOM_INTEGER_END, spec.shape).astype(spec.dtype)
    return generator.standard_normal(spec.shape).astype(spec.dtype)


def named_inputs(specs: Sequence[TensorSpec], arrays: Mapping[str, Any]) -> list[Any]:
    """The values of ``arrays`` in the order of ``specs``.

    Raises:
        InvalidInputError: a name is missing or unknown.
    """
    names = [spec.name for spec in specs]
    missing = [name for name in names if name not in arrays]
    unknown = [name for name in arrays if name not in names]
    if missing or unknown:
        wrong = f"no input {missing[0]!r}" if missing else f"unknown input {unknown[0]!r}"
        raise InvalidInputError(
            f"{wrong}; the model's inputs are {', '.join(names) or 'none'}"
        )
    return [arrays[name] for name in names]


def checked_inputs(specs: Sequence[TensorSpec], arrays: Sequence[Any]) -> list[Array]:
    """``arrays`` as contiguous NumPy arrays that fit ``specs``.

    Raises:
        InvalidInputError: the number of arrays, a shape or a dtype differs.
    """
    if len(arrays) != len(specs):
        signature = ", ".join(map(describe, specs)) or "none"
        raise InvalidInputError(
            f"the model takes {len(specs)} inputs ({signature}), got {len(arrays)}"
        )
    return [_checked_input(spec, array) for spec, array in zip(specs, arrays, strict=True)]


def _checked_input(spec: TensorSpec, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind == "V" and array.dtype.itemsize == spec.dtype.itemsize:
        array = array.view(spec.dtype)  # .npy files keep bfloat16 as bare bytes
    if tuple(array.shape) != spec.shape or array.dtype != spec.dtype:
        got = describe(TensorSpec(spec.name, tuple(array.shape), array.dtype))
        raise InvalidInputError(
            f"input {describe(spec)} does not fit the given {got.removeprefix(spec.name)[2:]}; "
            "pass an array of that shape and dtype"
        )
    return np.require(array, requirements="C")


def describe(spec: TensorSpec) -> str:
    """The spec as people write it, e.g. ``x: 1x3x224x224 float32``."""
    shape = "x".join(map(str, spec.shape)) or "scalar"
    return f"{spec.name}: {shape} {spec.dtype.name}"


def read_inputs(specs: Sequence[TensorSpec], files: Sequence[Path]) -> list[Array]:
    """The inputs of a model from one .npz with named arrays, or one .npy for each input.

    A .npz whose arrays are called ``arr_0``, ``arr_1`` ... gives them in order.

    Raises:
        InvalidInputError: a file cannot be read, or does not fit the model.
    """
    arrays: list[Array] = []
    for file in files:
        content = _read_numpy(file)
        if isinstance(content, Mapping):
            positional = set(content) == {f"arr_{i}" for i in range(len(content))}
            if len(files) == 1 and not positional:
                return checked_inputs(specs, named_inputs(specs, content))
            arrays.extend(content.values())
        else:
            arrays.append(content)
    return checked_inputs(specs, arrays)


def _read_numpy(file: Path) -> Array | dict[str, Array]:
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            with content:
                return dict(content)
        return np.asarray(content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot read the input {file}: {reason}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInputError(
            f"{file} is not a NumPy file ({error}); save inputs with numpy.save or numpy.savez"
        ) from error
