"""iree-compile as a child process, and what is counted in its output."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from smartmem.backend.iree_compile import tool
from smartmem.backend.iree_compile.compile import compile_bytecode, dump_phase
from smartmem.backend.iree_compile.compile_errors import CompileError, failure_message
from smartmem.backend.iree_compile.kernels import count_kernels
from smartmem.backend.iree_compile.processes import in_parallel
from smartmem.backend.iree_compile.tool import (
    IreeOptions,
    StoppedError,
    ToolRun,
    run_iree_compile,
)
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import BackendError, InvalidInputError

ADD = b"""
func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {
  %r = arith.addf %a, %a : tensor<4xf32>
  return %r : tensor<4xf32>
}
"""
BROKEN = b"func.func @main( {"


@pytest.fixture(scope="module")
def cpu():
    return resolve_target("cpu")


@pytest.fixture
def fake_compiler(monkeypatch, tmp_path):
    """Puts a shell script in the place of iree-compile."""

    def install(script: str) -> None:
        path = tmp_path / "fake-iree-compile"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(tool, "iree_compile_path", lambda: path)

    return install


def test_compiles_bytes_and_files_alike(cpu, tmp_path):
    source, one, two = tmp_path / "add.mlir", tmp_path / "1.vmfb", tmp_path / "2.vmfb"
    source.write_bytes(ADD)
    statistics = compile_bytecode(ADD, cpu, output=one)
    compile_bytecode(source, cpu, output=two)
    assert (statistics.kernels, statistics.copies, statistics.fills) == (1, 0, 0)
    assert statistics.transient_bytes == 16
    assert statistics.seconds > 0
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.vmfb", "2.vmfb", "add.mlir"]


def test_extra_flags_win_over_the_target(cpu):
    options = IreeOptions(extra_flags=["--iree-llvmcpu-target-cpu=x86-64-v3"])
    text = dump_phase(ADD, cpu, "executable-sources", options)
    assert 'cpu = "x86-64-v3"' in text


def test_a_failure_leaves_the_old_output(cpu, tmp_path):
    output = tmp_path / "m.vmfb"
    output.write_text("old")
    with pytest.raises(
        CompileError, match=r"target cpu failed at the module:1:17: expected"
    ) as caught:
        compile_bytecode(BROKEN, cpu, output=output)
    assert "\n" not in str(caught.value)
    assert "error:" in caught.value.log
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["m.vmfb"]


def test_a_failure_in_a_file_names_the_place(cpu, tmp_path):
    source = tmp_path / "broken.mlir"
    source.write_bytes(BROKEN)
    with pytest.raises(CompileError, match=r"failed at \S+broken\.mlir:1:\d+: "):
        compile_bytecode(source, cpu, output=tmp_path / "m.vmfb")
    assert not (tmp_path / "m.vmfb").exists()


@pytest.mark.parametrize(
    ("output", "reason"),
    [("missing/m.vmfb", "No such file"), ("file/m.vmfb", "Not a directory"), (".", "folder")],
)
def test_an_output_that_cannot_be_written(cpu, tmp_path, output, reason):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=f"cannot write .*{reason}"):
        compile_bytecode(ADD, cpu, output=tmp_path / output)


def test_a_full_disk_at_the_output(cpu):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(InvalidInputError, match="cannot write /dev/full: No space left"):
        compile_bytecode(ADD, cpu, output=Path("/dev/full"))


def test_a_full_disk_in_iree_compile(cpu, fake_compiler, tmp_path):
    fake_compiler("echo 'LLVM ERROR: IO failure: No space left on device' >&2; exit 1")
    with pytest.raises(InvalidInputError, match=r"cannot write \S+m\.vmfb: No space left"):
        compile_bytecode(ADD, cpu, output=tmp_path / "m.vmfb")


def test_a_missing_source(cpu, tmp_path):
    with pytest.raises(InvalidInputError, match=r"cannot read .*none\.mlir"):
        compile_bytecode(tmp_path / "none.mlir", cpu, output=tmp_path / "m.vmfb")


def test_an_unknown_flag(cpu, tmp_path):
    with pytest.raises(CompileError, match=r"--no-such-flag.*correct the extra flags"):
        compile_bytecode(
            ADD, cpu, IreeOptions(extra_flags=["--no-such-flag"]), output=tmp_path / "m.vmfb"
        )


def test_a_run_past_its_limit_is_killed_with_its_children(cpu, fake_compiler, tmp_path):
    fake_compiler(f"sleep 60 & echo $! > {tmp_path}/child; wait")
    start = time.monotonic()
    with pytest.raises(CompileError, match=r"was stopped after 2 s; raise the time limit"):
        compile_bytecode(ADD, cpu, IreeOptions(timeout_s=2), output=tmp_path / "m.vmfb")
    assert time.monotonic() - start < 50
    child = int((tmp_path / "child").read_text())
    status = Path(f"/proc/{child}/status")
    # An orphan that nobody waits for can stay as a zombie; alive it must not be.
    assert not status.exists() or "zombie" in status.read_text()


HOG = f"exec {sys.executable} -c 'import time; x = b\"1\" * 400_000_000; time.sleep(60)'"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_a_run_that_takes_too_much_memory_is_killed(cpu, fake_compiler, tmp_path):
    fake_compiler(HOG)
    start = time.monotonic()
    with pytest.raises(
        CompileError, match=r"was stopped with 0\.\d+ GB of memory; raise the memory limit"
    ) as caught:
        compile_bytecode(
            ADD, cpu, IreeOptions(memory_limit=200_000_000), output=tmp_path / "m.vmfb"
        )
    assert time.monotonic() - start < 50
    assert caught.value.out_of_memory and caught.value.is_silent
    assert not caught.value.crashed and not caught.value.timed_out


def test_the_default_memory_limit_is_less_than_the_machine_has():
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < tool.default_memory_limit() < physical


@pytest.mark.parametrize(
    ("signal", "message"),
    [("SEGV", "ended by SIGSEGV; .*fault of iree-compile"), ("KILL", "SIGKILL; .*memory")],
)
def test_a_crash(cpu, fake_compiler, tmp_path, signal, message):
    fake_compiler(f"kill -{signal} $$")
    with pytest.raises(BackendError, match=message):
        compile_bytecode(ADD, cpu, output=tmp_path / "m.vmfb")
    assert not (tmp_path / "m.vmfb").exists()


def test_a_crash_of_the_real_compiler():
    flags = ["--iree-hal-target-device=vulkan", "--iree-vulkan-target=x"]
    run = run_iree_compile(b"module {}", [*flags, "--compile-to=preprocessing"])
    assert run.returncode < 0
    assert "Unknown Vulkan target 'x'" in failure_message(run, "x", 1.0)


def _failed(stderr: str) -> str:
    run = ToolRun(1, "", stderr, 0.1, 0, timed_out=False)
    return failure_message(run, "adreno", 600.0)


def test_messages_are_one_line_with_advice():
    legalize = "<unknown>:0: error: failed to legalize operation 'x'\n<unknown>:0: note: see\n"
    assert _failed(legalize) == (
        "iree-compile for target adreno failed: failed to legalize operation 'x'; "
        "compile with optimization level O1"
    )
    assert _failed("m.mlir:3:5: error: stack allocation too big\n") == (
        "iree-compile for target adreno failed at m.mlir:3:5: stack allocation too big; "
        "pass --iree-llvmcpu-stack-allocation-limit with a larger value"
    )
    assert _failed("").startswith("iree-compile for target adreno failed: exit status 1;")
    assert len(_failed(f"error: {'x' * 5000}")) < 450


def test_peak_memory_is_that_of_the_child_alone(cpu, tmp_path):
    own = np.ones(2**26)  # 512 MB, touched
    statistics = compile_bytecode(ADD, cpu, output=tmp_path / "m.vmfb")
    assert 20e6 < statistics.peak_rss_bytes < own.nbytes


def test_dump_phase_elides_constants(cpu):
    values = ", ".join(str(float(i)) for i in range(256))
    text = f"""
    func.func @main(%a: tensor<256xf32>) -> tensor<256xf32> {{
      %c = arith.constant dense<[{values}]> : tensor<256xf32>
      %r = arith.addf %a, %c : tensor<256xf32>
      return %r : tensor<256xf32>
    }}"""
    dumped = dump_phase(text.encode(), cpu, "flow")
    assert "flow.dispatch" in dumped
    assert "__elided__" in dumped
    assert "217.0" not in dumped


def generic(body: str, result: str, maps: str, source: str = "tensor<8x64xf32>") -> bytes:
    """A module of one elementwise linalg.generic."""
    return f"""
    func.func @main(%a: {source}) -> {result} {{
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : {result}
      %r = linalg.generic {{indexing_maps = [{maps}, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}}
          ins(%a : {source}) outs(%e : {result}) {{
      ^bb0(%x: f32, %o: {result.split("x")[-1][:-1]}):
        {body}
      }} -> {result}
      return %r : {result}
    }}""".encode()


STRAIGHT = "affine_map<(i, j) -> (i, j)>"
TRANSPOSED = "affine_map<(i, j) -> (j, i)>"
POSITION = "%i = linalg.index 0 : index\n%j = linalg.index 1 : index"

MOVES = {
    "transpose": generic("linalg.yield %x : f32", "tensor<64x8xf32>", TRANSPOSED),
    "gather": generic(
        f"""{POSITION}
        %c63 = arith.constant 63 : index
        %m = arith.muli %i, %c63 : index
        %k = arith.remui %m, %c63 : index
        %v = tensor.extract %a[%i, %k] : tensor<8x64xf32>
        linalg.yield %v : f32""",
        "tensor<8x64xf32>",
        STRAIGHT,
    ),
    "pad": generic(
        f"""{POSITION}
        %c3 = arith.constant 3 : index
        %in = arith.cmpi ult, %j, %c3 : index
        %v = arith.select %in, %x, %zero : f32
        linalg.yield %v : f32""",
        "tensor<8x64xf32>",
        STRAIGHT,
    ),
}
COMPUTES = {
    "relu": generic(
        """%p = arith.cmpf ugt, %x, %zero : f32
        %v = arith.select %p, %x, %zero : f32
        linalg.yield %v : f32""",
        "tensor<8x64xf32>",
        STRAIGHT,
    ),
    "add": generic(
        "%v = arith.addf %x, %x : f32\nlinalg.yield %v : f32", "tensor<64x8xf32>", TRANSPOSED
    ),
    "cast": generic(
        "%v = arith.truncf %x : f32 to f16\nlinalg.yield %v : f16",
        "tensor<8x64xf16>",
        STRAIGHT,
    ),
    "positions": generic(
        f"""{POSITION}
        %k = arith.index_cast %j : index to i32
        %v = arith.sitofp %k : i32 to f32
        %w = arith.select %below, %v, %x : f32
        linalg.yield %w : f32""".replace(
            "%w =", "%below = arith.cmpi ult, %i, %j : index\n%w ="
        ),
        "tensor<8x64xf32>",
        STRAIGHT,
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_kernels_that_only_move_data(cpu, name):
    counts = count_kernels(MOVES[name], cpu)
    assert counts.dispatches == counts.movement_dispatches == 1


@pytest.mark.parametrize("name", COMPUTES)
def test_kernels_that_compute(cpu, name):
    counts = count_kernels(COMPUTES[name], cpu)
    assert (counts.dispatches, counts.movement_dispatches) == (1, 0)


# A roll, a matrix product used twice and a transpose: kernels, copies and repeats.
BLOCK = b"""
func.func @main(%a: tensor<64x64xf32>) -> (tensor<64x64xf32>, tensor<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.matmul ins(%a, %a : tensor<64x64xf32>, tensor<64x64xf32>)
      outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %q = linalg.matmul ins(%p, %p : tensor<64x64xf32>, tensor<64x64xf32>)
      outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %s = tensor.extract_slice %q[0, 0] [3, 64] [1, 1] : tensor<64x64xf32> to tensor<3x64xf32>
  %t = tensor.extract_slice %q[3, 0] [61, 64] [1, 1] : tensor<64x64xf32> to tensor<61x64xf32>
  %u = tensor.concat dim(0) %t, %s
      : (tensor<61x64xf32>, tensor<3x64xf32>) -> tensor<64x64xf32>
  %v = linalg.transpose ins(%a : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>)
      permutation = [1, 0]
  return %u, %v : tensor<64x64xf32>, tensor<64x64xf32>
}
"""


@pytest.mark.parametrize(("target", "level"), [("cpu", "O3"), ("adreno", "O1")])
def test_counts_agree_with_the_statistics(tmp_path, target, level):
    chosen = resolve_target(target)
    counts = count_kernels(BLOCK, chosen, IreeOptions(level))
    statistics = compile_bytecode(BLOCK, chosen, IreeOptions(level), output=tmp_path / "m.vmfb")
    assert counts.dispatches == statistics.kernels
    assert counts.copies == statistics.copies
    assert counts.fills == statistics.fills
    products = [kernel for kernel in counts.kernels if "matmul" in kernel.name]
    assert sum(kernel.dispatches for kernel in products) == 2
    assert not any(kernel.moves_only for kernel in products)
    # The transpose is a kernel of its own; the roll is copies.
    assert counts.movement_dispatches >= 1
    assert counts.copies + counts.movement_dispatches >= 3


def test_a_module_without_kernels(cpu):
    text = b"func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> { return %a : tensor<4xf32> }"
    counts = count_kernels(text, cpu)
    assert (counts.dispatches, counts.kernels) == (0, ())


def test_the_caller_interrupted_kills_the_child(fake_compiler, monkeypatch, tmp_path):
    fake_compiler(f"echo $$ > {tmp_path}/child; touch {tmp_path}/written; exec sleep 60")

    def interrupt(seconds: float) -> None:
        if (tmp_path / "written").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(tool.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_iree_compile(b"", [])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


def test_an_interrupt_ends_what_runs_beside(fake_compiler, tmp_path):
    """And what waits for its turn does not begin."""
    fake_compiler(f"echo $$ >> {tmp_path}/children; exec sleep 60")
    begun, ends = [], []

    def work(item: str, stop: threading.Event) -> None:
        begun.append(item)
        if item == "interrupted":
            while not (tmp_path / "children").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        with pytest.raises(StoppedError):
            run_iree_compile(b"", [], stop=stop)
        ends.append(item)

    with pytest.raises(KeyboardInterrupt):
        in_parallel(work, ["interrupted", "beside", "later"], 2)
    assert (begun, ends) == (["interrupted", "beside"], ["beside"])
    for child in (tmp_path / "children").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)
