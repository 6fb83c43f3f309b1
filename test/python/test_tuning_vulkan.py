"""Tuning for GPUs: tiles of shaders, how kernels read, and what a device does per second."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.backend.devices import usable_devices
from smartmem.backend.image_library import PATH_VARIABLE, find_image_library
from smartmem.backend.targets import resolve_target
from smartmem.errors import InvalidInputError, TargetError
from smartmem.layouts import layouts_of
from smartmem.options import CompileOptions
from smartmem.passes import PASSES, PassContext
from smartmem.passes.analysis.gpu_tiles import GpuTiles, fits, gpu_tiles
from smartmem.passes.analysis.kernel_costs import GPU, Rates, rates_of
from smartmem.passes.base import Workgroups
from smartmem.passes.chain_windows import ChainWindows
from smartmem.passes.configure_shaders import ConfigureShaders
from smartmem.passes.form_regions import FormRegions
from smartmem.passes.search_formats import SearchFormats
from smartmem.tuning.costs import measure_costs, rates_from
from smartmem.tuning.kernels import KernelCase, kernel_cases, read_module
from smartmem.tuning.measure import MARGIN, Bench
from smartmem.tuning.session import Session
from smartmem.tuning.shader_candidates import shader_rounds
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.storages import Gpu, with_storage
from smartmem.tuning.table import Machine, Measured, Table, read_table
from smartmem.tuning.tune import device_for, tune
from smartmem.vectors import SPIRV

needs_vulkan = pytest.mark.skipif(not usable_devices(), reason="no Vulkan device")
needs_library = pytest.mark.skipif(
    not usable_devices() or find_image_library() is None,
    reason="SmartMem's Vulkan library is not built, or there is no Vulkan device",
)

# y = tanh(x W) V: two matrix multiplications that are left to IREE.
LAYERS = """\
func.func @main(%x: tensor<64x48xf32>) -> tensor<64x32xf32> {
  %w = arith.constant dense<0.25> : tensor<48x64xf32>
  %v = arith.constant dense<0.125> : tensor<64x32xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<64x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>,
      affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}
      ins(%0 : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%i: f32, %o: f32):
    %t = math.tanh %i : f32
    linalg.yield %t : f32
  } -> tensor<64x64xf32>
  %f = tensor.empty() : tensor<64x32xf32>
  %y = linalg.fill ins(%c : f32) outs(%f : tensor<64x32xf32>) -> tensor<64x32xf32>
  %2 = linalg.matmul ins(%1, %v : tensor<64x64xf32>, tensor<64x32xf32>)
      outs(%y : tensor<64x32xf32>) -> tensor<64x32xf32>
  return %2 : tensor<64x32xf32>
}
"""
# A batch of products, which has tiles, and a window of two slices.
BATCH = """\
func.func @main(%x: tensor<4x64x16xf32>, %w: tensor<4x16x32xf32>) -> tensor<4x64x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x64x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x64x32xf32>) -> tensor<4x64x32xf32>
  %0 = linalg.batch_matmul ins(%x, %w : tensor<4x64x16xf32>, tensor<4x16x32xf32>)
      outs(%z : tensor<4x64x32xf32>) -> tensor<4x64x32xf32>
  return %0 : tensor<4x64x32xf32>
}
"""
WINDOW = """\
func.func @main(%x: tensor<1x8x9x16xf32>, %k: tensor<1x2x16x32xf32>) -> tensor<1x8x8x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  %0 = linalg.conv_2d_nhwc_hwcf
      ins(%x, %k : tensor<1x8x9x16xf32>, tensor<1x2x16x32xf32>)
      outs(%z : tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  return %0 : tensor<1x8x8x32xf32>
}
"""
BATCH_KEY = "contraction 4x64x32x16 abd.f32,adc.f32->abc.f32"
LAYER_KEY = "contraction 64x64x48 ac.f32,cb.f32->ab.f32"
BOUNDS = Workgroups(8, 1024, (1024, 1024, 64))
TILES = GpuTiles((8, 32, 0), (4, 4, 0), (0, 0, 4), (8, 2, 1))
HERE = Machine("vulkan", "a phone", SPIRV, "3.13.0", "a phone")
RATES = Rates(flops=1e10, bytes=2e9, launch=3e-5, strided=7.0)


def lowered(text: str, tuning: Table | None = None) -> tuple[ir.Module, PassContext]:
    """The model with its kernels configured for a GPU."""
    context = ir.Context()
    dialect.load(context)
    with context:
        module = ir.Module.parse(text)
        shared = PassContext(shared_memory=32768, workgroups=BOUNDS, tuning=tuning)
        for pass_ in PASSES[: PASSES.index(FormRegions)]:
            pass_().run(module.operation, shared)
        for pass_ in (FormRegions, ChainWindows, ConfigureShaders):
            pass_().run(module.operation, shared)
        return module, shared


def cases(text: str) -> list[KernelCase]:
    return kernel_cases(lowered(text)[0], BOUNDS)


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
    assert batch.tiles == gpu_tiles(batch.nest, BOUNDS)
    layers = {case.key: case for case in cases(LAYERS)}
    assert layers[LAYER_KEY].tiles is None  # left to IREE
    assert layers[LAYER_KEY].start == gpu_tiles(layers[LAYER_KEY].nest, BOUNDS)
    (window,) = cases(WINDOW)
    assert window.key == "contraction 2*(8x8x32x16 abd.f32,dc.f32->abc.f32)"
    assert window.tiles is not None


@pytest.mark.parametrize("text", [BATCH, WINDOW], ids=["batch", "window"])
def test_candidates_differ_in_one_property_and_are_legal(text: str) -> None:
    (case,) = cases(text)
    assert isinstance(case.tiles, GpuTiles)
    for neighbours in shader_rounds(case.nest, BOUNDS):
        found = neighbours.of(case.tiles)
        assert found and case.tiles not in found
        for tiles in found:
            assert fits(tiles, case.nest, BOUNDS)
            assert math.prod(tiles.threads) <= BOUNDS.threads
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
    assert fits(TILES, case.nest, BOUNDS)
    assert not fits(tiles, case.nest, BOUNDS)
    table = Table(HERE, {LAYER_KEY: Measured(tiles, 1e-6, 2e-6)})
    assert str(lowered(LAYERS, table)[0]) == str(lowered(LAYERS)[0])


def test_measured_tiles_win_over_computed_ones_and_over_ireees_own() -> None:
    other = GpuTiles((1, 16, 32, 0), (1, 8, 4, 0), (0, 0, 0, 8), (8, 2, 1))
    for text, key, tiles in ((LAYERS, LAYER_KEY, TILES), (BATCH, BATCH_KEY, other)):
        table = Table(HERE, {key: Measured(tiles, 1e-6, 2e-6)})
        module, shared = lowered(text, table)
        found = {case.key: case for case in kernel_cases(module, BOUNDS)}
        assert found[key].tiles == tiles
        reasons = [r.reason for r in shared.remarks if r.argument.endswith("shaders")]
        assert reasons == [f"tiles: {tiles.workgroup}, measured"]


class FakeBench(Bench):
    """Says how fast kernels are without running them."""

    def __init__(self, speed: Any, again: float = 0.0) -> None:
        super().__init__(resolve_target("valhall4"), "vulkan")
        object.__setattr__(self, "speed", speed)
        object.__setattr__(self, "again", again)
        object.__setattr__(self, "compiled", [])

    def reading(self, weights: tuple[int, ...]) -> Bench:
        return self

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        return list(sources)

    def compile_storage(self, source: Path, storage: str) -> Path | None:
        self.compiled.append(storage)  # type: ignore[attr-defined]
        return source.with_suffix(f".{storage}")

    def seconds(self, module: Path) -> float | None:
        return 1.0

    def ratios(
        self, first: Path, others: Sequence[Path | None], *, exact: bool = False
    ) -> list[float | None]:
        found = [self._speed(path, exact) for path in others if path]
        return [None if r is None else r + (len(found) == 1) * self.again for r in found]  # type: ignore[attr-defined]

    def _speed(self, path: Path, exact: bool) -> float | None:
        if exact:
            return self.speed(path.suffix[1:])  # type: ignore[attr-defined, no-any-return]
        (case,) = kernel_cases(read_module(path), BOUNDS)
        return self.speed(case.tiles)  # type: ignore[attr-defined, no-any-return]


def test_a_multiplication_is_taken_from_iree_where_that_is_faster() -> None:
    layers = [case for case in cases(LAYERS) if case.key == LAYER_KEY]
    gpu = Gpu(BOUNDS, "buffer", ())
    table = Table(HERE)
    bench = FakeBench(lambda t: 0.5 if t is not None and t.thread == (8, 4, 0) else 0.9)
    outcome = Session(table, bench, lambda _: None, 60, gpu).run(layers)
    assert (outcome.faster, outcome.images) == (1, 0)
    found = table.kernels[LAYER_KEY]
    assert isinstance(found.tiles, GpuTiles) and found.tiles.thread == (8, 4, 0)
    assert found.storage is None
    slower = Table(HERE)
    Session(slower, FakeBench(lambda _: 1.1), lambda _: None, 60, gpu).run(layers)
    assert slower.kernels[LAYER_KEY].tiles is None


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
    gpu = Gpu(BOUNDS, "buffer", ("texel_buffer", "image2d"))
    bench = FakeBench(speeds.__getitem__, again)
    found = with_storage(Measured(None, 1.0, 1.0), case, gpu, bench, tmp_path)
    assert found.storage == storage
    ran = {"buffer", *(name for name, speed in speeds.items() if speed is not None)}
    assert set(found.storage_seconds) == ran


def test_storage_is_measured_later_where_the_library_was_missing() -> None:
    table = Table(HERE, {BATCH_KEY: Measured(None, 1.0, 1.0)})
    tiles_only = Gpu(BOUNDS, "buffer", ())
    bench = FakeBench(lambda _: 1.0)
    assert Session(table, bench, lambda _: None, 60, tiles_only).run(cases(BATCH)).known == 1
    gpu = replace(tiles_only, storages=("texel_buffer",))
    outcome = Session(table, bench, lambda _: None, 60, gpu).run(cases(BATCH))
    assert (outcome.measured, outcome.known) == (1, 0)
    assert table.kernels[BATCH_KEY].storage == "buffer"
    assert Session(table, bench, lambda _: None, 60, gpu).run(cases(BATCH)).known == 1


def layers_file(tmp_path: Path) -> Path:
    path = tmp_path / "layers.mlir"
    path.write_text(LAYERS)
    return path


def saved(tmp_path: Path, target: str, kernels: dict[str, Measured], **values: Any) -> Path:
    path = tmp_path / "tuning.json"
    Table(machine_of(resolve_target(target)), kernels, **values).save(path)
    return path


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


def test_measured_costs_take_the_place_of_the_typical_ones() -> None:
    table = Table(HERE, {}, RATES)
    module, shared = lowered(BATCH, table)
    assert rates_of(shared) == RATES and rates_of(PassContext(shared_memory=1)) == GPU
    slow, fast = (layouts_of(module.operation, c, ()) for c in (shared, lowered(BATCH)[1]))
    assert slow.source == "measured on a phone" and fast.source == "typical of a phone's GPU"
    assert slow.kernels[0].predicted_s > 5 * fast.kernels[0].predicted_s
    assert Table(HERE).over(table).costs == RATES


def test_the_search_says_by_which_rates() -> None:
    with ir.Context() as context:
        dialect.load(context)
        module = ir.Module.parse(LAYERS)
        shared = PassContext(
            shared_memory=32768, layout="search", tuning=Table(HERE, {}, RATES)
        )
        for pass_ in PASSES[: PASSES.index(SearchFormats) + 1]:
            pass_().run(module.operation, shared)
    told = [r.reason for r in shared.remarks if r.argument == SearchFormats.argument]
    assert told and all("with rates measured on a phone" in reason for reason in told)


def test_rates_are_what_kernels_take_without_what_all_take() -> None:
    seconds = {"one": 1e-4, "chain": 33e-4, "in_order": 11e-4, "across": 41e-4, "matmul": 6e-4}
    found = rates_from(seconds, 1e6)
    size = 4 * 2080 * 2080
    assert found is not None
    assert found.bytes == pytest.approx(2 * size / 1e-3)
    assert found.strided == pytest.approx(7.0)  # 1e-3 for both, so 8 parts less the writes
    assert found.launch == pytest.approx(1e-4)
    assert found.flops == pytest.approx(2e9)
    cached = rates_from({**seconds, "across": 2e-4}, 1e6)
    assert cached is not None and cached.strided == 1.0
    assert rates_from({**seconds, "chain": 1e-4}, 1e6) is None  # noise


@needs_vulkan
def test_a_target_whose_code_does_not_run_here_is_refused(tmp_path: Path) -> None:
    sizes = {device.subgroup_size for device in usable_devices()}
    target = next(t for t, size in (("adreno", 64), ("valhall4", 16)) if size not in sizes)
    with pytest.raises(TargetError, match=f"nothing can be measured for target {target}"):
        tune(layers_file(tmp_path), tmp_path / "t.json", target=target)
    assert not (tmp_path / "t.json").exists()
    with pytest.raises(TargetError, match="does not run on cpu; use device vulkan"):
        device_for(resolve_target("vulkan"), "cpu")
    assert device_for(resolve_target("vulkan")) == resolve_target("vulkan").device


# A multiplication with few neighbours: it is quick to measure.
SMALL = """\
func.func @main(%x: tensor<13x8xf32>, %w: tensor<8x8xf32>) -> tensor<13x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<13x8xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<13x8xf32>) -> tensor<13x8xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<13x8xf32>, tensor<8x8xf32>)
      outs(%z : tensor<13x8xf32>) -> tensor<13x8xf32>
  return %0 : tensor<13x8xf32>
}
"""


@needs_vulkan
def test_tune_measures_tiles_where_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / "none.so"))
    model = tmp_path / "small.mlir"
    model.write_text(SMALL)
    path = saved(tmp_path, "vulkan", {}, costs=RATES)
    assert tune(model, path, target="vulkan", minutes=0.001).measured == 1
    (told,) = (r.getMessage() for r in caplog.records if "library" in r.getMessage())
    assert told.startswith("only tile sizes are measured: ")
    (found,) = read_table(path, machine_of(resolve_target("vulkan"))).kernels.values()
    assert (found.storage, found.default_seconds > 0) == (None, True)


@needs_vulkan
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


@needs_library
def test_storage_is_measured_on_the_device(tmp_path: Path) -> None:
    model = tmp_path / "small.mlir"
    model.write_text(SMALL)
    path = saved(tmp_path, "vulkan", {}, costs=RATES)
    outcome = tune(model, path, target="vulkan", minutes=0.001)
    assert outcome.measured == 1
    (found,) = read_table(path).kernels.values()
    assert set(found.storage_seconds) == {"buffer", "texel_buffer", "image2d"}
    assert found.storage in found.storage_seconds


@pytest.mark.parametrize("name", ["cpu", pytest.param("vulkan", marks=needs_vulkan)])
def test_costs_are_measured_on_the_device(name: str) -> None:
    target = resolve_target(name)
    bounds = None if name == "cpu" else BOUNDS
    found = measure_costs(Bench(target, name, timeout_s=120), bounds)
    assert found is not None
    assert 1e6 < found.bytes < 1e13 and 1e6 < found.flops < 1e16
    assert 1e-8 < found.launch < 0.1 and 1 <= found.strided < 1e3


_RUN = """
import sys
import numpy as np
from smartmem.backend.runtime import LoadedModule
x = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
np.save(sys.argv[2], LoadedModule(sys.argv[1], "vulkan")(x)[0])
"""


@needs_library
def test_measured_storage_changes_no_bit(tmp_path: Path) -> None:
    key = "contraction 64x32x64 ac.f32,cb.f32->ab.f32"
    results = []
    for storage in ("buffer", "texel_buffer", "image2d"):
        tuning = saved(tmp_path, "vulkan", {key: Measured(None, 1.0, 1.0, storage)})
        options = CompileOptions(tuning=tuning)
        compiled = smartmem.compile(layers_file(tmp_path), target="vulkan", options=options)
        used = {b.storage for b in compiled.report.bindings if b.reads}
        assert used == (set() if storage == "buffer" else {"buffer", storage})
        output = tmp_path / f"{storage}.npy"
        # In a process of its own: the first loader of a process is the only one.
        command = [sys.executable, "-c", _RUN, str(compiled.path), str(output)]
        subprocess.run(command, check=True, timeout=120)
        results.append(np.load(output))
    x = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    expected = np.tanh(x.sum(axis=1, keepdims=True) / 4) * 8
    np.testing.assert_allclose(results[0], expected + np.zeros_like(results[0]), rtol=1e-4)
    assert {found.tobytes() for found in results} == {results[0].tobytes()}
