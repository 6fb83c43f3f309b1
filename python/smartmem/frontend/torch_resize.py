"""Resizing with antialiasing, as products with matrices that are known when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_Filter = Callable[[torch.Tensor], torch.Tensor]


def resize_linear(
    x: torch.Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> torch.Tensor:
    """``x`` [N, C, H, W] of another size, by a triangle as wide as the step at least."""
    scales = (scales_h, scales_w)
    return _resize(x, output_size, align_corners, scales, _triangle, radius=1)


def resize_cubic(
    x: torch.Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> torch.Tensor:
    """``x`` [N, C, H, W] of another size, by Keys' cubic filter of a = -1/2."""
    scales = (scales_h, scales_w)
    return _resize(x, output_size, align_corners, scales, _cubic, radius=2)


def _resize(
    x: torch.Tensor,
    sizes: Sequence[int],
    align_corners: bool,
    scales: Sequence[float | None],
    shape: _Filter,
    radius: int,
) -> torch.Tensor:
    if not x.dtype.is_floating_point:
        return NotImplemented
    steps = [
        _step(n, size, align_corners, scale)
        for n, size, scale in zip(x.shape[-2:], sizes, scales, strict=True)
    ]
    rows, columns = (
        _matrix(n, size, step, shape, radius).to(x.dtype)
        for n, size, step in zip(x.shape[-2:], sizes, steps, strict=True)
    )
    return torch.matmul(rows, torch.matmul(x, columns.T))


def _step(count: int, size: int, align_corners: bool, scale: float | None) -> float:
    if align_corners:
        return (count - 1) / (size - 1) if size > 1 else 0.0
    return 1 / scale if scale else count / size


def _matrix(count: int, size: int, step: float, shape: _Filter, radius: int) -> torch.Tensor:
    """The weights, f64, of ``count`` elements in each of ``size``; each row sums to 1."""
    width = max(step, 1.0)
    center = step * (torch.arange(size, dtype=torch.float64) + 0.5)[:, None]
    place = torch.arange(count, dtype=torch.float64)
    # The window in whole elements, as PyTorch rounds it.
    first = torch.floor(torch.clamp(center - radius * width + 0.5, min=0))
    end = torch.floor(torch.clamp(center + radius * width + 0.5, max=count))
    inside = (place >= first) & (place < end)
    weights = torch.where(inside, shape((place - center + 0.5) / width), 0)
    return weights / weights.sum(1, keepdim=True)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return torch.clamp(1 - x.abs(), min=0)


def _cubic(x: torch.Tensor) -> torch.Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))
