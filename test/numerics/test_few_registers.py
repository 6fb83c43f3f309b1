"""Kernels for GPUs with few registers compute the same: small tiles, loads where they are used."""

from __future__ import annotations

import numpy as np
import pytest
from planned_kernels import FOLDER, read_graph

import smartmem
from smartmem.backend.targets import registers
from smartmem.options import CompileOptions
from smartmem.passes import HoistAddresses, SinkLoads


@pytest.mark.vulkan
def test_a_network_for_few_registers_computes_what_a_cpu_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows of 7 x 7 and 3 x 3, groups, and residuals: this device as if it was an Adreno."""
    monkeypatch.setattr(registers, "BLOCKS", ((".*", 92),))
    model = read_graph(FOLDER / "resnext.onnx")
    options = CompileOptions(keep_ir=False, storage="buffer", shipped_tuning=False)
    on_gpu = smartmem.compile(model, target="vulkan", options=options)
    on_cpu = smartmem.compile(model, target="cpu", options=options)
    assert not on_gpu.report.fallbacks
    ran = {remark.argument for remark in on_gpu.report.remarks}
    assert ran >= {HoistAddresses.argument, SinkLoads.argument}
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(spec.shape, np.float32) for spec in on_cpu.inputs]
    found, expected = (np.asarray(c(*arrays)) for c in (on_gpu, on_cpu))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
