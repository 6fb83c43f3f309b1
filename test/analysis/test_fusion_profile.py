"""What was measured of yellow pairs: how it is looked up, filled, and followed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smartmem
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.targets.targets import resolve_target
from smartmem.compiler.compile import CompiledModel
from smartmem.compiler.lowered import Job
from smartmem.errors import InvalidInputError
from smartmem.options import CompileOptions
from smartmem.passes.analysis.fusion.profile import CLEAR, PairTimes, advice
from smartmem.tuning.fusions import ModelPairs, PairCase
from smartmem.tuning.measure import Bench
from smartmem.tuning.pair_session import PairSession
from smartmem.tuning.session import Outcome, Session
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.table import Table, read_table
from smartmem.tuning.tune import tune

CPU = resolve_target("cpu")
PLAIN = CompileOptions(shipped_tuning=False)

# A contraction and the scale by a row behind it: by rule one kernel.
SCALED = """\
func.func @main(%x: tensor<56x48xf32>, %w: tensor<48x64xf32>, %s: tensor<64xf32>) -> tensor<56x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x64xf32>) -> tensor<56x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<56x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<56x64xf32>) -> tensor<56x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%0, %s : tensor<56x64xf32>, tensor<64xf32>) outs(%e : tensor<56x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.mulf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<56x64xf32>
  return %1 : tensor<56x64xf32>
}
"""

# A transposing operation before a contraction: by rule two kernels.
TRANSPOSED = """\
func.func @main(%x: tensor<48x56xf32>, %w: tensor<48x64xf32>) -> tensor<56x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x64xf32>
  %t = tensor.empty() : tensor<56x48xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : tensor<48x56xf32>) outs(%t : tensor<56x48xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<56x48xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x64xf32>) -> tensor<56x64xf32>
  %0 = linalg.matmul ins(%p, %w : tensor<56x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<56x64xf32>) -> tensor<56x64xf32>
  return %0 : tensor<56x64xf32>
}
"""

# A lookup that a normalization reads: by rule one kernel. Its indices must be made up.
LOOKUP = """\
func.func @main(%ids: tensor<40xi64>, %table: tensor<50x64xf32>) -> tensor<40x64xf32> {
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<40x64xf32>
  %er = tensor.empty() : tensor<40xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<40xi64>) outs(%em : tensor<40x64xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<50x64xf32>
    linalg.yield %v : f32
  } -> tensor<40x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<40xf32>) -> tensor<40xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%g : tensor<40x64xf32>) outs(%f : tensor<40xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    %v = arith.addf %m, %o : f32
    linalg.yield %v : f32
  } -> tensor<40xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%g, %sum : tensor<40x64xf32>, tensor<40xf32>) outs(%em : tensor<40x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<40x64xf32>
  return %r : tensor<40x64xf32>
}
"""


def saved(text: str, folder: Path) -> Path:
    path = folder / "model.mlir"
    path.write_text(text)
    return path


def cases(model: Path, table: Table | None = None) -> list[PairCase]:
    job = Job(model, None, CPU, PLAIN)
    return ModelPairs(job, table or Table(machine_of(CPU))).cases()


def key(rows: int, columns: int = 8) -> str:
    return f"a+b: rows {rows}x{columns} ab.f32->ab.f32 exp => rows {rows} a.f32->a.f32 exp @0.0"


FASTER, SLOWER = PairTimes(1e-6, 2e-6), PairTimes(2e-6, 1e-6)


def test_an_entry_says_which_way_is_faster() -> None:
    said = advice({key(8): FASTER}, key(8))
    assert said is not None and (said.fuse, said.is_exact) == (True, True)
    assert said.reason == "0.50 of the time of two kernels (measured here)"
    said = advice({key(8): PairTimes(2e-6, 1e-6, shipped=True)}, key(8))
    assert said is not None and not said.fuse
    assert said.reason == "2.00 of the time of two kernels (shipped)"
    said = advice({key(8): PairTimes(None, 1e-6)}, key(8))
    assert said is not None and not said.fuse
    assert said.reason == "no right kernel of both in time (measured here)"


@pytest.mark.parametrize("ratio", [1 - CLEAR / 2, 1.0, 1 + CLEAR / 2])
def test_no_clear_difference_says_nothing(ratio: float) -> None:
    # Also where a neighbour is clear: this pair was measured itself.
    assert advice({key(8): PairTimes(ratio, 1.0), key(9): SLOWER}, key(8)) is None


def test_the_nearest_of_the_same_class_stands_in() -> None:
    times = {key(8): FASTER, key(20): SLOWER}
    near, far = advice(times, key(10)), advice(times, key(18))
    assert near is not None and near.fuse and not near.is_exact
    assert far is not None and not far.fuse
    assert far.reason == "2.00 of the time of two kernels for other extents (measured here)"


def test_of_equally_near_ones_the_order_of_entries_says_nothing() -> None:
    entries = [(key(8), FASTER), (key(18), SLOWER)]
    assert advice(dict(entries), key(12)) == advice(dict(reversed(entries)), key(12))


def test_other_classes_and_far_extents_say_nothing() -> None:
    times = {key(8): FASTER}
    assert advice(times, key(8).replace("a+b", "a+c")) is None
    assert advice(times, key(8).replace("8x8 ab", "8x8 ba")) is None
    assert advice(times, key(8).replace("rows 8 a", "rows 8x8 a")) is None
    assert advice(times, key(16)) is not None  # twice the rows of both parts
    assert advice(times, key(17)) is None


def test_a_file_keeps_fusions(tmp_path: Path) -> None:
    table = Table(machine_of(CPU), fusions={"b": SLOWER, "a": PairTimes(None, 1.0)})
    table.save(tmp_path / "t.json")
    assert read_table(tmp_path / "t.json") == table
    assert list(json.loads((tmp_path / "t.json").read_text())["fusions"]) == ["a", "b"]


def test_a_section_that_is_not_there_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Table(machine_of(CPU)).save(path)
    values = json.loads(path.read_text())
    del values["fusions"]
    path.write_text(json.dumps(values))
    assert read_table(path) == Table(machine_of(CPU))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"fused_seconds": 1.0}, "no field 'apart_seconds'"),
        ({"fused_seconds": 1.0, "apart_seconds": 0}, "are no seconds"),
        ({"fused_seconds": -1.0, "apart_seconds": 1.0}, "are no seconds"),
        ([], "is no tuning file"),
    ],
)
def test_a_broken_section_says_what_is_wrong(entry: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Table(machine_of(CPU), fusions={"a": FASTER}).save(path)
    values = json.loads(path.read_text())
    values["fusions"]["a"] = entry
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match=message):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "cell", "by_rule"),
    [
        (SCALED, "many_to_many+one_to_many", True),
        (TRANSPOSED, "shuffle+many_to_many", False),
        (LOOKUP, "shuffle+many_to_many", True),
    ],
)
def test_both_decisions_give_the_same_numbers(
    text: str, cell: str, by_rule: bool, tmp_path: Path
) -> None:
    model = saved(text, tmp_path)
    (case,) = cases(model)
    assert (case.key.partition(":")[0], case.pair.by_rule) == (cell, by_rule)
    fused = decided(model, case.key, FASTER)
    apart = decided(model, case.key, SLOWER)
    assert [c.report.kernels.kernels for c in (fused, apart)] == [1, 2]
    assert not fused.report.fallbacks and not apart.report.fallbacks
    for compiled in (fused, apart):
        assert any("(measured here)" in remark.reason for remark in compiled.report.remarks)
    arrays = inputs(compiled)
    for compiled in (fused, apart):
        np.testing.assert_allclose(
            compiled(*arrays), expected(text, arrays), rtol=1e-4, atol=1e-4
        )


def decided(model: Path, pair: str, times: PairTimes) -> CompiledModel:
    """The model, compiled with a tuning file that holds one pair."""
    path = model.with_suffix(".tuning.json")
    Table(machine_of(CPU), fusions={pair: times}).save(path)
    options = CompileOptions(tuning=path, shipped_tuning=False)
    return smartmem.compile(model, target="cpu", options=options)


def inputs(compiled: CompiledModel) -> list[Any]:
    random = np.random.default_rng(0)
    return [
        random.integers(0, 50, spec.shape)
        if np.issubdtype(spec.dtype, np.integer)
        else random.standard_normal(spec.shape).astype(np.float32)
        for spec in compiled.inputs
    ]


def expected(text: str, arrays: Sequence[Any]) -> Any:
    if text is SCALED:
        x, w, scale = arrays
        return x @ w * scale
    if text is TRANSPOSED:
        return np.exp(arrays[0].T) @ arrays[1]
    rows = arrays[1][arrays[0]]
    return rows / (rows * rows).sum(axis=1, keepdims=True)


class FakeBench(Bench):
    """Says how fast one kernel is beside two without running them."""

    def __init__(self, *ratios: float | None) -> None:
        super().__init__(CPU, "cpu")
        object.__setattr__(self, "given", list(ratios))

    def reading(self, weights: tuple[int, ...]) -> Bench:
        return self

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        regions = [str(read_module(path)).count('"flow.dispatch.region"') for path in sources]
        assert regions == [1, 1]  # elementwise operations alone are left to IREE
        return list(sources)

    def seconds(self, module: Path) -> float | None:
        return 1.0

    def ratios(self, first: Path, others: Sequence[Path | None]) -> list[float | None]:
        return [self.given.pop(0) for _ in others]  # type: ignore[attr-defined]


def measured(model: Path, bench: Bench, table: Table, budget: float = 60.0) -> Outcome:
    pairs = ModelPairs(Job(model, None, CPU, PLAIN), table)
    return PairSession(table, bench, lambda _: None, budget).run(pairs)


@pytest.mark.parametrize(
    ("ratios", "kept", "changed"),
    [
        ((0.5, 0.6), 0.6, 0),  # as by rule
        ((1.5, 1.4), 1.4, 1),
        ((1.5, 0.5), 1.0, 0),  # luck
        ((1.02,), 1.02, 0),
        ((None,), None, 1),
    ],
)
def test_a_session_keeps_what_it_measured(
    ratios: tuple[float | None, ...], kept: float | None, changed: int, tmp_path: Path
) -> None:
    table = Table(machine_of(CPU))
    outcome = measured(saved(SCALED, tmp_path), FakeBench(*ratios), table)
    assert (outcome.measured, outcome.faster, outcome.left) == (1, changed, 0)
    (times,) = table.fusions.values()
    assert (times.fused_s, times.apart_s) == (kept, 1.0)


def test_a_session_goes_on_and_keeps_to_its_budget(tmp_path: Path) -> None:
    model, late = saved(SCALED, tmp_path), Table(machine_of(CPU))
    assert measured(model, FakeBench(), late, budget=-1).left == 1
    assert not late.fusions
    measured(model, FakeBench(1.0), late)
    again = measured(model, FakeBench(), late)
    assert (again.measured, again.known, again.left) == (0, 1, 0)


@pytest.mark.parametrize("text", [TRANSPOSED, LOOKUP])
def test_tune_measures_pairs_and_compile_takes_the_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_rounds", lambda *_: [])  # tile sizes stay as they are
    model, path = saved(text, tmp_path), tmp_path / "tuning.json"
    outcome = tune(model, path, target="cpu", options=PLAIN, minutes=30)
    assert outcome.pairs is not None and outcome.pairs.measured == 1
    (times,) = read_table(path, machine_of(CPU)).fusions.values()
    assert times.apart_s > 0 and times.fused_s is not None and times.fused_s > 0
    again = tune(model, path, target="cpu", options=PLAIN, minutes=30)
    assert again.pairs is not None and (again.pairs.measured, again.pairs.known) == (0, 1)
