"""Complex numbers and Fourier transforms in PyTorch models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import fft, nn
from torch_functions import Function, assert_right

from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model, torch_fft


class Rotary(nn.Module):
    """Rotates pairs of elements, as Llama's own code does."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        steps = 1 / 100 ** (torch.arange(0, width, 2) / width)
        angles = torch.outer(torch.arange(length), steps)
        turns = torch.polar(torch.ones_like(angles), angles)
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, x: Any) -> Any:
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        turned = pairs * self.turns[: x.shape[1]].view(1, x.shape[1], 1, -1)
        return torch.view_as_real(turned).flatten(3).type_as(x)


class Spectral(nn.Module):
    """Weights for the low frequencies, as a Fourier neural operator has them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, 2, 3, dtype=torch.complex64))

    def forward(self, x: Any) -> Any:
        low = fft.rfft2(x)[:, :, :2, :3]
        result = torch.zeros(
            x.shape[0], 3, x.shape[-2], x.shape[-1] // 2 + 1, dtype=torch.cfloat
        )
        result[:, :, :2, :3] = torch.einsum("bixy,ioxy->boxy", low, self.weight)
        return fft.irfft2(result, s=x.shape[-2:])


def test_complex_numbers_and_transforms() -> None:
    torch.manual_seed(0)
    rotary, spectral, window = Rotary(6, 8), Spectral(), torch.hann_window(16)

    def compute(x: Any, heads: Any, sound: Any) -> Any:
        whole = fft.fft(x, norm="ortho")
        sounds = torch.stft(sound, 16, 4, window=window, return_complex=True)
        return (
            rotary(heads),
            spectral(x),
            torch.view_as_real(whole),
            fft.irfft(fft.rfft(x, n=7, dim=1) * 2j, n=7, dim=1),
            fft.hfft(torch.complex(x, x + 1)),
            fft.ifft2(fft.fftshift(fft.fft2(x + 1))).real,
            torch.view_as_real(sounds),
            torch.istft(sounds * 2, 16, 4, window=window),
            (torch.exp(1j * x) * torch.polar(x.abs(), x)).sum(-1).imag,
            (whole * whole.conj()).real,
            (whole / (whole.flip(-1) + 2)).imag,
            (whole @ whole.mT).abs(),
            torch.cat([part.real for part in whole.split(4, -1)], -1),
            (whole**2).real + torch.where(x > 0, whole, 3 - whole).imag,
            torch.hypot(x, x + 1),
        )

    inputs = torch.randn(1, 2, 8, 8), torch.randn(1, 6, 2, 8), torch.randn(2, 64)
    with torch.no_grad():
        assert_right(compute_in(compute, rotary, spectral), *inputs)


def compute_in(function: Callable[..., Any], *parts: nn.Module) -> nn.Module:
    """A module of ``function`` that owns ``parts``."""
    module = Function(function)
    module.parts = nn.ModuleList(parts)
    return module.eval()


def test_transforms_of_sizes_that_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(torch_fft, "_LARGEST", 4)

    def compute(x: Any) -> Any:
        return torch.view_as_real(fft.rfft(x)), fft.irfft(fft.rfft(x)) + fft.ifft(x).real

    assert_right(compute, torch.randn(1, 30))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fft.fft, "output .* is complex; return torch.view_as_real"),
        (lambda x: fft.rfft(x).abs(), "a Fourier transform of 4099 elements"),
        (lambda x: torch.angle(fft.fft(x[:, :8]) ** 2.5), "operator aten.pow.Tensor_Scalar"),
    ],
)
def test_complex_numbers_that_are_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        import_model(Function(function), inputs=torch.randn(1, 4099))


def test_complex_input_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"input .* is complex"):
        import_model(Function(torch.real), inputs=torch.randn(2, dtype=torch.complex64))
