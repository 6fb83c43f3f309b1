"""How ``smartmem-opt`` ends as a process: closed pipes, interrupts, bugs."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
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
        _wait_until_it_reads(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIME_LIMIT_S)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def _wait_until_it_reads(pid: int) -> None:
    """Until the process blocks in the read of its standard input, a pipe."""
    deadline = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < deadline:
        try:
            waits_in = Path(f"/proc/{pid}/wchan").read_text()
        except OSError:
            waits_in = ""
        if "pipe" in waits_in:
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
        opt.main([str(source), "--smartmem-buggy", flag, "-o", str(tmp_path / "out.mlir")])
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
    assert opt.main(["in.mlir", "--smartmem-refusing", *flags]) == status
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
