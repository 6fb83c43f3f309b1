"""``smartmem.compile`` and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from refusals import relu
from torch_mlir import ir

import smartmem
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.cpu import host_cpu
from smartmem.backend.targets.targets import Target
from smartmem.compiler import attempts
from smartmem.compiler.compile import IR_STAGES, CompiledModel, module_at
from smartmem.compiler.recorder import StageRecorder
from smartmem.errors import BackendError, InvalidInputError, TargetError, UnsupportedError
from smartmem.options import CompileOptions

X = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
TOKENS = np.random.default_rng(1).standard_normal((2, 8, 16)).astype(np.float32)


def attention(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})


def test_compiled_model_runs_on_numpy_arrays(mlir_file: Path) -> None:
    compiled = smartmem.compile(mlir_file, target="cpu")
    result = compiled(X)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, 2 * X.T)


def test_torch_tensors_in_torch_tensors_out(mlir_file: Path) -> None:
    torch = pytest.importorskip("torch")
    result = smartmem.compile(mlir_file, target="cpu")(torch.from_numpy(X))
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, 2 * torch.from_numpy(X).T)


def test_bfloat16_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "double.mlir"
    path.write_text(
        "func.func @main(%a: tensor<4xbf16>) -> tensor<4xbf16> {\n"
        "  %0 = arith.addf %a, %a : tensor<4xbf16>\n  return %0 : tensor<4xbf16>\n}"
    )
    x = torch.tensor([1.5, -2.0, 0.25, 8.0], dtype=torch.bfloat16)
    assert torch.equal(smartmem.compile(path, target="cpu")(x), 2 * x)


@pytest.mark.parametrize(
    ("target", "function", "message"),
    [
        ("cpu", "tanh", r"function tanh .*of float64 cannot be compiled for target cpu"),
        ("ampere", "exp", r"function exp .*of float64 cannot be compiled for target ampere"),
        ("adreno", "sqrt", r"float64, which target adreno does not have: convert"),
    ],
)
def test_double_precision_that_no_kernel_has_is_refused(
    target: str, function: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "double.mlir"
    path.write_text(
        "func.func @main(%a: tensor<4xf64>) -> tensor<4xf64> {\n"
        f"  %0 = math.{function} %a : tensor<4xf64>\n  return %0 : tensor<4xf64>\n}}"
    )
    with pytest.raises(UnsupportedError, match=message):
        smartmem.compile(path, target=target)


def test_several_outputs_and_names(onnx_file: Path, compiled_attention: CompiledModel) -> None:
    compiled = compiled_attention
    assert [str(spec.name) for spec in compiled.inputs] == ["x"]
    assert [spec.shape for spec in compiled.outputs] == [(2, 4, 8, 4), ()]
    expected = attention(onnx.load(onnx_file), TOKENS)
    named = compiled.run({"x": TOKENS})
    assert list(named) == ["y", "mean"]
    for want, by_call, by_name in zip(expected, compiled(TOKENS), named.values(), strict=True):
        np.testing.assert_allclose(by_call, want, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(by_call, by_name)


def test_models_as_bytes_proto_and_mlir_module(mlir_file: Path, tmp_path: Path) -> None:
    proto, path, x = relu(), tmp_path / "relu.onnx", np.array([[1, -2, 3]] * 2, np.float32)
    onnx.save(proto, path)
    for model in (path.read_bytes(), proto, str(path)):
        np.testing.assert_array_equal(smartmem.compile(model, target="cpu")(x), x.clip(0))
    with ir.Context():
        module = ir.Module.parse(mlir_file.read_text())
        np.testing.assert_array_equal(smartmem.compile(module, target="cpu")(X), 2 * X.T)


def test_torch_module() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(8, 3), torch.nn.ReLU()).eval()
    compiled = smartmem.compile(model, inputs=(torch.from_numpy(X),), target="cpu")
    torch.testing.assert_close(compiled(torch.from_numpy(X)), model(torch.from_numpy(X)))
    assert compiled.report.model == "Sequential"


def test_ir_shows_every_stage_and_elides_parameters(
    compiled_attention: CompiledModel,
) -> None:
    compiled = compiled_attention
    assert tuple(compiled.ir) == IR_STAGES
    assert "smartmem.view" in compiled.ir["views"]
    assert "smartmem.group" in compiled.ir["classified"]
    assert "smartmem.view" not in compiled.ir["lowered"]
    weight_bytes = 16 * 16 * 4
    for text in compiled.ir.values():
        assert weight_bytes * 2 > len(max(text.split(), key=len)), "a hex blob is left"


def test_ir_is_not_kept_unless_wanted(mlir_file: Path) -> None:
    options = CompileOptions(keep_ir=False)
    assert smartmem.compile(mlir_file, target="cpu", options=options).ir == {}


def test_save_and_load(mlir_file: Path, tmp_path: Path) -> None:
    compiled = smartmem.compile(mlir_file, target="cpu")
    saved = tmp_path / "saved.vmfb"
    compiled.save(saved)
    assert [path.name for path in tmp_path.glob("*saved*")] == ["saved.vmfb"]
    names = [spec.name for spec in compiled.inputs]
    del compiled
    loaded = smartmem.load(saved)
    np.testing.assert_array_equal(loaded(X), 2 * X.T)
    assert [spec.name for spec in loaded.inputs] == names


def test_compiling_twice_gives_the_same_ir(onnx_file: Path, tmp_path: Path) -> None:
    # iree-compile itself leaves random names in modules for the CPU.
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        smartmem.compile(onnx_file, target="cpu", options=CompileOptions(save_temps=folder))
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


def test_compiling_twice_gives_the_same_module_for_a_gpu(mlir_file: Path) -> None:
    first, second = (smartmem.compile(mlir_file, target="adreno") for _ in range(2))
    assert first.path.read_bytes() == second.path.read_bytes()


def failing_at(level: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """``compile_bytecode`` that cannot do one optimization level."""

    def compile_bytecode(
        source: Path, target: Target, options: IreeOptions, **others: Any
    ) -> Any:
        if options.opt_level == level:
            raise CompileError("iree-compile failed: no such vector", "its log")
        return original(source, target, options, **others)

    return compile_bytecode


@pytest.mark.fallback
def test_falls_back_to_a_lower_level_where_iree_compile_fails(
    mlir_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = failing_at("O3", attempts.compile_bytecode)
    monkeypatch.setattr(attempts, "compile_bytecode", failing)
    compiled = smartmem.compile(mlir_file, target="cpu")
    assert compiled.report.opt_level == "O1"
    assert "anew at O1, because iree-compile failed: no such vector" in caplog.text
    np.testing.assert_array_equal(compiled(X), 2 * X.T)
    with pytest.raises(BackendError, match="no such vector"):
        smartmem.compile(mlir_file, target="cpu", options=CompileOptions(opt_level="O3"))


def test_temporary_files_go_away_with_the_model(mlir_file: Path) -> None:
    compiled = smartmem.compile(mlir_file, target="cpu")
    folder = compiled.path.parent
    assert [path.name for path in folder.iterdir()] == ["model.vmfb"]
    del compiled
    assert not folder.exists()


def test_compilation_continues_from_every_saved_stage(onnx_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "stages"
    options = CompileOptions(save_temps=folder)
    expected, _ = smartmem.compile(onnx_file, target="cpu", options=options)(TOKENS)
    files = sorted(folder.iterdir())
    assert [file.name[3:] for file in files] == [f"{stage}.mlirbc" for stage in IR_STAGES]
    for index, file in enumerate(files):
        again = smartmem.compile(file, target="cpu")
        stages = [stage.name for stage in again.report.stages]
        assert stages == [*IR_STAGES[index:], "vmfb"]
        np.testing.assert_allclose(again(TOKENS)[0], expected, rtol=1e-6)


def test_module_at_stops_at_a_stage(mlir_file: Path, tmp_path: Path) -> None:
    text = str(module_at(mlir_file, "views"))
    assert "smartmem.view" in text and "smartmem.group" not in text
    with pytest.raises(InvalidInputError, match="no stage 'parsed'; use one of input, "):
        module_at(mlir_file, "parsed")
    later = tmp_path / "later.mlir"
    later.write_text(str(module_at(mlir_file, "classified")))
    with pytest.raises(InvalidInputError, match="holds stage classified, which comes after"):
        module_at(later, "views")


def test_a_file_says_its_stage_itself_whatever_its_name(mlir_file: Path) -> None:
    """Of IR that comes from elsewhere no pass may be left out."""
    misleading = mlir_file.rename(mlir_file.with_name("01-layouts.mlir"))
    options = CompileOptions(save_temps=mlir_file.parent / "stages")
    compiled = smartmem.compile(misleading, target="cpu", options=options)
    assert [stage.name for stage in compiled.report.stages] == [*IR_STAGES, "vmfb"]
    saved = misleading.with_name("any.mlir")
    saved.write_text(str(module_at(misleading, "views")))
    assert 'smartmem.stage = "views"' in saved.read_text()
    again = smartmem.compile(saved, target="cpu")
    assert [stage.name for stage in again.report.stages] == [*IR_STAGES[1:], "vmfb"]
    saved.write_text(saved.read_text().replace('stage = "views"', 'stage = "parsed"'))
    with pytest.raises(
        InvalidInputError, match=r"smartmem\.stage = parsed, but there is no such"
    ):
        smartmem.compile(saved, target="cpu")


def test_module_at_is_that_of_the_target(tmp_path: Path) -> None:
    """Tile sizes are what a target's code generator knows; each has its own."""
    path = tmp_path / "layer.mlir"
    path.write_text(
        "func.func @main(%x: tensor<32x64xf32>, %w: tensor<64x64xf32>) -> tensor<32x64xf32> {\n"
        "  %c = arith.constant 0.0 : f32\n"
        "  %e = tensor.empty() : tensor<32x64xf32>\n"
        "  %z = linalg.fill ins(%c : f32) outs(%e : tensor<32x64xf32>) -> tensor<32x64xf32>\n"
        "  %0 = linalg.matmul ins(%x, %w : tensor<32x64xf32>, tensor<64x64xf32>)\n"
        "      outs(%z : tensor<32x64xf32>) -> tensor<32x64xf32>\n"
        "  return %0 : tensor<32x64xf32>\n}\n"
    )
    assert "#iree_cpu" in str(module_at(path, "lowered", target="cpu"))
    assert "#iree_cpu" not in str(module_at(path, "lowered", target="adreno"))


def test_progress_names_every_stage_once(mlir_file: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    options = CompileOptions(progress=lambda *told: seen.append(told))
    smartmem.compile(mlir_file, target="cpu", options=options)
    names = [*IR_STAGES, "vmfb", "done"]
    assert seen == [(name, index, len(names) - 1) for index, name in enumerate(names)]


def test_a_stage_is_timed_and_can_be_extended() -> None:
    recorder = StageRecorder(["only"], CompileOptions())
    with recorder.stage("only", "smartmem"):
        pass
    before = recorder.records[0].seconds
    with recorder.extend():
        pass
    assert recorder.records[0].seconds > before > 0


def test_compiling_needs_no_device_but_running_does(mlir_file: Path, tmp_path: Path) -> None:
    compiled = smartmem.compile(mlir_file, target="adreno")
    compiled.save(tmp_path / "adreno.vmfb")
    with pytest.raises(TargetError):
        compiled(X)


def test_benchmark_measures_each_repetition(mlir_file: Path) -> None:
    times = smartmem.compile(mlir_file, target="cpu").benchmark(repetitions=4, warmup=1)
    assert len(times.seconds) == 4
    assert 0 < times.min <= times.median <= times.max


def test_options_reach_iree_compile(mlir_file: Path) -> None:
    options = CompileOptions(iree_flags=("--no-such-flag",))
    with pytest.raises(BackendError, match="no-such-flag"):
        smartmem.compile(mlir_file, target="cpu", options=options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"opt_level": "O9"}, "'O9' is unknown; use one of O0, O1, O2, O3"),
        ({"timeout_s": 0}, "0 s is not positive"),
        ({"timeout_s": float("nan")}, "nan s is not positive"),
    ],
)
def test_bad_options_are_refused_at_once(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        CompileOptions(**values)


def test_package_exports_what_it_says() -> None:
    for name in smartmem.__all__:
        assert getattr(smartmem, name) is not None
    assert set(smartmem.__all__) <= set(dir(smartmem))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = smartmem.nothing


@pytest.mark.skipif("avx2" not in (host_cpu().features or ()), reason="no AVX2 here")
def test_a_narrower_cpu_computes_the_same(onnx_file: Path) -> None:
    expected = attention(onnx.load(onnx_file), TOKENS)
    for target in ("cpu:x86-64", "cpu:x86-64-v3"):
        for want, got in zip(
            expected, smartmem.compile(onnx_file, target=target)(TOKENS), strict=True
        ):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
