"""Running compiled modules."""

from __future__ import annotations

import os

import ml_dtypes
import numpy as np
import pytest
from row_sums import F32, SUM, SUM_INPUTS, SUM_OUTPUTS, build, build_plain, doubling

from smartmem.backend.device import hal
from smartmem.backend.device.runtime import BenchmarkResult, LoadedModule
from smartmem.errors import InvalidInputError
from smartmem.parameters import NUMPY_DTYPES
from smartmem.tensor_spec import TensorSpec


def test_runs_on_the_device_it_was_compiled_for(tmp_path, rows, target):
    module = LoadedModule(build(tmp_path, SUM, target, SUM_INPUTS, SUM_OUTPUTS), target)
    (sums,) = module(rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)
    assert module.metadata.kind == target
    assert [str(spec) for spec in module.inputs] == ["rows: float32[16, 256]"]
    assert [str(spec) for spec in module.outputs] == ["sums: float32[16]"]


def test_bytes_and_paths_load_alike(sum_path, rows):
    from_path, from_bytes = LoadedModule(str(sum_path)), LoadedModule(sum_path.read_bytes())
    np.testing.assert_array_equal(from_path(rows), from_bytes(rows))
    assert from_path.metadata == from_bytes.metadata


@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64", "i1", "i8", "i16", "i32", "i64"])
def test_every_dtype_goes_in_and_out(tmp_path, target, name):
    dtype, shape = NUMPY_DTYPES[name], (3, 5)
    specs = [TensorSpec("x", shape, dtype)]
    module = LoadedModule(build(tmp_path, doubling(name, shape), target, specs, specs), target)
    x = (np.arange(15).reshape(shape) % 7 / 2).astype(dtype)
    (y,) = module(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x | x if name == "i1" else x + x)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has this scheduling policy")
def test_a_thread_that_waits_for_workers_preempts_none(sum_path, rows):
    with hal.without_preempting():
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
        with hal.without_preempting():  # a policy of the caller's stays
            pass
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    LoadedModule(sum_path)(rows)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has this scheduling policy")
def test_a_sandbox_that_forbids_the_policy_is_no_failure(sum_path, rows, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    (sums,) = LoadedModule(sum_path)(rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(), (0, 4)])
def test_scalars_and_empty_arrays(tmp_path, shape):
    specs = [TensorSpec("x", shape, F32)]
    module = LoadedModule(build(tmp_path, doubling("f32", shape), "cpu", specs, specs))
    x = np.full(shape, 1.5, F32)
    (y,) = module(x)
    assert y.shape == shape
    np.testing.assert_array_equal(y, x + x)


def test_arrays_that_are_not_contiguous(sum_path, rows):
    module = LoadedModule(sum_path)
    np.testing.assert_array_equal(module(np.asfortranarray(rows)), module(rows))
    np.testing.assert_array_equal(module(rows[::-1])[0], module(rows)[0][::-1])


def test_results_outlive_the_module(sum_path, rows):
    module = LoadedModule(sum_path)
    first = module(rows)[0]
    kept = first.copy()
    module(rows * 2)
    del module
    np.testing.assert_array_equal(first, kept)


def test_torch_tensors(sum_path, rows, tmp_path):
    torch = pytest.importorskip("torch")
    module = LoadedModule(sum_path)
    tensor = torch.from_numpy(rows).requires_grad_()
    np.testing.assert_array_equal(module(tensor), module(rows))
    specs = [TensorSpec("x", (4,), np.dtype(ml_dtypes.bfloat16))]
    halves = LoadedModule(build(tmp_path, doubling("bf16", (4,)), "cpu", specs, specs))
    (y,) = halves(torch.tensor([1.5, 2.0, -3.0, 0.25], dtype=torch.bfloat16))
    np.testing.assert_array_equal(y.astype(F32), [3.0, 4.0, -6.0, 0.5])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], r"takes 1 inputs, 0 were given; inputs: rows: float32\[16, 256\]"),
        ([np.zeros((16, 256), F32)] * 2, "takes 1 inputs, 2 were given"),
        ([np.zeros((16, 255), F32)], r"input rows has shape \[16, 255\], .* \[16, 256\]"),
        ([np.zeros((16, 256))], r"input rows has dtype float64, the module takes float32"),
        ([None], "input rows is a NoneType, not an array"),
        (["text"], r"input rows has shape \[\]"),
        ([[[1.0], [1.0, 2.0]]], "input rows is not an array"),
    ],
)
def test_wrong_inputs_are_named(sum_path, arrays, message):
    module = LoadedModule(sum_path)
    with pytest.raises(InvalidInputError, match=message):
        module(*arrays)
    with pytest.raises(InvalidInputError, match=message):
        module.benchmark(arrays)


def test_benchmark(sum_path, rows):
    result = LoadedModule(sum_path, threads=1).benchmark([rows], warmup=1, repetitions=5)
    assert len(result.seconds) == 5
    assert 0 < result.min <= result.median <= result.max < 5
    assert BenchmarkResult((3.0, 1.0, 2.0)).median == 2.0


def test_cold_inputs_are_other_copies_in_each_run(sum_path, rows):
    module = LoadedModule(sum_path, threads=1)
    warm, cold = module.upload([rows]), module.upload([rows], cold=[0])
    assert warm.next()[0] is warm.next()[0]
    views = [cold.next()[0] for _ in range(3)]
    assert len(set(map(id, views))) == 3
    assert all((view.map().asarray(rows.shape, rows.dtype) == rows).all() for view in views)
    assert len(module.benchmark(cold, repetitions=4).seconds) == 4


@pytest.mark.parametrize("counts", [{"repetitions": 0}, {"warmup": -1}])
def test_benchmark_counts(sum_path, rows, counts):
    with pytest.raises(InvalidInputError, match="1 repetition and 0 warm-ups or more"):
        LoadedModule(sum_path).benchmark([rows], **counts)


def test_the_number_of_threads(sum_path, rows, monkeypatch):
    asked = []
    parse = hal.rt.flags.parse_flags
    monkeypatch.setattr(
        hal.rt.flags, "parse_flags", lambda *flags: asked.extend(flags) or parse(*flags)
    )
    # As many workers as cores are bound to them (0), fewer and more are not.
    monkeypatch.setattr(hal, "_free_cores", lambda: 4)
    hal.open_device.cache_clear()
    LoadedModule(sum_path, threads=4)
    assert asked == ["--task_topology_group_count=0"] * 2
    asked.clear()
    two = LoadedModule(sum_path, threads=2)
    five = LoadedModule(sum_path, threads=5)
    np.testing.assert_array_equal(two(rows), five(rows))
    assert asked == [f"--task_topology_group_count={n}" for n in (2, 0, 5, 0)]
    with pytest.raises(InvalidInputError, match="threads is 0"):
        LoadedModule(sum_path, threads=0)


def test_cores_are_counted_where_all_are_free(monkeypatch):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("affinities of threads are Linux's")
    free = hal._free_cores()
    assert free is None or 1 <= free <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: len(os.sched_getaffinity(0)) + 1)
    assert hal._free_cores() is None


def test_a_module_of_another_tool_runs_on_the_cpu(tmp_path, rows):
    module = LoadedModule(build_plain(tmp_path, SUM, "cpu"))
    assert module.metadata.target_name is None
    assert [str(spec) for spec in module.inputs] == ["input0: float32[16, 256]"]
    np.testing.assert_allclose(module(rows)[0], rows.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_entry_functions(tmp_path, rows):
    only = LoadedModule(build_plain(tmp_path, SUM.replace("@main", "@forward"), "cpu"))
    assert only(rows)[0].shape == (16,)
    two = SUM.replace("@main", "@one") + SUM.replace("@main", "@two")
    with pytest.raises(InvalidInputError, match=r"no function main; its functions are: .*two"):
        LoadedModule(build_plain(tmp_path, two, "cpu"))
