"""``precision="auto"``: what the error allows is narrow, and the rest has a reason."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import smartmem
from smartmem import CompileOptions
from smartmem.checking.check import check_model
from smartmem.errors import InvalidInputError

_ARGUMENT = "smartmem-narrow-tensors"


def _layers(scale: float) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Linear(32, 64)
    with torch.no_grad():
        first.weight *= scale
    return nn.Sequential(first, nn.ReLU(), nn.Linear(64, 64), nn.LayerNorm(64)).eval()


def _remarks(model: nn.Module, target: str, max_error: float) -> list[tuple[bool, str]]:
    options = CompileOptions(precision="auto", max_error=max_error, storage="buffer")
    inputs = torch.randn(32, 32)
    report = smartmem.compile(model, inputs=inputs, target=target, options=options).report
    return [(r.applied, r.reason) for r in report.remarks if r.argument == _ARGUMENT]


def test_all_of_a_harmless_model_is_narrow() -> None:
    found = _remarks(_layers(1.0), "adreno", 5e-3)
    kept = {reason for applied, reason in found if not applied}
    assert (True, "f16 between kernels") in found
    assert any("products in f16" in reason for _, reason in found)
    # The first layer reads what the model takes, which is f32.
    assert kept <= {"the model returns it", "it takes few bytes", "an operand is f32"}


def test_what_overflows_stays_wide() -> None:
    found = _remarks(_layers(1e6), "adreno", 5e-3)
    assert any(not applied and "f16 ends at 65504" in reason for applied, reason in found)


def test_what_costs_the_budget_stays_wide() -> None:
    found = _remarks(_layers(1.0), "cpu", 1e-9)
    kept = [reason for applied, reason in found if not applied]
    assert kept
    assert all("of at most 1e-09" in reason for reason in kept)


def test_half_inputs_keep_their_type() -> None:
    model, x = _layers(1.0).half(), torch.randn(4, 32).half()
    compiled = smartmem.compile(model, inputs=x, target="cpu")
    assert compiled(x).dtype == torch.float16
    with torch.no_grad():
        np.testing.assert_allclose(compiled(x).float(), model(x).float(), atol=1e-2)


def test_a_check_says_its_tolerance() -> None:
    options = CompileOptions(precision="f16")
    inputs = torch.randn(4, 32)
    result = check_model(_layers(1.0), inputs=inputs, target="cpu", options=options).result
    assert result.ok
    assert "tolerance 1e-02: tensors are stored in f16" in str(result)


def test_bad_options() -> None:
    with pytest.raises(InvalidInputError, match="precision 'f8' is unknown"):
        CompileOptions(precision="f8")
    with pytest.raises(InvalidInputError, match=r"largest error of 0\.0 is not positive"):
        CompileOptions(max_error=0.0)
