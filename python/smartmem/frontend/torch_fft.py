"""Fourier transforms as products with matrices that are known when compiling.

A size above ``_LARGEST`` is split into two factors: transforms of one size, a rotation of
each element, and transforms of the other (Cooley and Tukey).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch._subclasses.complex_tensor import ComplexTensor

from smartmem.errors import UnsupportedError

_LARGEST = 512
_LARGEST_PRIME = 4096
_Parts = tuple[torch.Tensor, torch.Tensor]


def from_real(x: torch.Tensor, dim: Sequence[int], normalization: int, onesided: bool) -> Any:
    """The spectrum of a real tensor; the last of ``dim`` has only its first half if asked."""
    *others, last = dim
    count = x.shape[last] // 2 + 1 if onesided else x.shape[last]
    re, im = _along(x, None, last, -1, count)
    for other in others:
        re, im = _along(re, im, other, -1)
    factor = _factor(x.shape, dim, normalization)
    return ComplexTensor(re * factor, im * factor)


def from_complex(
    x: ComplexTensor, dim: Sequence[int], normalization: int, forward: bool
) -> Any:
    """The spectrum of a complex tensor, or the way back."""
    re, im = x.re, x.im
    for one in dim:
        re, im = _along(re, im, one, -1 if forward else 1)
    factor = _factor(x.shape, dim, normalization)
    return ComplexTensor(re * factor, im * factor)


def to_real(
    x: ComplexTensor, dim: Sequence[int], normalization: int, last_dim_size: int
) -> torch.Tensor:
    """The way back to a real tensor from the first half of its spectrum."""
    *others, last = dim
    re, im = x.re, x.im
    for other in others:
        re, im = _along(re, im, other, 1)
    re, im = _mirrored(re, im, last, last_dim_size)
    result, _ = _along(re, im, last, 1)
    return result * _factor(result.shape, dim, normalization)


def short_time(
    x: torch.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> torch.Tensor:
    """The spectra of windows of ``x`` [.., samples], [.., frequencies, windows]."""
    if align_to_window:
        raise NotImplementedError("align_to_window")
    hop = hop_length or n_fft // 4
    starts = torch.arange(0, x.shape[-1] - n_fft + 1, hop, device=x.device)
    frames = x[..., starts[:, None] + torch.arange(n_fft, device=x.device)]
    frames = frames * _window(window, win_length or n_fft, n_fft, x)
    whole = onesided is False or x.is_complex()
    spectra = (torch.fft.fft if whole else torch.fft.rfft)(frames, norm=_norm(normalized))
    result = spectra.transpose(-1, -2)
    return result if return_complex else torch.view_as_real(result)


def short_time_inverse(
    x: torch.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> torch.Tensor:
    """The samples whose spectra ``short_time`` gives."""
    hop, spectra = hop_length or n_fft // 4, x.transpose(-1, -2)
    if return_complex:
        frames = torch.fft.ifft(spectra, norm=_norm(normalized))
    else:
        frames = torch.fft.irfft(spectra[..., : n_fft // 2 + 1], n_fft, norm=_norm(normalized))
    factors = _window(window, win_length or n_fft, n_fft, frames.real)
    samples = _overlapped(frames * factors, hop)
    weights = _overlapped((factors * factors).expand(frames.shape[-2:]), hop)
    start = n_fft // 2 if center else 0
    whole = n_fft + hop * (frames.shape[-2] - 1)
    end = start + length if length is not None else whole - start
    missing = max(end - whole, 0)
    result = samples[..., start : min(end, whole)] / weights[start : min(end, whole)]
    return torch.nn.functional.pad(result, (0, missing)) if missing else result


def _norm(normalized: bool) -> str:
    return "ortho" if normalized else "backward"


def _window(
    window: torch.Tensor | None, width: int, n_fft: int, like: torch.Tensor
) -> torch.Tensor:
    """The factors of a window in the middle of ``n_fft`` samples."""
    if window is None:
        window = torch.ones(width, dtype=like.dtype, device=like.device)
    left = (n_fft - width) // 2
    return torch.nn.functional.pad(window, (left, n_fft - width - left))


def _overlapped(frames: torch.Tensor, hop: int) -> torch.Tensor:
    """The sum of frames [.., count, size], each ``hop`` samples behind the one before."""
    size = frames.shape[-1]
    pieces = -(-size // hop)
    frames = torch.nn.functional.pad(frames, (0, pieces * hop - size))
    parts = torch.unflatten(frames, -1, (pieces, hop))
    rows = [
        torch.nn.functional.pad(parts[..., k, :], (0, 0, k, pieces - 1 - k))
        for k in range(pieces)
    ]
    return functools.reduce(torch.add, rows).flatten(-2)


def _mirrored(re: torch.Tensor, im: torch.Tensor, dim: int, size: int) -> _Parts:
    """All ``size`` elements: those left out are conjugates of those that are there."""
    count = size // 2 + 1
    re, im = re.narrow(dim, 0, count), im.narrow(dim, 0, count)
    # The imaginary parts of what is its own conjugate do not count.
    place = torch.arange(count, device=im.device)
    own = (place == 0) | (2 * place == size)
    im = torch.where(own.reshape(-1, *[1] * (im.dim() - dim % im.dim() - 1)), 0, im)
    left = size - count
    back = (part.narrow(dim, 1, left).flip(dim) for part in (re, im))
    more_re, more_im = back
    return torch.cat((re, more_re), dim), torch.cat((im, -more_im), dim)


def _factor(shape: Sequence[int], dim: Sequence[int], normalization: int) -> float:
    count = math.prod(shape[one] for one in dim)
    return (1.0, 1 / math.sqrt(count), 1 / count)[normalization]


def _along(
    re: torch.Tensor, im: torch.Tensor | None, dim: int, sign: int, count: int | None = None
) -> _Parts:
    re = re.movedim(dim, -1)
    im = None if im is None else im.movedim(dim, -1)
    count = re.shape[-1] if count is None else count
    re, im = _rows(re, im, sign, count)
    return re.movedim(-1, dim), im.movedim(-1, dim)


def _rows(re: torch.Tensor, im: torch.Tensor | None, sign: int, count: int) -> _Parts:
    """The first ``count`` elements of the transform of the last dim."""
    size = re.shape[-1]
    inner = next((n for n in range(_LARGEST, 1, -1) if size % n == 0), 1)
    if size > _LARGEST and inner > 1:
        re, im = _split(re, torch.zeros_like(re) if im is None else im, sign, inner)
        return re[..., :count], im[..., :count]
    if size > _LARGEST_PRIME:
        raise UnsupportedError(
            f"a Fourier transform of {size} elements cannot be compiled, because {size} is "
            "prime; pad to a size that has divisors"
        )
    cos, sin = _turns(size, range(size), range(count), sign, re)
    if im is None:
        return re @ cos, re @ sin
    return re @ cos - im @ sin, re @ sin + im @ cos


def _split(re: torch.Tensor, im: torch.Tensor, sign: int, inner: int) -> _Parts:
    """By size = outer * inner: element ``a * inner + b`` of [.., outer, inner]."""
    size = re.shape[-1]
    outer = size // inner
    re, im = (torch.unflatten(p, -1, (outer, inner)).transpose(-1, -2) for p in (re, im))
    re, im = _rows(re, im, sign, outer)  # [.., inner, outer]
    cos, sin = _turns(size, range(inner), range(outer), sign, re)
    re, im = re * cos - im * sin, re * sin + im * cos
    re, im = _rows(re.transpose(-1, -2), im.transpose(-1, -2), sign, inner)
    return re.transpose(-1, -2).flatten(-2), im.transpose(-1, -2).flatten(-2)


def _turns(size: int, rows: range, columns: range, sign: int, like: torch.Tensor) -> _Parts:
    """Cosines and sines of ``sign * row * column / size`` turns."""
    row = torch.arange(len(rows), device=like.device)[:, None]
    column = torch.arange(len(columns), device=like.device)
    # Whole turns are left out in integers, so that large products lose no digits.
    angle = (row * column % size).to(torch.float64) * (sign * 2 * math.pi / size)
    return torch.cos(angle).to(like.dtype), torch.sin(angle).to(like.dtype)
