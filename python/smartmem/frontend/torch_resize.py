"""Resizing with antialiasing, as products with matrices that are known when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_Filter = Callable[[torch.Tensor], torch.Tensor]


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


def _antialiased(shape: _Filter, radius: int) -> Callable[..., torch.Tensor]:
    """Resizing with a filter that is as wide as the step at least."""

    def resize(
        x: torch.Tensor,
        output_size: Sequence[int],
        align_corners: bool,
        scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> torch.Tensor:
        if not x.dtype.is_floating_point:
            return NotImplemented
        rows, columns = (
            _matrix(n, size, _step(n, size, align_corners, scale), shape, radius).to(x.dtype)
            for n, size, scale in zip(
                x.shape[-2:], output_size, (scales_h, scales_w), strict=True
            )
        )
        return torch.matmul(rows, torch.matmul(x, columns.T))

    return resize


resize_linear = _antialiased(_triangle, radius=1)
"""[N, C, H, W] of another size, by a triangle."""

resize_cubic = _antialiased(_cubic, radius=2)
"""[N, C, H, W] of another size, by Keys' cubic filter of a = -1/2."""
