"""Tiles of shaders: what they are filed under, which are tried, and which are taken."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpu_tuning import (
    BATCH,
    BATCH_KEY,
    HERE,
    LAYER_KEY,
    LAYERS,
    PHONE,
    RATES,
    TILES,
    WINDOW,
    FakeBench,
    cases,
    layers_file,
    lowered,
)

from smartmem.backend.device.devices import usable_devices
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import InvalidInputError, TargetError
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles, fits, gpu_tiles
from smartmem.tuning.kernels import kernel_cases
from smartmem.tuning.session import Session
from smartmem.tuning.shader_candidates import shader_rounds
from smartmem.tuning.storages import ShaderChoices
from smartmem.tuning.table import Measured, Table, read_table
from smartmem.tuning.tune import device_for, tune


def test_a_file_keeps_storage_and_costs(tmp_path: Path) -> None:
    kernels = {
        "a": Measured(TILES, 1e-6, 2e-6, "texel_buffer", {"buffer": 2e-6, "image2d": 3e-6}),
        "b": Measured(None, 1.0, 1.0),
    }
    table = Table(HERE, kernels, RATES)
    table.save(tmp_path / "t.json")
    assert read_table(tmp_path / "t.json", HERE) == table
    assert "storage" not in json.loads((tmp_path / "t.json").read_text())["kernels"]["b"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v["kernels"]["a"].update(storage="texture"), "'texture' is no storage"),
        (lambda v: v["kernels"]["a"]["tiles"].pop("threads"), "no field 'threads'"),
        (lambda v: v["kernels"]["a"]["tiles"].update(threads=[8, 0, 1]), "are no tile sizes"),
        (lambda v: v["kernels"]["a"]["tiles"].update(thread=[4]), "are no tile sizes"),
        (lambda v: v["costs"].update(bytes=0), "are no costs"),
        (lambda v: v["costs"].pop("strided"), "no field 'strided'"),
        (lambda v: v.update(schema_version=1), "schema version 1 is not 2"),
        (lambda v: v["machine"].update(kind="fpga"), "no kind of machine 'fpga'"),
    ],
)
def test_a_broken_file_says_what_is_wrong(spoil: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Table(HERE, {"a": Measured(TILES, 1e-6, 2e-6)}, RATES).save(path)
    values = json.loads(path.read_text())
    spoil(values)
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match=message):
        read_table(path)


def test_kernels_of_a_gpu_and_what_they_are_filed_under() -> None:
    (batch,) = cases(BATCH)
    assert (batch.key, batch.start) == (BATCH_KEY, batch.tiles)
    assert batch.tiles == gpu_tiles(batch.nest, PHONE)
    layers = {case.key: case for case in cases(LAYERS)}
    layer = layers[LAYER_KEY]
    assert layer.start == layer.tiles == gpu_tiles(layer.nest, PHONE)
    (window,) = cases(WINDOW)
    assert window.key == "contraction 2*(8x8x32x16 abd.f32,dc.f32->abc.f32)"
    assert window.tiles is not None


@pytest.mark.parametrize("text", [BATCH, WINDOW], ids=["batch", "window"])
def test_candidates_differ_in_one_property_and_are_legal(text: str) -> None:
    (case,) = cases(text)
    assert isinstance(case.tiles, GpuTiles)
    for neighbours in shader_rounds(case.nest, PHONE):
        found = neighbours.of(case.tiles)
        assert found and case.tiles not in found
        for tiles in found:
            assert fits(tiles, case.nest, PHONE)
            assert math.prod(tiles.threads) <= PHONE.threads
            assert math.prod(size for size in tiles.thread if size) <= 128
            if neighbours.what != "reduction":
                assert tiles.reduction == case.tiles.reduction
            if neighbours.what != "thread":
                assert tiles.thread == case.tiles.thread
            if neighbours.what == "reduction":
                assert (tiles.workgroup, tiles.threads) == (
                    case.tiles.workgroup,
                    case.tiles.threads,
                )


@pytest.mark.parametrize(
    "tiles",
    [
        replace(TILES, workgroup=(7, 32, 0)),  # divides neither the rows nor the block
        replace(TILES, threads=(4, 2, 1)),  # not the threads that the sizes ask for
        replace(TILES, reduction=(0, 0, 5)),  # a step is cut off
        replace(TILES, reduction=(0, 4, 0)),  # a step along the result
        replace(TILES, workgroup=(8, 32), thread=(4, 4)),  # of another kernel
        GpuTiles((64, 64, 0), (1, 1, 0), (0, 0, 4), (64, 64, 1)),  # too many threads
    ],
)
def test_tiles_that_a_target_cannot_run_are_left_alone(tiles: GpuTiles) -> None:
    (case,) = [c for c in cases(LAYERS) if c.key == LAYER_KEY]
    assert fits(TILES, case.nest, PHONE)
    assert not fits(tiles, case.nest, PHONE)
    table = Table(HERE, {LAYER_KEY: Measured(tiles, 1e-6, 2e-6)})
    assert str(lowered(LAYERS, table)[0]) == str(lowered(LAYERS)[0])


def test_measured_tiles_win_over_computed_ones() -> None:
    other = GpuTiles((1, 16, 32, 0), (1, 8, 4, 0), (0, 0, 0, 8), (8, 2, 1))
    for text, key, tiles in ((LAYERS, LAYER_KEY, TILES), (BATCH, BATCH_KEY, other)):
        table = Table(HERE, {key: Measured(tiles, 1e-6, 2e-6)})
        module, shared = lowered(text, table)
        found = {case.key: case for case in kernel_cases(module, PHONE)}
        assert found[key].tiles == tiles
        reasons = [r.reason for r in shared.remarks if r.argument.endswith("configure-kernels")]
        assert reasons[0] == f"tiles: {tiles.workgroup}, measured"
        assert not any("measured" in reason for reason in reasons[1:])


def test_a_multiplication_takes_what_is_faster() -> None:
    layers = [case for case in cases(LAYERS) if case.key == LAYER_KEY]
    choices = ShaderChoices(PHONE, "buffer", ())
    table = Table(HERE)
    bench = FakeBench(lambda t: 0.5 if t is not None and t.thread == (8, 4, 0) else 0.9)
    outcome = Session(table, bench, lambda _: None, 60, choices).run(layers)
    assert (outcome.faster, outcome.images) == (1, 0)
    found = table.kernels[LAYER_KEY]
    assert isinstance(found.tiles, GpuTiles) and found.tiles.thread == (8, 4, 0)
    assert found.storage is None
    slower = Table(HERE)
    Session(slower, FakeBench(lambda _: 1.1), lambda _: None, 60, choices).run(layers)
    assert slower.kernels[LAYER_KEY].tiles is None


@pytest.mark.vulkan
def test_a_target_whose_code_does_not_run_here_is_refused(tmp_path: Path) -> None:
    sizes = {device.subgroup_size for device in usable_devices()}
    target = next(t for t, size in (("adreno", 64), ("valhall4", 16)) if size not in sizes)
    with pytest.raises(TargetError, match=f"nothing can be measured for target {target}"):
        tune(layers_file(tmp_path), tmp_path / "t.json", target=target)
    assert not (tmp_path / "t.json").exists()
    with pytest.raises(TargetError, match="does not run on cpu; use device vulkan"):
        device_for(resolve_target("vulkan"), "cpu")
    assert device_for(resolve_target("vulkan")) == resolve_target("vulkan").device
