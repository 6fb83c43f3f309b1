"""Kernels whose results vary: found by running them, and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exchanging_kernel import COLUMNS, ROWS, kernel

import smartmem
from smartmem.backend.device.fresh_run import run_fresh, same_bits
from smartmem.backend.module.shader_races import Race, shader_races
from smartmem.checking.compare import CheckResult, OutputError
from smartmem.checking.kernel_check import check_kernels
from smartmem.checking.repeated_runs import run_repeatedly, shuffled
from smartmem.compiler import attempts
from smartmem.errors import AccuracyError, BackendError, TargetError

X = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
INDEX = np.arange(9, dtype=np.float32)[:, None]


@pytest.fixture
def racing(tmp_path: Path) -> Path:
    """A lowered model: exp(x)^2 + row, whose one kernel has a race."""
    path = tmp_path / "07-lowered.mlir"
    path.write_text(kernel(COLUMNS, reshape=True))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A lowered model: exp(x) + row."""
    path = tmp_path / "07-lowered.mlir"
    path.write_text(kernel(ROWS))
    return path


@pytest.mark.fallback
def test_a_kernel_with_a_race_is_given_up(racing: Path) -> None:
    compiled = smartmem.compile(racing, target="adreno")
    (step,) = compiled.report.fallbacks
    assert (step.action, step.groups) == ("ungroup", (0,))
    assert "read after write of workgroup memory between threads" in step.reason
    assert not shader_races(compiled.path.read_bytes())


@pytest.mark.fallback
def test_where_nothing_helps_there_is_no_module(
    racing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = [Race("main_dispatch_0", "workgroup memory", "read after write")]
    monkeypatch.setattr(attempts, "shader_races", lambda _: races)
    with pytest.raises(BackendError, match="a kernel whose results vary: main_dispatch_0"):
        smartmem.compile(racing, target="adreno")


def test_shuffled_floats_are_the_same_floats() -> None:
    ids = np.arange(6)
    floats, same = shuffled([X, ids], seed=1)
    assert not np.array_equal(floats, X) and np.array_equal(
        np.sort(floats, None), np.sort(X, None)
    )
    assert same is ids


@pytest.mark.vulkan
def test_runs_show_a_race(racing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "shader_races", lambda _: [])
    compiled = smartmem.compile(racing, target="vulkan")
    runs = run_repeatedly(compiled.module, compiled.path, ["y"], ([X], [X[::-1].copy()]))
    # Either the numbers vary, or they are wrong in the same way each time.
    wrong = not np.allclose(runs.results[0][0], np.exp(X) ** 2 + INDEX, rtol=1e-4)
    assert runs.differing == ("y",) or wrong


@pytest.mark.vulkan
def test_sound_kernels_give_the_same_bits(sound: Path) -> None:
    compiled = smartmem.compile(sound, target="vulkan")
    other = X[::-1].copy()
    runs = run_repeatedly(compiled.module, compiled.path, ["y"], ([X], [other]))
    assert not runs.differing and "4 runs of 2 inputs in 2 new processes" in runs.how
    for (got,), x in zip(runs.results, (X, other), strict=True):
        assert np.allclose(got, np.exp(x) + INDEX, rtol=1e-5)


@pytest.mark.vulkan
def test_the_kernel_that_is_wrong_is_named(racing: Path, sound: Path) -> None:
    racing.write_text(kernel(COLUMNS, reshape=True))
    found = check_kernels(racing, target="vulkan")
    (wrong,) = found.wrong
    assert wrong.part.number == 0 and "workgroup memory" in wrong.race
    assert str(wrong).startswith("kernel 0 (linalg.generic, linalg.generic, linalg.generic)")
    with pytest.raises(AccuracyError, match="kernel 0"):
        found.require()
    sound.write_text(kernel(ROWS))
    assert "1 kernels, each alone" in str(check_kernels(sound, target="vulkan"))


PARTS_OF_A_CONCAT = """\
func.func @main(%x: tensor<2x3xf32>) -> tensor<4x3xf32> {
  %e = tensor.empty() : tensor<4x3xf32>
  %a = tensor.insert_slice %x into %e[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<4x3xf32>
  %b = tensor.insert_slice %x into %a[2, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<4x3xf32>
  return %b : tensor<4x3xf32>
}
"""


@pytest.mark.vulkan
def test_a_tensor_is_compared_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "07-lowered.mlir"
    path.write_text(PARTS_OF_A_CONCAT)
    found = check_kernels(path, target="vulkan")
    assert not found.wrong, "no elements of no value were compared"
    assert [k.part.operations for k in found.kernels] == [("tensor.insert_slice",)]


@pytest.mark.image_library
def test_memory_is_full_of_nans(sound: Path) -> None:
    compiled = smartmem.compile(sound, target="vulkan")
    filled = run_fresh(compiled.path, [X], [X], fill=True)
    plain = run_fresh(compiled.path, [X], environment={"SMARTMEM_VULKAN_FILL": ""})
    assert filled.is_filled and not plain.is_filled
    assert len(filled.results) == 2 and same_bits(filled.outputs, plain.outputs)


@pytest.mark.vulkan
def test_a_module_that_does_not_run_is_told(sound: Path, tmp_path: Path) -> None:
    compiled = smartmem.compile(sound, target="vulkan")
    with pytest.raises(TargetError, match="nowhere"):
        run_fresh(compiled.path, [X], device="vulkan:nowhere")
    with pytest.raises(TargetError, match=r"more than 0\.01 s"):
        run_fresh(compiled.path, [X], timeout_s=0.01)


def test_what_varies_is_no_success() -> None:
    good = OutputError("y", "float32", 1e-7, 1e-4)
    result = CheckResult((good,), "ONNX", "GPU", "4 runs", ("y",))
    assert not result.ok and "output y  varies" in str(result)
    assert result.to_json()["differing"] == ["y"]
    with pytest.raises(AccuracyError, match="output y varies from run to run"):
        result.require()
