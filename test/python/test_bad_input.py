"""Bad input: one message that says what, where and what to do; exit 1; nothing left over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import smartmem
from smartmem.compiler import CompiledModel
from smartmem.errors import (
    BackendError,
    InvalidInputError,
    SmartMemError,
    TargetError,
    UnsupportedError,
)
from smartmem.options import CompileOptions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

NO_VULKAN = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}


def fails(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Checks that a command failed with one message that holds every one of ``parts``."""
    assert done.returncode == 1, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for part in parts:
        assert part in lines[0], (part, lines[0])


def relu(dtype: int = TensorProto.FLOAT, op: str = "Relu") -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], name="the_node")],
        "one",
        [helper.make_tensor_value_info("x", dtype, [2, 3])],
        [helper.make_tensor_value_info("y", dtype, [2, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


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
    fails(done, "within the time limit of 0.01 s", "--timeout")
    assert not mlir_file.with_suffix(".vmfb").exists()
    with pytest.raises(BackendError, match=r"time limit of 0\.01 s"):
        smartmem.compile(mlir_file, target="cpu", options=CompileOptions(timeout_s=0.01))


def test_bad_options(cli: Cli, mlir_file: Path) -> None:
    fails(cli("compile", mlir_file, "-O", "9"), "'O9'", "O0, O1, O2, O3")
    fails(cli("compile", mlir_file, "--timeout", "-1"), "-1.0 s is not positive")
    fails(cli("compile", mlir_file, "--emit", "spam"), "'spam'", "input, views")
    fails(cli("check", mlir_file, "-t", "cpu", "--tolerance", "nan"), "tolerance nan")
    fails(cli("benchmark", mlir_file, "-t", "cpu", "--repetitions", "0"), "1 repetition")


# Output that cannot be written.


def test_full_disk(cli: Cli, mlir_file: Path) -> None:
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", "/dev/full"), "/dev/full", "No space")
    assert Path("/dev/full").is_char_device()
    fails(cli("run", mlir_file, "-t", "cpu", "-q", "-o", "/dev/full"), "/dev/full", "No space")
    emitted = cli("compile", mlir_file, "--emit", "views", "-o", "/dev/full")
    fails(emitted, "/dev/full", "No space")


def test_full_disk_behind_stdout(mlir_file: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [Path(sys.executable).parent / "smartmem", "targets"],
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    fails(done, "cannot write to standard output", "No space")


def test_unwritable_places(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    fails(cli("compile", mlir_file, "-o", "absent/m.vmfb"), "no folder absent", "create it")
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", tmp_path), "it is a folder")
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", "/proc/m.vmfb"), "/proc/m.vmfb")
    (tmp_path / "file").touch()
    done = cli("compile", mlir_file, "-t", "cpu", "--save-temps", "file/inside")
    fails(done, "cannot create the folder file/inside")
    done = cli("compile", mlir_file, "-t", "cpu", "--report", "absent/report.json")
    fails(done, "no folder absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model.mlir"]


def test_full_disk_for_temporary_files(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        full = cli("compile", onnx_file, "-t", "cpu", env={"TMPDIR": str(disk)})
        there = cli("compile", onnx_file, "-t", "cpu", "-o", disk / "m.vmfb")
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
    fails(full, str(disk), "No space left", "free some")
    fails(there, str(disk / "m.vmfb"), "No space left", "free some")
    assert left == []


def test_output_of_another_type_is_kept(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    content = onnx_file.read_bytes()
    fails(cli("compile", onnx_file, "-o", onnx_file), "is the input itself")
    other = tmp_path / "other.onnx"
    other.write_bytes(content)
    fails(cli("compile", onnx_file, "-o", other), "other.onnx exists and is an ONNX model")
    fails(cli("run", onnx_file, "-o", other), "other.onnx exists and is an ONNX model")
    fails(cli("compile", onnx_file, "--report", other), "other.onnx exists")
    assert onnx_file.read_bytes() == other.read_bytes() == content


def test_failed_compilation_keeps_the_old_output(cli: Cli, mlir_file: Path) -> None:
    module = mlir_file.with_suffix(".vmfb")
    module.write_bytes(b"old")
    fails(cli("compile", mlir_file, "-t", "cpu", "--iree-flag=--no-such-flag"), "no-such-flag")
    assert module.read_bytes() == b"old"
    assert cli("compile", mlir_file, "-t", "cpu").returncode == 0
    assert module.read_bytes() != b"old"


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


# Names and streams.


@pytest.fixture(scope="module")
def full() -> Iterator[int]:
    """A stream whose disk is full."""
    stream = os.open("/dev/full", os.O_WRONLY)
    yield stream
    os.close(stream)


TOOLS = [
    ["smartmem.tools.cli", "--help"],
    ["smartmem.tools.cli", "compile", "--help"],
    ["smartmem", "--version"],
    ["smartmem.tools.cli", "targets"],
]


@pytest.mark.parametrize("arguments", TOOLS)
def test_a_full_disk_behind_any_output(arguments: list[str], full: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=full,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    said = "error: cannot write to standard output: No space left on device; redirect it"
    assert (done.returncode, done.stderr) == (1, f"{said} elsewhere\n")


def test_closed_streams(mlir_file: Path) -> None:
    shell = 'exec "$0" -m smartmem.tools.cli "$@" >&-'
    for arguments in (["compile", mlir_file, "-t", "cpu", "-o", "-"], ["targets"]):
        done = subprocess.run(
            ["sh", "-c", shell, sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: standard output is closed; ")
        assert done.stderr.count("\n") == 1
    quiet = subprocess.run(
        ["sh", "-c", shell.replace(">&-", "2>&-"), sys.executable, "info", "absent.onnx"],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (quiet.returncode, quiet.stdout) == (1, b"")


def test_names_that_are_no_text(cli: Cli, mlir_file: Path, onnx_file: Path) -> None:
    odd = mlir_file.with_name(os.fsdecode(b"m\xff.mlir"))
    mlir_file.rename(odd)
    done = cli("compile", odd, "-t", "cpu", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    module = odd.with_suffix(".vmfb")
    done = cli("run", module)
    assert done.returncode == 0 and done.stdout.startswith("output: float32[8, 4]")
    assert cli("bundle", module, "-o", "bundle").returncode == 0
    assert "# m\\xff for cpu" in (odd.parent / "bundle/README.md").read_text()
    onnx_odd = odd.with_suffix(".onnx")
    onnx_file.rename(onnx_odd)
    fails(cli("compile", onnx_odd), "m\\xff.onnx is not UTF-8", "rename the file")


def test_accents_where_the_locale_knows_none(cli: Cli, mlir_file: Path) -> None:
    accented = mlir_file.with_name("modèle.mlir")
    mlir_file.rename(accented)
    done = cli("compile", accented, "-t", "cpu", env={"LC_ALL": "C", "LANG": "C"})
    assert done.returncode == 0, done.stderr
    assert accented.with_suffix(".vmfb").is_file()


def test_foreign_files_are_kept(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    library, settings = tmp_path / "lib.so", tmp_path / "package.json"
    library.write_bytes(b"\x7fELF" + bytes(100))
    settings.write_text('{"name": "app"}')
    fails(
        cli("compile", mlir_file, "-o", library), "lib.so exists and is not a compiled module"
    )
    fails(
        cli("compile", mlir_file, "-t", "cpu", "--report", settings),
        "package.json exists and is not JSON of SmartMem's",
    )
    fails(cli("run", mlir_file, "-o", library), "lib.so exists and is not NumPy arrays")
    assert library.read_bytes() == b"\x7fELF" + bytes(100)
    assert settings.read_text() == '{"name": "app"}'
    for _ in range(2):  # what a tool wrote, it replaces
        done = cli("compile", mlir_file, "-t", "cpu", "-o", "model.bin", "--report", "r.json")
        assert done.returncode == 0, done.stderr


def test_huge_tensors_are_refused(cli: Cli, tmp_path: Path) -> None:
    text = """func.func @main(%x: tensor<1000000x1000000xf32>) -> tensor<1000000x1000000xf32> {
      %r = arith.addf %x, %x : tensor<1000000x1000000xf32>
      return %r : tensor<1000000x1000000xf32>
    }"""
    (tmp_path / "huge.mlir").write_text(text)
    done = cli("compile", "huge.mlir", "-t", "cpu", "-o", "huge.vmfb")
    assert done.returncode == 0, done.stderr
    for command in ("run", "benchmark", "bundle"):
        fails(cli(command, "huge.vmfb"), "e+03 GB", "use smaller shapes")
    fails(cli("check", "huge.mlir", "-t", "cpu"), "e+03 GB", "use smaller shapes")
    assert not (tmp_path / "huge-bundle").exists()
