"""Bad input: one message that says what, where and what to do; exit 1; nothing left over."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from refusals import Cli, fails, relu

import smartmem
from smartmem.compiler.compile import CompiledModel
from smartmem.errors import (
    InvalidInputError,
    SmartMemError,
    TargetError,
    UnsupportedError,
)
from smartmem.options import CompileOptions

NO_VULKAN = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    path = tmp_path_factory.mktemp("relu") / "relu.onnx"
    onnx.save(relu(), path)
    return smartmem.compile(path, target="cpu")


# Files that are no models.


@pytest.mark.parametrize("command", ["compile", "run", "check", "info", "benchmark"])
def test_missing_file(cli: Cli, command: str, tmp_path: Path) -> None:
    fails(cli(command, "absent.onnx", "-t", "cpu"), "absent.onnx", "No such file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".onnx", ".mlir", ".mlirbc", ".pt2"])
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    with pytest.raises(InvalidInputError, match=f"{path.name} is an empty file"):
        smartmem.compile(path, target="cpu")


def test_directory(cli: Cli, tmp_path: Path) -> None:
    fails(cli("compile", tmp_path, "-t", "cpu"), str(tmp_path), "directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(cli: Cli, onnx_file: Path) -> None:
    onnx_file.chmod(0)
    fails(cli("compile", onnx_file, "-t", "cpu"), str(onnx_file), "Permission denied")


@pytest.mark.parametrize("name", ["noise.onnx", "noise.mlirbc", "noise.pt2", "noise.xyz"])
def test_not_a_model(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 4)
    fails(cli("compile", name, "-t", "cpu"), name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_text_that_is_not_a_model(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk.\n")
    fails(cli("compile", "notes.txt", "-t", "cpu"), "notes.txt:1:1")


def test_module_that_is_not_one(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "noise.vmfb").write_bytes(bytes(range(256)) * 4)
    for command in ("run", "info", "benchmark"):
        fails(cli(command, "noise.vmfb"), "noise.vmfb is not a compiled module")


def test_module_where_a_model_is_wanted(cli: Cli, mlir_file: Path) -> None:
    module = mlir_file.with_suffix(".vmfb")
    smartmem.compile(mlir_file, target="cpu").save(module)
    for command in ("compile", "check"):
        fails(cli(command, module, "-t", "cpu", "-q"), "compiled already", "smartmem run")


def test_truncated_module(cli: Cli, tmp_path: Path, compiled: CompiledModel) -> None:
    content = compiled.path.read_bytes()
    (tmp_path / "cut.vmfb").write_bytes(content[: len(content) // 2])
    fails(cli("run", "cut.vmfb"), "cut.vmfb")


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_truncated_onnx(cli: Cli, onnx_file: Path, kept: float) -> None:
    content = onnx_file.read_bytes()
    onnx_file.write_bytes(content[: int(len(content) * kept)])
    fails(cli("compile", onnx_file, "-t", "cpu"), str(onnx_file))
    assert not onnx_file.with_suffix(".vmfb").exists()


# Models that cannot be compiled.


def test_unsupported_operator(cli: Cli, tmp_path: Path) -> None:
    onnx.save(relu(op="NoSuchOperator"), tmp_path / "odd.onnx")
    fails(cli("compile", "odd.onnx", "-t", "cpu"), "NoSuchOperator")
    with pytest.raises(UnsupportedError):
        smartmem.compile(tmp_path / "odd.onnx", target="cpu")


def test_unsupported_dtype(cli: Cli, tmp_path: Path) -> None:
    onnx.save(relu(TensorProto.STRING, "Identity"), tmp_path / "text.onnx")
    fails(cli("compile", "text.onnx", "-t", "cpu"), "x has elements of type STRING")


def test_unsupported_dialect(tmp_path: Path) -> None:
    path = tmp_path / "odd.mlir"
    path.write_text(
        "func.func @main(%m: memref<4xf32>, %x: tensor<4xf32>) -> tensor<4xf32> {\n"
        "  return %x : tensor<4xf32>\n}"
    )
    with pytest.raises(SmartMemError, match="memref"):
        smartmem.compile(path, target="cpu")


def test_broken_ir_is_located(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "broken.mlir").write_text(
        "func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {\n"
        "  %0 = arith.addf %a, %b : tensor<4xf32>\n  return %0 : tensor<4xf32>\n}"
    )
    fails(
        cli("compile", "broken.mlir", "-t", "cpu"),
        "broken.mlir:2:23: use of undeclared SSA value",
    )


def test_ir_that_breaks_a_rule_of_the_dialect(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "outside.mlir").write_text(
        "func.func @main(%a: tensor<4xf32>) -> tensor<8xf32> {\n"
        '  %0 = "smartmem.view"(%a) {map = affine_map<(d0) -> (d0)>}'
        " : (tensor<4xf32>) -> tensor<8xf32>\n  return %0 : tensor<8xf32>\n}"
    )
    fails(cli("compile", "outside.mlir", "-t", "cpu"), "outside.mlir:2:8", "smartmem.view")


# Inputs that do not fit.


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "takes 1 inputs, 0 were given"),
        ([np.ones((2, 3), np.float32)] * 2, "takes 1 inputs, 2 were given"),
        ([np.ones((3, 2), np.float32)], r"x has shape \[3, 2\], the module takes \[2, 3\]"),
        ([np.ones((2, 3))], "x has dtype float64, the module takes float32"),
        ([[[1, 2, 3], [4, 5]]], "x is not an array"),
        (["text"], "x"),
        ([None], "x is a NoneType"),
    ],
)
def test_wrong_inputs(compiled: CompiledModel, arrays: list[object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        compiled(*arrays)


def test_wrong_names(compiled: CompiledModel) -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(InvalidInputError, match="no input y; the model's inputs are x"):
        compiled.run({"x": x, "y": x})
    with pytest.raises(InvalidInputError, match="input x is missing"):
        compiled.run({})


def test_wrong_input_files(cli: Cli, tmp_path: Path, compiled: CompiledModel) -> None:
    compiled.save(tmp_path / "m.vmfb")
    np.save(tmp_path / "wide.npy", np.ones((2, 3)))
    np.savez(tmp_path / "named.npz", z=np.ones((2, 3), np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "named.npz").read_bytes()[:40])
    (tmp_path / "noise.npy").write_bytes(b"noise")
    (tmp_path / "empty.npy").touch()
    fails(cli("run", "m.vmfb", "-i", "wide.npy"), "dtype float64", "astype")
    fails(cli("run", "m.vmfb", "-i", "named.npz"), "input x is missing")
    for name in ("objects.npy", "cut.npz", "noise.npy", "empty.npy"):
        fails(cli("run", "m.vmfb", "-i", name), f"{name} is not a NumPy file", "numpy.save")
    fails(cli("run", "m.vmfb", "-i", "absent.npy"), "absent.npy", "No such file")


def test_bad_shapes(cli: Cli, onnx_file: Path) -> None:
    fails(cli("compile", onnx_file, "--input-shape", "x=2,8,16"), "NAME=1x3x224x224")
    fails(cli("compile", onnx_file, "-t", "cpu", "--input-shape", "x=9x9x9"), "x")
    fails(cli("compile", onnx_file, "-t", "cpu", "--input-shape", "q=2x8x16"), "q")


# Targets and devices.


def test_unknown_target(cli: Cli, mlir_file: Path) -> None:
    fails(cli("compile", mlir_file, "-t", "adrenno"), "'adrenno'", "adreno", "smartmem targets")
    fails(cli("compile", mlir_file, "-t", "absent.json"), "absent.json", "No such file")
    (mlir_file.parent / "odd.json").write_text("[]")
    fails(cli("compile", mlir_file, "-t", "odd.json"), "odd.json is not a target file")


def test_no_vulkan_device(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    for command in ("compile", "check", "run"):
        done = cli(command, mlir_file, "-t", "vulkan", env=NO_VULKAN)
        fails(done, "no Vulkan device", "cpu")
    smartmem.compile(mlir_file, target="adreno").save(tmp_path / "adreno.vmfb")
    fails(cli("run", "adreno.vmfb", env=NO_VULKAN), "no Vulkan device")
    fails(cli("run", mlir_file, "--device", "vulkan", env=NO_VULKAN), "no Vulkan device")


def test_auto_needs_no_vulkan_device(cli: Cli, mlir_file: Path) -> None:
    done = cli("run", mlir_file, env=NO_VULKAN)
    assert done.returncode == 0 and "CPU" in done.stderr


def test_module_for_another_device(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    smartmem.compile(mlir_file, target="cpu").save(tmp_path / "cpu.vmfb")
    fails(cli("run", "cpu.vmfb", "--device", "vulkan"), "target cpu", "compile it for")
    fails(cli("run", "cpu.vmfb", "--device", "gpu9"), "unknown device 'gpu9'")
    fails(cli("run", mlir_file, "-t", "cpu", "--device", "vulkan"), "target cpu")
    fails(cli("run", mlir_file, "--device", "gpu9"), "unknown target 'gpu9'")


# iree-compile.


def test_iree_compile_fails(cli: Cli, mlir_file: Path) -> None:
    done = cli("compile", mlir_file, "-t", "cpu", "--iree-flag=--no-such-flag")
    fails(
        done, "iree-compile for target cpu failed", "--no-such-flag", "correct the extra flags"
    )
    assert not mlir_file.with_suffix(".vmfb").exists()


def test_the_time_limit_is_over(cli: Cli, mlir_file: Path) -> None:
    done = cli("compile", mlir_file, "-t", "cpu", "--timeout", "0.01")
    # A slow machine takes it all for the passes, a quick one for iree-compile.
    fails(done, "the time limit of 0.01 s", "--timeout")
    assert not mlir_file.with_suffix(".vmfb").exists()
    with pytest.raises(SmartMemError, match=r"time limit of 0\.01 s"):
        smartmem.compile(mlir_file, target="cpu", options=CompileOptions(timeout_s=0.01))


def test_bad_options(cli: Cli, mlir_file: Path) -> None:
    fails(cli("compile", mlir_file, "-O", "9"), "'O9'", "O0, O1, O2, O3")
    fails(cli("compile", mlir_file, "--timeout", "-1"), "-1.0 s is not positive")
    fails(cli("compile", mlir_file, "--emit", "spam"), "'spam'", "input, views")
    fails(cli("check", mlir_file, "-t", "cpu", "--tolerance", "nan"), "tolerance nan")
    fails(cli("benchmark", mlir_file, "-t", "cpu", "--repetitions", "0"), "1 repetition")


# Messages.


def test_verbose_shows_the_traceback(cli: Cli) -> None:
    done = cli("compile", "absent.onnx", "-t", "cpu", "-v")
    assert done.returncode == 1 and "Traceback" in done.stderr
    assert re.search(r"^error: cannot read the model absent.onnx", done.stderr, re.MULTILINE)


@pytest.mark.fallback
def test_verbose_shows_the_log_of_iree_compile(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "calls_what_is_not_there.mlir"
    path.write_text("""
func.func private @absent(tensor<4xf32>) -> tensor<4xf32>
func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {
  %r = call @absent(%a) : (tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
""")
    fails(cli("compile", path, "-t", "cpu"), "got unscoped `@absent`")
    done = cli("compile", path, "-t", "cpu", "-v")
    assert done.returncode == 1 and "note: " in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: iree-compile for target cpu failed")


def test_a_wrong_command_line_ends_with_2(cli: Cli) -> None:
    for arguments in (["compile"], ["compile", "--no-such-option", "x"], ["unknown"]):
        done = cli(*arguments)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert done.stdout == ""


def test_api_raises_what_the_tool_prints(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read the model"):
        smartmem.compile(tmp_path / "absent.onnx", target="cpu")
    with pytest.raises(TargetError, match="unknown target 'nowhere'"):
        smartmem.compile(tmp_path / "absent.onnx", target="nowhere")
    with pytest.raises(InvalidInputError, match="cannot import a int"):
        smartmem.compile(3, target="cpu")
    with pytest.raises(InvalidInputError, match=r"absent\.vmfb"):
        smartmem.load(tmp_path / "absent.vmfb")
    with pytest.raises(InvalidInputError, match="cannot write"):
        smartmem.compile(relu(), target="cpu").save(tmp_path / "absent" / "m.vmfb")
