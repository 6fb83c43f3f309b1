"""Tensors as NumPy arrays and back, bfloat16 included."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch

from smartmem.errors import UnsupportedError
from smartmem.parameters import Array


def to_tensor(value: torch.Tensor | Array) -> torch.Tensor:
    """The tensor of an array (no copy where PyTorch can avoid it), bfloat16 included."""
    if isinstance(value, torch.Tensor):
        return value
    array = np.ascontiguousarray(value).reshape(np.shape(value))
    if not array.flags.writeable:  # PyTorch warns about memory it could write to
        array = array.copy()
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: torch.Tensor) -> Array:
    """The elements of a tensor (no copy if it is dense on the CPU), bfloat16 included.

    Raises:
        UnsupportedError: a sparse, quantized or complex tensor.
    """
    check_dense("a tensor", tensor)
    dense = tensor.detach().cpu().contiguous()
    if dense.dtype == torch.bfloat16:
        return dense.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return dense.numpy()


def check_dense(name: str, tensor: torch.Tensor) -> None:
    """Checks that an array can hold ``tensor``.

    Raises:
        UnsupportedError: says ``name``, layout and dtype.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise UnsupportedError(
            f"{name} of layout {tensor.layout} and dtype {tensor.dtype} cannot be compiled; "
            "convert it to a dense real tensor"
        )
