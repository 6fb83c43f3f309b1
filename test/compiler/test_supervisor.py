"""A tool that crashes, hangs or takes all memory in code of C++."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is supervised")

WORK = """
import ctypes, os, signal, sys, tempfile, time
from smartmem.compiler.activity import activity
from smartmem.options import CompileOptions
from smartmem.tools import supervisor

def doing(what="the import of m.onnx", timeout_s=600.0, memory_limit=None):
    options = CompileOptions(timeout_s=timeout_s, memory_limit=memory_limit)
    return activity(what, options, time.monotonic() + timeout_s)

def hang():
    print("hangs", flush=True)
    ctypes.PyDLL(None).sleep(120)  # keeps Python's lock, as calls of MLIR do

def work():
    folder = tempfile.mkdtemp()
    open(folder + "/half", "w").close()
    {body}
    return 0

status = supervisor.supervised(work)
print("once", flush=True)
sys.exit(status)
"""


def start(folder: Path, script: str, arguments: Sequence[str] = ()) -> subprocess.Popen[str]:
    scratch = folder / "scratch"
    scratch.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(folder: Path, process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr at the end; no temporary file may be left."""
    stdout, stderr = process.communicate(timeout=120)
    assert not list((folder / "scratch").iterdir())
    return process.returncode, stdout, stderr


def outcome_of(folder: Path, body: str) -> tuple[int, str, str]:
    return outcome(folder, start(folder, WORK.format(body=body)))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT])
def test_a_crash_is_one_line(tmp_path: Path, number: signal.Signals) -> None:
    body = f"with doing(): os.kill(os.getpid(), {int(number)})"
    assert outcome_of(tmp_path, body) == (
        1,
        "once\n",
        (
            f"error: the import of m.onnx crashed ({number.name}); this is a fault of SmartMem or "
            "of MLIR: please report it, with the model\n"
        ),
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("ctypes.string_at(0)", "smartmem crashed (SIGSEGV); this"),
        ("with doing(): pass\n    ctypes.string_at(0)", "smartmem crashed (SIGSEGV) after the"),
        ("os.kill(os.getpid(), 9)", "smartmem was killed (SIGKILL); it probably ran out of"),
        ("with doing('pass x\\ny'): os.kill(os.getpid(), 9)", "pass x\\ny was killed (SIGK"),
    ],
)
def test_a_crash_says_what_was_done(tmp_path: Path, body: str, message: str) -> None:
    status, _, stderr = outcome_of(tmp_path, body)
    assert status == 1 and stderr.startswith(f"error: {message}") and stderr.count("\n") == 1


def test_code_that_cannot_be_interrupted_ends_with_its_time(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, "with doing(timeout_s=0.5): hang()") == (
        1,
        "hangs\nonce\n",
        (
            "error: the import of m.onnx did not end within the time limit of 0.5 s; give more "
            "with --timeout\n"
        ),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_too_much_memory_ends_it(tmp_path: Path) -> None:
    body = "with doing(memory_limit=200_000_000): held = b'x' * 300_000_000; hang()"
    status, _, stderr = outcome_of(tmp_path, body)
    assert status == 1 and stderr == (
        "error: the import of m.onnx took more memory than the limit of 0.2 GB; give more with "
        "--memory, or compile a smaller model\n"
    )


def test_limits_end_with_what_they_are_for(tmp_path: Path) -> None:
    body = (
        "with doing(timeout_s=0.001, memory_limit=1 << 40): pass\n"
        "    held = b'x' * 300_000_000; time.sleep(3)"
    )
    assert outcome_of(tmp_path, body) == (0, "once\n", "")


def test_what_the_work_ends_with_is_kept(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, "return 7") == (7, "once\n", "")


def test_an_exception_keeps_its_traceback(tmp_path: Path) -> None:
    status, stdout, stderr = outcome_of(tmp_path, "raise ValueError('of a bug')")
    assert status == 1 and stdout == "once\n"
    assert stderr.startswith("Traceback") and stderr.endswith("ValueError: of a bug\n")


def test_a_signal_ends_code_that_does_not_hear_it(tmp_path: Path) -> None:
    handler = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    hang()"  # sleep ends with others
    )
    process = start(tmp_path, WORK.format(body=handler))
    assert process.stdout is not None and process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGTERM)
    status, _, stderr = outcome(tmp_path, process)
    assert (status, stderr) == (128 + signal.SIGTERM, "ended by SIGTERM\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the children")
def test_the_work_ends_with_who_watches_it(tmp_path: Path) -> None:
    process = start(tmp_path, WORK.format(body="print(os.getpid(), flush=True); hang()"))
    assert process.stdout is not None
    child = Path(f"/proc/{int(process.stdout.readline())}/status")
    process.kill()
    process.communicate(timeout=120)  # whose pipes the work holds, too
    end = time.monotonic() + 60
    while child.exists() and "zombie" not in child.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    assert not child.exists() or "zombie" in child.read_text()


CRASHING = """
import ctypes, sys
from smartmem import frontend
from smartmem.compiler import stages
from smartmem.passes import Pass
from smartmem.tools import cli

class Crashing(Pass):
    argument = "smartmem-crash"
    summary = "Reads from nowhere"
    def run(self, module, context):
        ctypes.string_at(0)

(name, passes), *others = stages.PIPELINE
if sys.argv.pop(1) == "pass":
    stages.PIPELINE = ((name, (Crashing, *passes)), *others)
else:
    frontend._import_mlir = lambda model: ctypes.string_at(0)
cli.main()
"""


@pytest.mark.parametrize(
    ("where", "what"), [("pass", "pass smartmem-crash"), ("import", "the import of model.mlir")]
)
def test_a_crash_of_the_compiler_leaves_the_old_output(
    mlir_file: Path, tmp_path: Path, where: str, what: str
) -> None:
    output = tmp_path / "model.vmfb"
    output.write_bytes(b"")
    arguments = [where, "compile", str(mlir_file), "-t", "cpu"]
    status, _, stderr = outcome(tmp_path, start(tmp_path, CRASHING, arguments))
    assert status == 1 and stderr.startswith(
        f"error: {what} crashed (SIGSEGV); this is a fault"
    )
    assert stderr.count("\n") == 1
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"model.mlir", "model.vmfb", "scratch"} and not output.read_bytes()
