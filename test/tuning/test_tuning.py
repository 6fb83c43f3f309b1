"""Measured tile sizes: their file, what is tried, what is taken, and what it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.backend.iree_compile import tool
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.targets.targets import resolve_target
from smartmem.backend.targets.vectors import AVX512, Vectors
from smartmem.errors import InvalidInputError
from smartmem.options import CompileOptions
from smartmem.passes import PassContext
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.cpu_workgroups import WORKGROUPS, workgroup_count
from smartmem.passes.configure_kernels import ConfigureKernels
from smartmem.passes.form_regions import FormRegions
from smartmem.tuning.alone import captured
from smartmem.tuning.candidates import rounds
from smartmem.tuning.kernels import KernelCase, kernel_cases
from smartmem.tuning.measure import MARGIN, Bench, OutOfTimeError, Times, ratio_of
from smartmem.tuning.session import Session
from smartmem.tuning.shipped import machine_of, shipped_table, table_for
from smartmem.tuning.table import Machine, Measured, Table, read_table
from smartmem.tuning.tune import tune

MATMUL = """\
func.func @main(%x: tensor<56x48xf32>) -> tensor<56x64xf32> {
  %w = arith.constant dense<0.25> : tensor<48x64xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x64xf32>) -> tensor<56x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<56x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<56x64xf32>) -> tensor<56x64xf32>
  return %0 : tensor<56x64xf32>
}
"""
KEY = "contraction 56x64x48 ac.f32,cb.f32->ab.f32"
TILES = TileSizes((28, 64, 0), (7, 32, 0), (0, 0, 2))
HERE = Machine("cpu", "x86_64", AVX512, "3.13.0", "a test")


@pytest.fixture
def matmul(tmp_path: Path) -> Path:
    path = tmp_path / "matmul.mlir"
    path.write_text(MATMUL)
    return path


def configured(tuning: Table | None) -> tuple[ir.Module, PassContext]:
    """``MATMUL`` with its kernel configured."""
    with ir.Context() as context:
        dialect.load(context)
        module = ir.Module.parse(MATMUL)
        shared = PassContext(tuning=tuning)
        FormRegions().run(module.operation, shared)
        ConfigureKernels().run(module.operation, shared)
        return module, shared


def cases() -> list[KernelCase]:
    return kernel_cases(configured(None)[0])


def test_a_file_keeps_a_table(tmp_path: Path) -> None:
    table = Table(HERE, {KEY: Measured(TILES, 1e-6, 2e-6), "b": Measured(None, 1.0, 1.0)})
    table.save(tmp_path / "t.json")
    assert read_table(tmp_path / "t.json", HERE) == table


BROKEN: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda v: v.update(schema_version=99), "schema version 99 is not 2"),
    (lambda v: v.pop("kernels"), "no field 'kernels'"),
    (lambda v: v["machine"].pop("vectors"), "no field 'vectors'"),
    (lambda v: v["kernels"][KEY]["tiles"].update(vector=[1]), "are no tile sizes"),
    (lambda v: v["kernels"][KEY]["tiles"].update(vector=[1, 2, -3]), "are no tile sizes"),
    (lambda v: v.update(kernels=[]), "is no tuning file"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN)
def test_a_broken_file_says_what_is_wrong(
    spoil: Callable[[dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    Table(HERE, {KEY: Measured(TILES, 1e-6, 2e-6)}).save(path)
    values = json.loads(path.read_text())
    spoil(values)
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "smartmem tune" in str(caught.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"kind": "vulkan"}, "its kind is cpu, wanted is vulkan"),
        ({"architecture": "aarch64"}, "its architecture is x86_64, wanted is aarch64"),
        ({"vectors": Vectors(8, 16)}, "32 of 16 lanes, wanted is 16 of 8 lanes"),
        ({"iree": "4.0"}, "its iree is 3.13.0, wanted is 4.0"),
    ],
)
def test_a_file_of_another_machine(other: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Table(HERE).save(path)
    values = {f: getattr(HERE, f) for f in ("kind", "architecture", "vectors", "iree")}
    wanted = Machine(**{**values, **other}, description="another")
    with pytest.raises(InvalidInputError, match=message):
        read_table(path, wanted)


def test_what_was_tuned_wins_over_what_is_shipped() -> None:
    mine, theirs = Measured(TILES, 1e-6, 2e-6), Measured(None, 1.0, 1.0)
    both = Table(HERE, {"a": mine}).over(Table(HERE, {"a": theirs, "b": theirs}))
    assert both.kernels == {"a": mine, "b": theirs}


def test_shipped_tables_are_whole_and_of_their_machine() -> None:
    machine = machine_of(resolve_target("cpu:znver4"))
    table = shipped_table(machine)
    assert table is not None and table.kernels
    assert table.machine.mismatch(machine) is None
    assert any(found.tiles is not None for found in table.kernels.values())
    for found in table.kernels.values():
        assert found.tiles is None or found.seconds < (1 - MARGIN) * found.default_seconds
    assert table_for(resolve_target("cpu:znver4"), None, shipped=False) is None


def test_measured_tiles_win_over_computed_ones() -> None:
    module, shared = configured(Table(HERE, {KEY: Measured(TILES, 1e-6, 2e-6)}))
    assert "vector_common_parallel = [7, 32, 0]" in str(module)
    assert [r.reason for r in shared.remarks if r.argument.endswith("configure-kernels")] == [
        "tiles: (28, 64, 0), measured"
    ]


@pytest.mark.parametrize("tiles", [None, TileSizes((28, 64), (7, 32), (0, 0))])
def test_nothing_faster_and_what_does_not_fit_change_nothing(tiles: TileSizes | None) -> None:
    table = Table(HERE, {KEY: Measured(tiles, 1e-6, 1e-6)})
    assert str(configured(table)[0]) == str(configured(None)[0])


def test_kernels_of_a_module() -> None:
    (case,) = cases()
    assert (case.key, case.runs, case.nest.domain) == (KEY, 1, (56, 64, 48))


def test_weights_of_a_kernel_are_its_constants() -> None:
    (case,) = cases()
    shapes = [tuple(ir.RankedTensorType(v.type).shape) for v in captured([case.region])]
    assert [shapes[number] for number in case.weights] == [(48, 64)]
    assert (56, 48) in shapes  # the rows, which the kernel before has left in the cache


def test_candidates_differ_in_one_property_and_fit() -> None:
    (case,) = cases()
    for neighbours in rounds(case.nest, AVX512):
        found = neighbours.of(case.tiles)
        assert found and case.tiles not in found
        for tiles in found:
            kept = {"vector", "reduction"} - {neighbours.what}
            assert all(getattr(tiles, name) == getattr(case.tiles, name) for name in kept)
            rows, columns, _ = tiles.vector
            assert 56 % rows == 0
            assert rows * columns <= AVX512.registers * AVX512.lanes
            if neighbours.what == "workgroup":
                default = workgroup_count(case.tiles.workgroup, case.nest.domain)
                count = workgroup_count(tiles.workgroup, case.nest.domain)
                assert count >= min(WORKGROUPS, default)


class FakeBench(Bench):
    """Says how fast tiles are without running them."""

    def __init__(self, speed: Callable[[str], float | None], again: float = 0.0) -> None:
        # With the vectors of HERE, whatever processor runs the test.
        super().__init__(replace(resolve_target("cpu"), vectors=HERE.vectors), "cpu")
        object.__setattr__(self, "speed", speed)
        object.__setattr__(self, "again", again)

    def reading(self, weights: tuple[int, ...]) -> Bench:
        return self

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        return list(sources)

    def seconds(self, module: Path) -> float | None:
        return 1.0

    def ratios(self, first: Path, others: Sequence[Path | None]) -> list[float | None]:
        found = [self.speed(str(read_module(path))) for path in others if path]  # type: ignore[attr-defined]
        return [None if r is None else r + (len(found) == 1) * self.again for r in found]  # type: ignore[attr-defined]


def run(bench: Bench, table: Table, saved: list[int] | None = None, budget: float = 60) -> Any:
    save = (saved if saved is not None else []).append
    return Session(table, bench, lambda t: save(len(t.kernels)), budget).run(cases())


def test_the_fastest_candidate_is_taken_and_saved() -> None:
    table, saved = Table(HERE), list[int]()
    bench = FakeBench(lambda text: 0.5 if "[7, 32, 0]" in text else 0.9)
    outcome = run(bench, table, saved)
    assert (outcome.measured, outcome.faster, outcome.left, saved) == (1, 1, 0, [1])
    found = table.kernels[KEY]
    assert found.tiles is not None and found.tiles.vector == (7, 32, 0)
    assert (found.seconds, found.default_seconds) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("speed", "again"),
    [
        (lambda _: 1.2, 0.0),  # slower
        (lambda _: 1 - MARGIN / 2, 0.0),  # no more than noise
        (lambda _: None, 0.0),  # wrong, or it does not run
        (lambda _: 0.5, 0.5),  # luck: not faster when measured again
    ],
)
def test_the_default_stays_unless_another_is_clearly_faster(
    speed: Callable[[str], float | None], again: float
) -> None:
    table = Table(HERE)
    assert run(FakeBench(speed, again), table).faster == 0
    assert table.kernels[KEY].tiles is None


def test_a_session_goes_on_and_keeps_to_its_budget() -> None:
    bench = FakeBench(lambda _: 1.0)
    known = Table(HERE, {KEY: Measured(None, 1.0, 1.0)})
    assert (run(bench, known).measured, run(bench, known).known) == (0, 1)
    late = Table(HERE)
    assert run(bench, late, budget=-1).left == 1
    assert not late.kernels


def test_tune_measures_and_compile_takes_the_file(
    matmul: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some_rounds(session: Session, case: KernelCase) -> list[Any]:
        first, *_ = every_round(session, case)
        return [lambda tiles: first(tiles)[:3]]

    every_round = Session._rounds
    monkeypatch.setattr(Session, "_rounds", some_rounds)
    path = tmp_path / "tuning.json"
    plain = CompileOptions(shipped_tuning=False)
    outcome = tune(matmul, path, target="cpu", options=plain, minutes=30)
    assert outcome.measured == 1
    table = read_table(path, machine_of(resolve_target("cpu")))
    (key,) = table.kernels
    assert table.kernels[key].default_seconds > 0
    assert tune(matmul, path, target="cpu", options=plain, minutes=30).known == 1

    default = cases_of(matmul, plain)[0].tiles
    block = TileSizes(default.workgroup, (7, *default.vector[1:]), default.reduction)
    table.kernels[key] = Measured(block, 1e-6, 2e-6)
    table.save(path)
    compiled = smartmem.compile(matmul, target="cpu", options=CompileOptions(tuning=path))
    assert any("measured" in remark.reason for remark in compiled.report.remarks)
    x = np.random.default_rng(0).standard_normal((56, 48)).astype(np.float32)
    expected = np.repeat(x.sum(axis=1, keepdims=True) / 4, 64, axis=1)
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-4, atol=1e-5)


def test_what_is_measured_when_the_time_is_over_is_left(matmul: Path, tmp_path: Path) -> None:
    """Not finished: a kernel can take minutes."""
    path = tmp_path / "tuning.json"
    outcome = tune(matmul, path, target="cpu", minutes=1e-9)
    assert (outcome.measured, outcome.left) == (0, 1)
    assert not read_table(path).kernels
    (case,) = cases()
    case.write(tmp_path / "kernel.mlirbc", case.tiles)
    late = Bench(resolve_target("cpu"), "cpu", end=time.monotonic() - 1)
    for work in (
        lambda: late.compile([tmp_path / "kernel.mlirbc"]),
        lambda: late.seconds(tmp_path / "kernel.vmfb"),
        lambda: late.compile_storage(tmp_path / "kernel.mlirbc", "buffer"),
    ):
        with pytest.raises(OutOfTimeError):
            work()


def test_the_end_of_the_time_ends_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step may not take what no other left."""
    slow = tmp_path / "iree-compile"
    (tmp_path / "slow.mlir").touch()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(tool, "iree_compile_path", lambda: slow)
    bench = Bench(resolve_target("cpu"), "cpu", timeout_s=600)
    with pytest.raises(OutOfTimeError):
        bench.until(time.monotonic() + 0.5).compile([tmp_path / "slow.mlir"])


def cases_of(model: Path, options: CompileOptions) -> list[KernelCase]:
    from smartmem.compiler.lowered import Job, lower
    from smartmem.compiler.recorder import StageRecorder
    from smartmem.compiler.stages import IR_STAGES, import_stage

    recorder = StageRecorder(IR_STAGES, options)
    job = Job(model, None, resolve_target("cpu"), options)
    lowered = lower(import_stage(model, None, options, recorder), job, recorder)
    return kernel_cases(read_module(lowered.bytecode))


def test_errors_of_the_command_line(cli: Any, matmul: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    for arguments in (
        ("compile", matmul, "-t", "cpu", "--tuning", bad),
        ("tune", matmul, "-t", "cpu", "-o", bad),
    ):
        done = cli(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {bad} is no tuning file: it is not JSON")
    done = cli("tune", matmul, "-t", "cpu", "--minutes", "0")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "budget of 0 minutes" in done.stderr
    done = cli("tune", matmul, "-t", "adreno", "-o", tmp_path / "a.json")
    assert done.returncode == 1
    assert not (tmp_path / "a.json").exists()
    assert bad.read_text() == "{"


def test_candidates_that_do_not_run_are_left_out(tmp_path: Path) -> None:
    (case,) = cases()
    bench = Bench(resolve_target("cpu"), "cpu")
    source, other = tmp_path / "kernel.mlirbc", tmp_path / "other.mlir"
    case.write(source, case.tiles)
    other.write_text(
        "func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> { return %x : tensor<3xf32> }"
    )
    module, broken = bench.compile([source, other])  # whose arrays do not fit
    assert module is not None and broken is not None
    again = tmp_path / "again.vmfb"
    again.write_bytes(module.read_bytes())
    nothing, wrong, ratio = bench.ratios(module, [None, broken, again], exact=True)
    assert (nothing, wrong) == (None, None)
    assert ratio is not None and 0.01 < ratio < 100
    assert bench.ratios(broken, [again]) == [None]


@pytest.mark.parametrize(
    ("candidate", "ratio"),
    [
        ([1.0, 1.0, 1.0], 0.5),
        ([1.0, 1.0, 2.0], 0.5),  # one run was disturbed
        ([0.5, 3.0, 3.0], 1.5),  # fast once only
        ([1.9, 1.9, 1.9], 0.95),
    ],
)
def test_a_ratio_is_of_the_median_and_of_the_best(candidate: list[float], ratio: float) -> None:
    times = Times([[2.0, 2.0, 2.0], candidate], [0.0, 0.0], [True, False])
    assert ratio_of(times, 1, False) == pytest.approx(ratio)
    assert ratio_of(times, 1, True) is None  # other bits


def test_a_candidate_is_only_as_good_as_its_best_run() -> None:
    times = Times([[1.0, 9.0, 9.0], [1.0, 1.0, 1.0]], [0.0, 0.0], [True, True])
    assert ratio_of(times, 1, False) == 1.0  # the other one was disturbed twice
    assert ratio_of(Times(times.seconds, [0.0, 1.0], times.same), 1, False) is None
