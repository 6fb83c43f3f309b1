"""How kernels read: measured for each one, on the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu_tuning import (
    BATCH,
    BATCH_KEY,
    HERE,
    PHONE,
    RATES,
    SMALL,
    FakeBench,
    cases,
    layers_file,
    saved,
)

import smartmem
from smartmem.backend.device.image_library import PATH_VARIABLE
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.targets.targets import resolve_target
from smartmem.options import CompileOptions
from smartmem.tuning.measure import MARGIN
from smartmem.tuning.session import Session
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.storages import ShaderChoices, with_storage
from smartmem.tuning.table import Measured, Table, read_table
from smartmem.tuning.tune import tune


@pytest.mark.parametrize(
    ("speeds", "again", "storage"),
    [
        ({"texel_buffer": 0.8, "image2d": 0.9}, 0.0, "texel_buffer"),
        ({"texel_buffer": 1.2, "image2d": 0.5}, 0.0, "image2d"),
        ({"texel_buffer": 1 - MARGIN / 2, "image2d": 1.0}, 0.0, "buffer"),  # noise
        ({"texel_buffer": 0.8, "image2d": 1.0}, 0.3, "buffer"),  # luck
        ({"texel_buffer": None, "image2d": None}, 0.0, "buffer"),  # others bits, or none
    ],
)
def test_a_kernel_reads_as_usual_unless_another_way_is_clearly_faster(
    speeds: dict[str, float | None], again: float, storage: str, tmp_path: Path
) -> None:
    (case,) = cases(BATCH)
    choices = ShaderChoices(PHONE, "buffer", ("texel_buffer", "image2d"))
    bench = FakeBench(speeds.__getitem__, again)
    found = with_storage(Measured(None, 1.0, 1.0), case, choices, bench, tmp_path)
    assert found.storage == storage
    ran = {"buffer", *(name for name, speed in speeds.items() if speed is not None)}
    assert set(found.storage_seconds) == ran


def test_storage_is_measured_later_where_the_library_was_missing() -> None:
    table = Table(HERE, {BATCH_KEY: Measured(None, 1.0, 1.0)})
    tiles_only = ShaderChoices(PHONE, "buffer", ())
    bench = FakeBench(lambda _: 1.0)
    assert Session(table, bench, lambda _: None, 60, tiles_only).run(cases(BATCH)).known == 1
    choices = replace(tiles_only, storages=("texel_buffer",))
    outcome = Session(table, bench, lambda _: None, 60, choices).run(cases(BATCH))
    assert (outcome.measured, outcome.known) == (1, 0)
    assert table.kernels[BATCH_KEY].storage == "buffer"
    assert Session(table, bench, lambda _: None, 60, choices).run(cases(BATCH)).known == 1


@pytest.mark.parametrize(
    ("target", "measured", "usual"),
    [("adreno", "buffer", "texel_buffer"), ("valhall4", "image2d", "buffer")],
)
def test_each_kernel_reads_as_was_measured(
    tmp_path: Path, target: str, measured: Any, usual: str
) -> None:
    model = layers_file(tmp_path)
    key = "contraction 64x32x64 ac.f32,cb.f32->ab.f32"
    tuning = saved(tmp_path, target, {key: Measured(None, 1.0, 1.0, measured)})
    compiled = smartmem.compile(model, target=target, options=CompileOptions(tuning=tuning))
    read = {
        name: {b.storage for b in compiled.report.bindings if name in b.kernel and b.reads}
        for name in ("64x64x48", "64x32x64")
    }
    assert read == {"64x64x48": {usual}, "64x32x64": {measured}}
    assert {k.key: k.storage for k in compiled.report.layouts.kernels}[key] == measured
    asked = CompileOptions(tuning=tuning, storage="buffer")
    assert smartmem.compile(model, target=target, options=asked).report.bindings == ()


@pytest.mark.vulkan
def test_tune_measures_tiles_where_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / "none.so"))
    model = tmp_path / "small.mlir"
    model.write_text(SMALL)
    path = saved(tmp_path, "vulkan", {}, costs=RATES)
    assert tune(model, path, target="vulkan", minutes=30).measured == 1
    (told,) = (r.getMessage() for r in caplog.records if "library" in r.getMessage())
    assert told.startswith("only tile sizes are measured: ")
    (found,) = read_table(path, machine_of(resolve_target("vulkan"))).kernels.values()
    assert (found.storage, found.default_seconds > 0) == (None, True)


@pytest.mark.image_library
def test_storage_is_measured_on_the_device(tmp_path: Path) -> None:
    model = tmp_path / "small.mlir"
    model.write_text(SMALL)
    path = saved(tmp_path, "vulkan", {}, costs=RATES)
    outcome = tune(model, path, target="vulkan", minutes=30)
    assert outcome.measured == 1
    (found,) = read_table(path).kernels.values()
    assert set(found.storage_seconds) == {"buffer", "texel_buffer", "image2d"}
    assert found.storage in found.storage_seconds


@pytest.mark.image_library
def test_measured_storage_changes_no_bit(tmp_path: Path) -> None:
    key = "contraction 64x32x64 ac.f32,cb.f32->ab.f32"
    x = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    results = []
    for storage in ("buffer", "texel_buffer", "image2d"):
        tuning = saved(tmp_path, "vulkan", {key: Measured(None, 1.0, 1.0, storage)})
        options = CompileOptions(tuning=tuning)
        compiled = smartmem.compile(layers_file(tmp_path), target="vulkan", options=options)
        used = {b.storage for b in compiled.report.bindings if b.reads}
        assert used == (set() if storage == "buffer" else {"buffer", storage})
        results.append(LoadedModule(compiled.path, "vulkan")(x)[0])
    expected = np.tanh(x.sum(axis=1, keepdims=True) / 4) * 8
    np.testing.assert_allclose(results[0], expected + np.zeros_like(results[0]), rtol=1e-4)
    assert {found.tobytes() for found in results} == {results[0].tobytes()}
