"""Adaptive pooling as reductions over windows that are known when compiling.

Window i of ``count`` over ``size`` elements holds [floor(i * size / count),
ceil((i + 1) * size / count)): windows differ in length where ``count`` does not divide
``size``, which no pooling operator of torch-mlir can say. One dim after the other is
gathered into windows of one length and reduced.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

_Pair = tuple[torch.Tensor, torch.Tensor]


def adaptive_max_pool(x: torch.Tensor, output_size: Sequence[int]) -> _Pair:
    """Maxima over adaptive windows of the last dims, and where they are.

    Args:
        x: [..., one size for each output size].

    Returns:
        The maxima, and their positions, int64, in the pooled dims as one row-major dim.
    """
    rank = len(output_size)
    sizes = x.shape[-rank:]
    places = torch.arange(sizes.numel(), device=x.device).reshape(sizes).expand(x.shape)
    # From the last dim on: the first of equal elements is the first of its row as well.
    for dim in range(-1, -rank - 1, -1):
        x, places = _max_along(x, places, dim, output_size[dim])
    return x, places


def _max_along(values: torch.Tensor, places: torch.Tensor, dim: int, count: int) -> _Pair:
    starts, lengths = _windows(values, dim, count)
    step = torch.arange(_longest(values.shape[dim], count), device=values.device)
    # A short window repeats its last element: that leaves its maximum as it is.
    index = starts[:, None] + torch.minimum(step, lengths[:, None] - 1)
    values, places = (_gathered(t, dim, index) for t in (values, places))
    # No dim changes its place: IREE 3.13 fails to transpose one of the two results.
    maxima, chosen = values.max(dim, keepdim=True)
    return maxima.squeeze(dim), places.gather(dim, chosen).squeeze(dim)


def adaptive_avg_pool(x: torch.Tensor, output_size: Sequence[int]) -> torch.Tensor:
    """Means over adaptive windows of the last dims.

    Args:
        x: [..., one size for each output size].
    """
    for dim in range(-1, -len(output_size) - 1, -1):
        x = _mean_along(x, dim, output_size[dim])
    return x


def _mean_along(x: torch.Tensor, dim: int, count: int) -> torch.Tensor:
    starts, lengths = _windows(x, dim, count)
    step = torch.arange(_longest(x.shape[dim], count), device=x.device)
    inside = step < lengths[:, None]
    index = starts[:, None] + torch.minimum(step, lengths[:, None] - 1)
    inside = inside.reshape(*inside.shape, *[1] * (-1 - dim))
    # Not a product with 0: an infinite element belongs to its own windows alone.
    taken = torch.where(inside, _gathered(x, dim, index), 0)
    return taken.sum(dim) / lengths.to(x.dtype).reshape(-1, *[1] * (-1 - dim))


def _windows(x: torch.Tensor, dim: int, count: int) -> _Pair:
    """The first element of each window along ``dim``, and how many there are."""
    size, number = x.shape[dim], torch.arange(count, device=x.device)
    starts = number * size // count
    return starts, ((number + 1) * size + count - 1) // count - starts


def _longest(size: int, count: int) -> int:
    return max(((i + 1) * size + count - 1) // count - i * size // count for i in range(count))


def _gathered(x: torch.Tensor, dim: int, index: torch.Tensor) -> torch.Tensor:
    """Elements by ``index`` [count, length]: ``dim``, counted from the end, is two then."""
    rows = x.index_select(dim, index.flatten())
    return torch.unflatten(rows, dim, tuple(index.shape))
