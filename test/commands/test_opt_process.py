"""How ``smartmem-opt`` ends as a process: closed pipes, interrupts, bugs."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from torch_mlir import ir

from smartmem.errors import PassError
from smartmem.passes import PASSES, Pass, PassContext
from smartmem.tools import opt

OPT = [
    sys.executable,
    "-c",
    "import sys; from smartmem.tools.opt import main; sys.exit(main())",
]
TIME_LIMIT_S = 60


def _functions(count: int) -> str:
    return "\n".join(f"func.func @f{i}() {{ return }}" for i in range(count))


# Unbuffered, a write to a pipe takes only a part of a long text.
@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": request.param}


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path, environment: dict[str, str]) -> None:
    source = tmp_path / "many.mlir"
    source.write_text(_functions(20_000))
    process = subprocess.Popen(
        [*OPT, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert (process.wait(TIME_LIMIT_S), errors) == (1, b"")


def test_a_long_output_arrives_whole(tmp_path: Path, environment: dict[str, str]) -> None:
    source = tmp_path / "many.mlir"
    source.write_text(_functions(20_000))
    result = subprocess.run(
        [*OPT, str(source)],
        stdout=subprocess.PIPE,
        env=environment,
        timeout=TIME_LIMIT_S,
        check=True,
    )
    assert result.stdout.count(b"func.func") == 20_000
    assert result.stdout.endswith(b"}\n}\n")


def test_an_interrupt_exits_with_130_and_leaves_no_file(tmp_path: Path) -> None:
    output = tmp_path / "out.mlir"
    process = subprocess.Popen(
        [*OPT, "-", "-v", "-o", str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_its_child_reads(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIME_LIMIT_S)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def _wait_until_its_child_reads(pid: int) -> None:
    """Until the process's child blocks in the read of its standard input, a pipe."""
    deadline = time.monotonic() + TIME_LIMIT_S
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while time.monotonic() < deadline and children.exists():
        for child in children.read_text().split():
            with suppress(OSError):
                if "pipe" in Path(f"/proc/{child}/wchan").read_text():
                    return
        time.sleep(0.05)
    pytest.skip("this system does not tell what a process waits for")


class _Buggy(Pass):
    argument = "smartmem-buggy"
    summary = "Raise an error that no user can mend"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        raise ZeroDivisionError


def test_a_bug_keeps_its_traceback_and_the_reproducer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reproducer = tmp_path / "in.mlir", tmp_path / "crash.mlir"
    source.write_text(_functions(1))
    monkeypatch.setattr("smartmem.tools.opt_arguments.PASSES", (*PASSES, _Buggy))
    with pytest.raises(ZeroDivisionError):
        flag = f"--mlir-pass-pipeline-crash-reproducer={reproducer}"
        opt.run([str(source), "--smartmem-buggy", flag, "-o", str(tmp_path / "out.mlir")])
    assert "builtin.module(smartmem-buggy)" in reproducer.read_text()
    assert not (tmp_path / "out.mlir").exists()


class _Refusing(Pass):
    argument = "smartmem-refusing"
    summary = "Refuse every module"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        raise PassError(self.argument, "this will not do")


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ([], 1, "in.mlir: error: pass smartmem-refusing: this will not do\n"),
        (["--verify-diagnostics"], 0, ""),
    ],
)
def test_a_pass_that_refuses_is_told_once_and_can_be_expected(
    flags: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smartmem.tools.opt_arguments.PASSES", (_Refusing,))
    Path("in.mlir").write_text("// expected-error@unknown {{this will not do}}\n")
    assert opt.run(["in.mlir", "--smartmem-refusing", *flags]) == status
    assert capsys.readouterr() == ("", message)


def test_a_pipe_or_device_may_be_input_and_output(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [*OPT, str(fifo), "-o", "/dev/stdout"], stdout=subprocess.PIPE
    ) as tool:
        fifo.write_text(_functions(1))
        output, _ = tool.communicate(timeout=TIME_LIMIT_S)
    assert tool.returncode == 0
    assert b"func.func @f0" in output
    assert stat.S_ISFIFO(fifo.stat().st_mode)


CRASHING = """
import ctypes, sys
from smartmem.passes import PASSES, Pass
from smartmem.tools import opt, opt_arguments

class Crashing(Pass):
    argument = "smartmem-crash"
    summary = "Reads from nowhere"
    def run(self, module, context):
        {body}

opt_arguments.PASSES = (*PASSES, Crashing)
sys.exit(opt.main())
"""


@pytest.mark.parametrize(
    ("body", "flags", "message"),
    [
        ("ctypes.string_at(0)", [], "crashed (SIGSEGV); this is a fault"),
        (
            "ctypes.PyDLL(None).sleep(120)",  # keeps Python's lock, as calls of MLIR do
            ["--timeout=1"],
            "did not end within the time limit of 1 s; give more with --timeout",
        ),
    ],
    ids=["crash", "hang"],
)
def test_what_ends_the_process_is_one_line_and_leaves_the_reproducer(
    body: str, flags: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "in.mlir").write_text(_functions(1))
    passes = ["--cse", "--smartmem-crash", "--canonicalize"]
    reproducer = "--mlir-pass-pipeline-crash-reproducer=crash.mlir"
    files = ["in.mlir", "-o", "out.mlir", reproducer]
    done = subprocess.run(
        [sys.executable, "-c", CRASHING.format(body=body), *files, *passes, *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: pass smartmem-crash {message}")
    assert "cse,smartmem-crash,canonicalize" in (tmp_path / "crash.mlir").read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"in.mlir", "crash.mlir"}
