"""Operators that look at the order of elements, as reductions over comparisons.

Each element is compared with each other one of its row: no sorting, whose steps are many
kernels. The comparisons fuse into the reduction, so that they take time but no memory.
"""

from __future__ import annotations

import torch

_Pair = tuple[torch.Tensor, torch.Tensor]

# Squared comparisons for each row; above, other ways are quicker and the models are rare.
_LONGEST = 4096


def cumulative_max(x: torch.Tensor, dim: int) -> _Pair:
    """The largest element so far along ``dim``, and where the last such one is."""
    return _cumulative(x, dim, largest=True)


def cumulative_min(x: torch.Tensor, dim: int) -> _Pair:
    """The smallest element so far along ``dim``, and where the last such one is."""
    return _cumulative(x, dim, largest=False)


def _cumulative(x: torch.Tensor, dim: int, *, largest: bool) -> _Pair:
    if x.dim() == 0 or x.dtype == torch.bool or x.shape[dim] > _LONGEST:
        return NotImplemented
    rows = x.movedim(dim, -1)
    place = torch.arange(rows.shape[-1], device=x.device)
    seen = place <= place[:, None]
    worst = _limits(x.dtype)[0 if largest else 1]
    candidates = torch.where(seen, rows[..., None, :], worst)
    values = candidates.amax(-1) if largest else candidates.amin(-1)
    chosen = seen & _equal(rows[..., None, :], values[..., None])
    indices = torch.where(chosen, place, -1).amax(-1)
    return values.movedim(-1, dim), indices.movedim(-1, dim)


def _limits(dtype: torch.dtype) -> tuple[float, float]:
    if dtype.is_floating_point:
        return -torch.inf, torch.inf
    info = torch.iinfo(dtype)
    return info.min, info.max


def _equal(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a == b) | (torch.isnan(a) & torch.isnan(b))


def kth_value(x: torch.Tensor, k: int, dim: int = -1, keepdim: bool = False) -> _Pair:
    """The k-th smallest elements along ``dim``, and where they are; NaN is the largest."""
    return _select(x, dim, keepdim, torch.full((1,), k - 1, device=x.device), nan_first=False)


def median(x: torch.Tensor) -> torch.Tensor:
    """The lower median of all elements."""
    found = median_along(x.flatten(), 0)
    return found if found is NotImplemented else found[0]


def median_along(x: torch.Tensor, dim: int, keepdim: bool = False) -> _Pair:
    """The lower medians along ``dim``, NaN where there is one, and where they are."""
    if x.dim() == 0:
        return NotImplemented
    has_nan = torch.isnan(x).any(dim, keepdim=True).movedim(dim, -1)
    rank = torch.where(has_nan, 0, (x.shape[dim] - 1) // 2)
    return _select(x, dim, keepdim, rank, nan_first=True)


def nan_median_along(x: torch.Tensor, dim: int, keepdim: bool = False) -> _Pair:
    """The lower medians of what is no NaN along ``dim``, and where they are."""
    if x.dim() == 0:
        return NotImplemented
    numbers = torch.isnan(x).logical_not().sum(dim, keepdim=True).movedim(dim, -1)
    rank = torch.clamp(numbers - 1, min=0) // 2
    return _select(x, dim, keepdim, rank, nan_first=False)


def _select(
    x: torch.Tensor, dim: int, keepdim: bool, rank: torch.Tensor, *, nan_first: bool
) -> _Pair:
    """The elements with that many smaller ones along ``dim``, and where they are."""
    if x.dim() == 0 or x.dtype == torch.bool or x.shape[dim] > _LONGEST:
        return NotImplemented
    rows = x.movedim(dim, -1)
    chosen = _ranks(rows, nan_first=nan_first) == rank
    place = torch.arange(rows.shape[-1], device=x.device)
    values = torch.where(chosen, rows, 0).sum(-1, keepdim=True, dtype=x.dtype)
    indices = torch.where(chosen, place, 0).sum(-1, keepdim=True)
    pair = values.movedim(-1, dim), indices.movedim(-1, dim)
    return pair if keepdim else (pair[0].squeeze(dim), pair[1].squeeze(dim))


def _ranks(rows: torch.Tensor, *, nan_first: bool) -> torch.Tensor:
    """How many elements of its row come before each one in a stable order."""
    ours, others = rows[..., :, None], rows[..., None, :]
    place = torch.arange(rows.shape[-1], device=rows.device)
    before = (others < ours) | (_equal(others, ours) & (place < place[:, None]))
    nan, number = (others, ours) if nan_first else (ours, others)
    return (before | (torch.isnan(nan) & torch.isnan(number).logical_not())).sum(-1)


def search_sorted(
    edges: torch.Tensor,
    x: torch.Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: torch.Tensor | None = None,
) -> torch.Tensor:
    """Where each element would be put into the last dim of ``edges``, which is sorted."""
    if sorter is not None:
        edges = edges.gather(-1, sorter)
    against, x = edges if edges.dim() == 1 else edges[..., None, :], x[..., None]
    # Not of the opposite comparison: a NaN is put behind all.
    stays = against > x if right or side == "right" else against >= x
    return stays.logical_not().sum(-1, dtype=torch.int32 if out_int32 else torch.int64)


def bucketize(
    x: torch.Tensor, edges: torch.Tensor, *, out_int32: bool = False, right: bool = False
) -> torch.Tensor:
    """The bucket between ``edges`` that each element is in."""
    return search_sorted(edges, x, out_int32=out_int32, right=right)
