"""Gives the tools damaged files, and looks for crashes, hangs and tracebacks.

    python benchmarks/fuzz_inputs.py                     # 300 of each kind
    python benchmarks/fuzz_inputs.py onnx mlir --cases 50 --seed 7

Each case is a process of its own with limits of time and memory. It fails if a signal ends
it, if it ends otherwise than with 0 or 1, takes too long, prints a traceback or more than a
few lines on stderr, or that a pass has failed, or leaves files. A damaged module has to be refused. What failed is
kept in --keep, with the command that shows it.
"""

from __future__ import annotations

import os
import random
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arguments import script_parser
from fuzz_kinds import KINDS
from fuzzing import Case, Kind

_LINES = 4
"""Of stderr: one message, and notes of the device's driver."""


_BUG = "please report it"
"""Said where a pass fails, which under --strict ends the tool, or MLIR crashes."""


@dataclass(frozen=True)
class Limits:
    """Of one case: wall time, and bytes of memory."""

    seconds: float = 60.0
    memory: int = 16 << 30


@dataclass(frozen=True)
class Outcome:
    """How one case ended.

    Attributes:
        fault: what is wrong with that; None if nothing.
    """

    status: int
    stderr: str
    fault: str | None


def run_case(case: Case, folder: Path, limits: Limits) -> Outcome:
    """Runs a case in a child of this process, in a new folder."""
    work, temporary = folder / "work", folder / "tmp"
    for place in (work, temporary):
        place.mkdir(parents=True)
    for name, content in case.files.items():
        (work / name).write_bytes(content)
    (folder / "stderr").touch()
    child = os.fork()
    if child == 0:
        _become(case, work, temporary, limits)
    status = _wait(child, limits.seconds)
    stderr = (folder / "stderr").read_bytes().decode(errors="replace")
    left = sorted({*os.listdir(work)} - {*case.files, *case.outputs}) + os.listdir(temporary)
    return Outcome(status or 0, stderr, _fault(case, status, stderr, left))


def _become(case: Case, work: Path, temporary: Path, limits: Limits) -> None:
    """Makes this process the tool of a case; does not return."""
    status = 99
    try:
        os.setsid()
        os.chdir(work)
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = os.open(work.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(stream, number)
        status = case.run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 (the parent looks for the traceback)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, seconds: float) -> int | None:
    """The exit code, negative for a signal; None for one that took too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    with suppress(ProcessLookupError):  # it has no group of its own yet
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _fault(case: Case, status: int | None, stderr: str, left: Sequence[str]) -> str | None:
    if status is None:
        return "takes too long"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    if "Traceback" in stderr:
        return f"traceback: {stderr.strip().splitlines()[-1]}"
    if _BUG in stderr:
        return f"a fault of ours: {stderr.strip().splitlines()[-1]}"
    if status not in case.statuses:
        return f"exit status {status}"
    if status == 1 and "error: " not in stderr:
        return "fails without a message"
    if stderr.count("\n") > _LINES * case.parts:
        return f"{stderr.count(chr(10))} lines of messages"
    return f"leaves {', '.join(left)}" if left else None


def fuzz(
    kind: Kind, cases: int, seed: int, limits: Limits, keep: Path | None = None
) -> Iterator[tuple[Case, Outcome]]:
    """Runs so many cases of a kind; gives those that fail."""
    for number in range(cases):
        case = kind.case(random.Random(f"{kind.name} {seed} {number}"))
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            outcome = run_case(case, folder, limits)
            if outcome.fault is None:
                continue
            if keep is not None:
                place = keep / f"{kind.name}-{seed}-{number}"
                shutil.copytree(folder / "work", place, dirs_exist_ok=True)
                (place / "command").write_text(f"{shlex.join(case.command)}\n{outcome.stderr}")
            yield case, outcome
        finally:
            shutil.rmtree(folder)


def main(arguments: Iterable[str] | None = None) -> int:
    """Runs the kinds asked for; 1 if a case fails."""
    parser = script_parser(__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--cases", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="for a case")
    parser.add_argument("--keep", type=Path, help="folder for what failed")
    asked = parser.parse_args(None if arguments is None else [*arguments])
    failed = 0
    for name in asked.kinds or KINDS:
        kind, limits = KINDS[name](), Limits(asked.seconds)
        found = list(fuzz(kind, asked.cases, asked.seed, limits, asked.keep))
        print(f"{name}: {asked.cases} cases, {len(found)} fail", flush=True)
        for case, outcome in found:
            print(f"  {shlex.join(case.command)}: {outcome.fault}")
        failed += len(found)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
