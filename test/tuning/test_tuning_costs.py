"""What a device does per second: measured, and in the place of typical rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gpu_tuning import (
    BATCH,
    HERE,
    LAYER_KEY,
    LAYERS,
    PHONE,
    RATES,
    TILES,
    layers_file,
    lowered,
    saved,
)
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.backend.targets.processor import EVERY_GPU
from smartmem.backend.targets.targets import resolve_target
from smartmem.mlir.pipelines import run_pipeline
from smartmem.options import CompileOptions
from smartmem.passes import PASSES, PassContext
from smartmem.passes.analysis.layout.kernel_costs import GPU, rates_of
from smartmem.passes.search_formats import SearchFormats
from smartmem.report.layouts import layouts_of
from smartmem.tuning.costs import CostKernels, measure_costs, rates_from
from smartmem.tuning.measure import Bench
from smartmem.tuning.table import Measured, Table

SECONDS = {"one": 1e-4, "chain": 33e-4, "in_order": 11e-4, "across": 41e-4, "matmul": 6e-4}


def test_measured_costs_take_the_place_of_the_typical_ones() -> None:
    table = Table(HERE, {}, RATES)
    module, shared = lowered(BATCH, table)
    assert rates_of(shared) == RATES and rates_of(PassContext(processor=EVERY_GPU)) == GPU
    slow, fast = (layouts_of(module.operation, c, ()) for c in (shared, lowered(BATCH)[1]))
    assert slow.source == "measured on a phone" and fast.source == "typical of a phone's GPU"
    assert slow.kernels[0].predicted_s > 5 * fast.kernels[0].predicted_s
    assert Table(HERE).over(table).costs == RATES


def test_the_search_says_by_which_rates() -> None:
    with ir.Context() as context:
        dialect.load(context)
        module = ir.Module.parse(LAYERS)
        shared = PassContext(
            processor=EVERY_GPU, layout="search", tuning=Table(HERE, {}, RATES)
        )
        chosen = PASSES[: PASSES.index(SearchFormats) + 1]
        run_pipeline(module, [pass_() for pass_ in chosen], shared)
    told = [r.reason for r in shared.remarks if r.argument == SearchFormats.argument]
    assert told and all("with rates measured on a phone" in reason for reason in told)


def test_rates_are_what_kernels_take_without_what_all_take() -> None:
    found = rates_from(SECONDS, 1e6)
    size = 4 * 2080 * 2080
    assert found is not None
    assert found.bytes == pytest.approx(2 * size / 1e-3)
    assert found.strided == pytest.approx(7.0)  # 1e-3 for both, so 8 parts less the writes
    assert found.launch == pytest.approx(1e-4)
    assert found.flops == pytest.approx(2e9)
    cached = rates_from({**SECONDS, "across": 2e-4}, 1e6)
    assert cached is not None and cached.strided == 1.0
    assert rates_from({**SECONDS, "chain": 1e-4}, 1e6) is None  # noise


@pytest.mark.vulkan
def test_compile_takes_tiles_and_costs_of_the_file(tmp_path: Path) -> None:
    model = layers_file(tmp_path)
    kernels = {LAYER_KEY: Measured(TILES, 1e-6, 2e-6)}
    path = saved(tmp_path, "vulkan", kernels, costs=RATES)
    compiled = smartmem.compile(model, target="vulkan", options=CompileOptions(tuning=path))
    assert any(remark.reason.endswith(", measured") for remark in compiled.report.remarks)
    assert compiled.report.layouts.source.startswith("measured on ")
    x = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    hidden = np.tanh(x.sum(axis=1, keepdims=True) / 4)
    expected = np.repeat(64 * hidden / 8, 32, axis=1)
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-4, atol=1e-5)


def test_costs_are_measured_on_the_device(target: str, tmp_path: Path) -> None:
    """The kernels run; which of them is faster, a busy machine does not tell."""
    bench = Bench(resolve_target(target), target, timeout_s=120)
    kernels = CostKernels.compile(tmp_path, bench, None if target == "cpu" else PHONE)
    assert kernels is not None and kernels.work > 512**3
    seconds = kernels.seconds(bench)
    assert seconds is not None
    assert set(seconds) == {"one", "chain", "in_order", "across", "matmul"}
    assert all(1e-7 < s < 100 for s in seconds.values())


def test_costs_come_from_what_kernels_took(monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[dict[str, float] | None] = [{**SECONDS, "chain": 1e-5}, SECONDS, None]
    monkeypatch.setattr(CostKernels, "compile", lambda *_: CostKernels({}, 1e6))
    monkeypatch.setattr(CostKernels, "seconds", lambda *_: took.pop(0))
    bench = Bench(resolve_target("cpu"), "cpu")
    assert measure_costs(bench, None) == rates_from(SECONDS, 1e6)  # noise at first


@pytest.mark.parametrize("kernels", [None, CostKernels({}, 1e6)])
def test_costs_of_the_model_stay_where_kernels_do_not_run(
    kernels: CostKernels | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(CostKernels, "compile", lambda *_: kernels)
    monkeypatch.setattr(CostKernels, "seconds", lambda *_: None)
    assert measure_costs(Bench(resolve_target("cpu"), "cpu"), None) is None
    assert "cannot be measured" in caplog.text
