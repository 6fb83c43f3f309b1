"""Which operators are decomposed before a program is imported, and into what.

Most of the table is torch-mlir's choice of PyTorch's own decompositions. Added are
operators that torch-mlir has no lowering for, or a wrong one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

from smartmem.frontend import torch_layers, torch_order, torch_resize
from smartmem.frontend.torch_pooling import adaptive_avg_pool, adaptive_max_pool

Table = dict[torch._ops.OperatorBase, Callable[..., Any]]

_aten = torch.ops.aten


def decompositions() -> Table:
    """A table for ``ExportedProgram.run_decompositions``."""
    table = dict(get_decomposition_table())
    # ``simplify`` decides, when the masks are known; torch-mlir decomposes the rest.
    table.pop(_aten._safe_softmax.default, None)
    return {**table, **_OWN}


def _adaptive_max_pool(
    x: torch.Tensor, output_size: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    if _divides(x, output_size):
        return NotImplemented  # plain pooling, which lowers
    return adaptive_max_pool(x, output_size)


def _divides(x: torch.Tensor, output_size: Sequence[int]) -> bool:
    sizes = x.shape[-len(output_size) :]
    return all(size % count == 0 for size, count in zip(sizes, output_size, strict=True))


def _gelu(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    """The tanh form; torch-mlir's has sqrt(2 / pi) to four digits only."""
    if approximate != "tanh":
        return NotImplemented  # erf, which lowers
    wide = x if x.dtype == torch.float64 else x.float()
    inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * (wide * wide * wide))
    return (0.5 * wide * (1 + torch.tanh(inner))).to(x.dtype)


def _fmod(x: torch.Tensor, divisor: float) -> torch.Tensor:
    dtype = torch.result_type(x, divisor)
    return torch.fmod(x.to(dtype), torch.full((), divisor, dtype=dtype, device=x.device))


def _sort(
    x: torch.Tensor, *, stable: bool | None, dim: int = -1, descending: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.sort(x, dim, descending)  # every sort is lowered to a stable one


def _distances(
    x: torch.Tensor, y: torch.Tensor, p: float = 2.0, compute_mode: int | None = None
) -> torch.Tensor:
    """Between all rows of ``x`` and ``y``; not by a product, which cancels digits."""
    return _norm(x[..., :, None, :] - y[..., None, :, :], p)


def _distances_within(x: torch.Tensor, p: float = 2.0) -> torch.Tensor:
    """Between the rows of ``x``, each pair once."""
    first, second = torch.triu_indices(x.shape[0], x.shape[0], 1, device=x.device)
    return _norm(x[first] - x[second], p)


def _norm(differences: torch.Tensor, p: float) -> torch.Tensor:
    sizes = differences.abs()
    if p == 0:
        return (sizes != 0).sum(-1).to(sizes.dtype)
    if p == 1:
        return sizes.sum(-1)
    if p == 2:
        return (sizes * sizes).sum(-1).sqrt()
    return sizes.amax(-1) if math.isinf(p) else (sizes**p).sum(-1) ** (1 / p)


# Giles, "Approximating the erfinv function", single precision, highest first.
_ERFINV_NEAR = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_ERFINV_FAR = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def _erfinv(x: torch.Tensor) -> torch.Tensor:
    if x.dtype != torch.float32:
        return NotImplemented
    w = -torch.log((1 - x) * (1 + x))
    near, far = _polynomial(_ERFINV_NEAR, w - 2.5), _polynomial(_ERFINV_FAR, w.sqrt() - 3)
    inner = torch.where(w < 5, near, far) * x
    return torch.where(x.abs() == 1, x * torch.inf, inner)


def _polynomial(coefficients: Sequence[float], x: torch.Tensor) -> torch.Tensor:
    return functools.reduce(lambda value, c: value * x + c, coefficients, torch.zeros_like(x))


def _hypot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The larger side times a factor: squares of the sides themselves can overflow."""
    x, y = x.abs(), y.abs()
    longer, shorter = torch.maximum(x, y), torch.minimum(x, y)
    ratio = shorter / torch.where(longer == 0, 1, longer)
    result = longer * torch.sqrt(1 + ratio * ratio)
    return torch.where(torch.isinf(x) | torch.isinf(y), torch.inf, result)


_OWN: Table = {
    _aten.hypot.default: _hypot,
    _aten._neg_view.default: lambda x: -x,
    _aten.fmod.Scalar: _fmod,
    _aten._cdist_forward.default: _distances,
    _aten._euclidean_dist.default: _distances,
    _aten.erfinv.default: _erfinv,
    _aten._pdist_forward.default: _distances_within,
    _aten.cummax.default: torch_order.cumulative_max,
    _aten.cummin.default: torch_order.cumulative_min,
    _aten.kthvalue.default: torch_order.kth_value,
    _aten.median.default: torch_order.median,
    _aten.median.dim: torch_order.median_along,
    _aten.nanmedian.dim: torch_order.nan_median_along,
    _aten.sort.stable: _sort,
    _aten.searchsorted.Tensor: torch_order.search_sorted,
    _aten.bucketize.Tensor: torch_order.bucketize,
    _aten._embedding_bag.default: torch_layers.embedding_bag,
    _aten._embedding_bag_forward_only.default: torch_layers.embedding_bag,
    _aten._native_multi_head_attention.default: torch_layers.multi_head_attention,
    _aten._transformer_encoder_layer_fwd.default: torch_layers.transformer_encoder_layer,
    _aten.convolution.default: torch_layers.convolution,
    _aten._upsample_bilinear2d_aa.default: torch_resize.resize_linear,
    _aten._upsample_bicubic2d_aa.default: torch_resize.resize_cubic,
    _aten.gelu.default: _gelu,
    _aten.adaptive_max_pool2d.default: _adaptive_max_pool,
    _aten.adaptive_max_pool3d.default: _adaptive_max_pool,
    _aten._adaptive_avg_pool3d.default: adaptive_avg_pool,
}
