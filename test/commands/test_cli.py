"""The ``smartmem`` command: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from interpreting import run as run_in_interpreter
from onnx.reference import ReferenceEvaluator

import smartmem
from smartmem.backend.device.devices import usable_devices
from smartmem.backend.iree_compile.tool import iree_compile_path
from smartmem.compiler.compile import IR_STAGES
from smartmem.errors import InvalidInputError
from smartmem.report.report import SCHEMA_VERSION
from smartmem.tools.cli_settings import parse_shapes

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").stdout == f"smartmem {smartmem.__version__}\n"
    shown = cli("--help").stdout
    commands = (
        "compile", "info", "run", "check", "benchmark", "tune", "targets", "device", "bundle",
        "demo", "report", "doctor", "profile", "explore",
    )  # fmt: skip
    assert all(command in shown for command in commands)
    for command in commands:
        assert cli(command, "--help").returncode == 0


def test_shells_complete_options(cli: Cli) -> None:
    typed = {"COMP_WORDS": "smartmem compile --strict", "COMP_CWORD": "2"}
    completed = cli(env={**typed, "_SMARTMEM_COMPLETE": "complete_bash"}).stdout
    assert completed.split() == ["--strict"]


def test_compile_writes_beside_the_model_and_tells_the_cost(cli: Cli, mlir_file: Path) -> None:
    done = cli("compile", mlir_file, "--target", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    module = mlir_file.with_suffix(".vmfb")
    lines = done.stderr.splitlines()
    assert lines[0] == f"wrote {module} for target cpu at O3; kernels: 1"
    assert lines[1].startswith("wall time ") and "iree-compile" in lines[1]
    assert lines[2].startswith("peak memory: smartmem ") and "MiB" in lines[2]
    x = np.ones((4, 8), np.float32)
    np.testing.assert_array_equal(smartmem.load(module)(x), np.full((8, 4), 2.0))


def test_quiet_says_nothing(cli: Cli, mlir_file: Path) -> None:
    done = cli("compile", mlir_file, "-t", "cpu", "-o", "out.vmfb", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_compile_with_report_and_check(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    done = cli("compile", onnx_file, "-t", "cpu", "--check", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    assert "output y     error " in done.stderr and " ok" in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["model"] == "attention.onnx"
    assert (tmp_path / "attention.vmfb").exists()


def test_compile_checked_past_its_tolerance_writes_nothing(
    cli: Cli, onnx_file: Path, tmp_path: Path
) -> None:
    done = cli("compile", onnx_file, "-t", "cpu", "--check", "--tolerance", "0")
    assert done.returncode == 1
    assert "error: output y is off by " in done.stderr
    assert not (tmp_path / "attention.vmfb").exists()


def test_emit_writes_ir_that_computes_the_same(cli: Cli, onnx_file: Path) -> None:
    """That each stage compiles is shown with --save-temps."""
    x = np.random.default_rng(2).standard_normal((2, 8, 16)).astype(np.float32)
    expected = ReferenceEvaluator(onnx.load(onnx_file)).run(None, {"x": x})
    for stage in IR_STAGES:
        assert cli("compile", onnx_file, "--emit", stage, "-q").returncode == 0
        text = onnx_file.with_name(f"attention.{stage}.mlir").read_text()
        for want, got in zip(expected, run_in_interpreter(text, x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_emit_to_stdout_and_bytecode(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    full = cli("compile", onnx_file, "--emit", "views", "-o", "-").stdout
    short = cli("compile", onnx_file, "--emit", "views", "-o", "-", "--elide").stdout
    assert "smartmem.view" in short and len(short) + 2 * 1024 < len(full)
    assert cli("compile", onnx_file, "--emit", "views", "-o", "v.mlirbc").returncode == 0
    assert (tmp_path / "v.mlirbc").read_bytes().startswith(b"ML\xefR")


def test_save_temps_and_continue(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    assert cli("compile", mlir_file, "-t", "cpu", "--save-temps", "stages").returncode == 0
    last = max((tmp_path / "stages").iterdir())
    done = cli("run", last, "-t", "cpu")
    assert done.returncode == 0 and done.stdout.startswith("output: float32[8, 4]")


def test_module_on_stdout(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "smartmem.tools.cli", "compile", mlir_file]
    with (tmp_path / "piped.vmfb").open("wb") as out:
        subprocess.run([*command, "-t", "cpu", "-o", "-"], stdout=out, check=True)
    assert smartmem.load(tmp_path / "piped.vmfb").outputs[0].shape == (8, 4)


def test_run_reads_and_writes_arrays(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((2, 8, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "named.npz", x=x)
    np.savez(tmp_path / "positional.npz", x)
    expected = ReferenceEvaluator(onnx.load(onnx_file)).run(None, {"x": x})[0]
    assert cli("compile", onnx_file, "-t", "cpu", "-o", "a.vmfb").returncode == 0
    for file in ("x.npy", "named.npz", "positional.npz"):
        done = cli("run", "a.vmfb", "--input", file, "--output", "out.npz")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].startswith("y: float32[2, 4, 8, 4]  min ")
        assert "random" not in done.stderr
        with np.load(tmp_path / "out.npz") as outputs:
            assert sorted(outputs) == ["mean", "y"]
            np.testing.assert_allclose(outputs["y"], expected, rtol=1e-5, atol=1e-6)


def test_random_inputs_follow_the_seed(cli: Cli, mlir_file: Path) -> None:
    smartmem.compile(mlir_file, target="cpu").save(mlir_file.with_suffix(".vmfb"))
    runs = [cli("run", "model.vmfb", "--seed", seed) for seed in ("1", "1", "2")]
    assert runs[0].stdout == runs[1].stdout != runs[2].stdout
    assert "inputs are random with seed 1" in runs[0].stderr


def test_check_prints_the_error_and_the_tolerance(cli: Cli, onnx_file: Path) -> None:
    done = cli("check", onnx_file, "-t", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("tolerance 1e-04  ok")


def test_check_past_the_tolerance_ends_with_1(cli: Cli, onnx_file: Path) -> None:
    done = cli("check", onnx_file, "-t", "cpu", "--tolerance", "0", "--json")
    assert done.returncode == 1
    values = json.loads(done.stdout)
    assert values["ok"] is False
    assert [output["name"] for output in values["outputs"]] == ["y", "mean"]
    assert "error: output y is off by " in done.stderr and "Traceback" not in done.stderr


@pytest.mark.vulkan
def test_check_on_a_vulkan_device(cli: Cli, onnx_file: Path) -> None:
    done = cli("check", onnx_file, "-t", "vulkan")
    assert done.returncode == 0, done.stderr
    assert usable_devices()[0].name in done.stdout


def test_info_of_a_model_and_of_a_module(cli: Cli, onnx_file: Path) -> None:
    text = cli("info", onnx_file, "-t", "cpu").stdout
    assert "only data movement" in text and "ild_variable" in text
    values = json.loads(cli("info", onnx_file, "-t", "cpu", "--json").stdout)
    assert values["schema_version"] == SCHEMA_VERSION and values["movement_kernels"] is not None
    assert cli("compile", onnx_file, "-t", "adreno", "-O", "1", "-o", "a.vmfb").returncode == 0
    module = json.loads(cli("info", "a.vmfb", "--json").stdout)
    assert module["target"] == "adreno" and module["inputs"] == ["x: float32[2, 8, 16]"]
    assert module["requirements"]["subgroup_size"] == 64
    assert "subgroup_size 64" in cli("info", "a.vmfb").stdout


def test_benchmark(cli: Cli, mlir_file: Path) -> None:
    assert cli("compile", mlir_file, "-t", "cpu", "-o", "m.vmfb").returncode == 0
    values = cli("benchmark", "m.vmfb", "--repetitions", "3", "--json").stdout
    assert len(json.loads(values)["seconds"]) == 3
    assert cli("benchmark", mlir_file, "-t", "cpu").stdout.startswith("median ")


def test_json_of_a_run_and_what_a_model_is_called(cli: Cli, mlir_file: Path) -> None:
    compiled = smartmem.compile(mlir_file, target="cpu")
    assert repr(compiled).startswith("<CompiledModel model.mlir for cpu: (")
    assert repr(compiled).endswith("float32[4, 8]) -> (output: float32[8, 4])>")
    compiled.save(mlir_file.with_suffix(".vmfb"))
    values = json.loads(cli("run", "model.vmfb", "--json").stdout)
    (output,) = values["outputs"]
    assert (output["shape"], output["dtype"], len(output["first"])) == ([8, 4], "float32", 4)
    times = json.loads(cli("benchmark", "model.vmfb", "--json").stdout)
    assert times["min"] <= times["median"] <= times["p90"] <= times["p99"] <= times["max"]
    assert times["p99"] == np.percentile(times["seconds"], 99)


def test_targets_lists_and_shows(cli: Cli) -> None:
    listed = cli("targets").stdout
    assert all(f" {name} " in listed for name in ("cpu", "adreno", "valhall4"))
    names = [target["name"] for target in json.loads(cli("targets", "--json").stdout)]
    assert names[0] == "cpu" and "adreno" in names
    assert "subgroup_size: 64" in cli("targets", "adreno").stdout
    flags = json.loads(cli("targets", "adreno", "--json").stdout)["iree_flags"]
    assert "--iree-vulkan-target=adreno" in flags


@pytest.mark.vulkan
def test_targets_saves_a_file_to_compile_for(cli: Cli, mlir_file: Path) -> None:
    assert cli("targets", "vulkan", "--save", "device.json").returncode == 0
    done = cli("run", mlir_file, "--target", "device.json")
    assert done.returncode == 0 and usable_devices()[0].name in done.stderr


def test_targets_cannot_save_a_name(cli: Cli, tmp_path: Path) -> None:
    done = cli("targets", "adreno", "--save", "adreno.json")
    assert done.returncode == 1 and "its properties are not known" in done.stderr
    assert not (tmp_path / "adreno.json").exists()


def test_demo_prints_one_table(cli: Cli, onnx_file: Path) -> None:
    done = cli("demo", onnx_file, "--repetitions", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "attention.onnx by SmartMem"
    rows = {line[:40].rsplit("  ", 1)[0].strip() for line in lines[2:]}
    wanted = ("operations ild_variable", "kernels", "latency (median)", "compile time")
    for name in wanted:
        assert any(row.startswith(name) for row in rows), (name, rows)
    assert "error against ONNX" in done.stdout


def test_progress_bar_only_where_it_is_wanted(cli: Cli, mlir_file: Path) -> None:
    quiet = cli("compile", mlir_file, "-t", "cpu", "-o", "a.vmfb").stderr
    forced = cli("compile", mlir_file, "-t", "cpu", "-o", "a.vmfb", "--progress").stderr
    assert "\x1b[" not in quiet and "model.mlir: " in forced and "\x1b[" in forced


def test_progress_bar_on_a_terminal(mlir_file: Path) -> None:
    shown, terminal = pty.openpty()
    command = [sys.executable, "-m", "smartmem.tools.cli", "compile", str(mlir_file)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([*command, "-t", "cpu"], stderr=terminal, env=environment)
    os.close(terminal)
    text = b"".join(iter(lambda: _read_terminal(shown), b""))
    os.close(shown)
    assert process.wait() == 0 and b"model.mlir: vmfb" in text


def _read_terminal(shown: int) -> bytes:
    """What comes next; nothing at its end, which Linux tells as an error."""
    try:
        return os.read(shown, 1 << 12)
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("command", "number", "message"),
    [
        (["compile"], signal.SIGINT, "interrupted"),
        (["compile"], signal.SIGHUP, "ended by SIGHUP"),
        (["check"], signal.SIGTERM, "ended by SIGTERM"),
        (["tune", "--minutes", "9"], signal.SIGTERM, "ended by SIGTERM"),
        (["tune", "--minutes", "9"], signal.SIGINT, "interrupted"),
    ],
)
def test_a_signal_ends_the_compiler_and_leaves_nothing(
    mlir_file: Path, tmp_path: Path, command: list[str], number: signal.Signals, message: str
) -> None:
    process, compiler = in_slow_compiler(tmp_path, [*command, str(mlir_file), "-t", "cpu"])
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (128 + number, f"{message}\n")
    assert not is_running(compiler)
    assert {file.name for file in tmp_path.iterdir()} - {"model.tuning.json"} == {
        *("model.mlir", "scratch", "started", "iree-compile")
    }
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the children")
def test_killed_it_takes_the_compiler_along(mlir_file: Path, tmp_path: Path) -> None:
    process, compiler = in_slow_compiler(tmp_path, ["compile", str(mlir_file), "-t", "cpu"])
    process.kill()
    process.communicate(timeout=120)
    deadline = time.monotonic() + 60
    while is_running(compiler) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(compiler)


def test_a_signal_that_is_ignored_stays_so(mlir_file: Path, tmp_path: Path) -> None:
    """As under nohup."""
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    command = ["compile", str(mlir_file), "-t", "cpu"]
    process, _ = in_slow_compiler(tmp_path, command, ignore)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 128 + signal.SIGTERM
    process.communicate()


def in_slow_compiler(
    folder: Path, command: list[str], before: str = ""
) -> tuple[subprocess.Popen[str], int]:
    """The command line at work in an iree-compile that hangs, and the number of that process."""
    started, scratch = folder / "started", folder / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", before + slow_compiler(folder, started), *command],
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, int(started.read_text().split()[0])


def is_running(process: int) -> bool:
    """Also false for what is dead and waits to be waited for."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "zombie" not in status.read_text()


def slow_compiler(folder: Path, started: Path) -> str:
    """Python text: the command line with an iree-compile that hangs on every real module."""
    fake = folder / "iree-compile"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = - ] && exec {iree_compile_path()} "$@"\n'
        f"echo $$ >> {started}\nexec sleep 60\n"
    )
    fake.chmod(0o755)
    return (
        "from pathlib import Path\n"
        "from smartmem.backend.iree_compile import tool\nfrom smartmem.tools import cli\n"
        f"tool.iree_compile_path = lambda: Path({str(fake)!r})\n"
        "cli.main()\n"
    )


def test_a_closed_pipe_is_no_traceback(mlir_file: Path) -> None:
    command = [sys.executable, "-m", "smartmem.tools.cli", "targets"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 1 and stderr == b""


def test_shapes_are_parsed() -> None:
    assert parse_shapes(["x=1x3x8", "a=b=2"]) == {"x": (1, 3, 8), "a=b": (2,)}
    for text in ("x", "x=", "=1x2", "x=1x-1", "x=1x0", "x=axb", "x=1,2"):
        with pytest.raises(InvalidInputError, match="NAME=1x3x224x224"):
            parse_shapes([text])


def test_input_shape_fixes_an_open_dimension(cli: Cli, tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    float_ = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "relu",
        [onnx.helper.make_tensor_value_info("x", float_, ["batch", 3])],
        [onnx.helper.make_tensor_value_info("y", float_, ["batch", 3])],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset]), tmp_path / "open.onnx")
    refused = cli("run", "open.onnx", "-t", "cpu")
    assert refused.returncode == 1 and "x" in refused.stderr
    done = cli("run", "open.onnx", "-t", "cpu", "--input-shape", "x=5x3")
    assert done.returncode == 0 and done.stdout.startswith("y: float32[5, 3]")
