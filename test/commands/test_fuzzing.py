"""Damaged files end the tools with one line, never with a crash: a few of each kind.

``benchmarks/fuzz_inputs.py`` runs as many as one likes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/fuzz_inputs.py"


@pytest.mark.parametrize(
    ("kind", "cases"), [("modules", 20), ("onnx", 6), ("mlir", 6), ("tuning", 6), ("target", 6)]
)
def test_no_damaged_file_crashes_a_tool(kind: str, cases: int) -> None:
    command = [sys.executable, SCRIPT, kind, "--cases", str(cases), "--seconds", "300"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{kind}: {cases} cases, 0 fail\n"), done


def test_a_fault_is_found(tmp_path: Path) -> None:
    """A limit of no time is one that every case exceeds."""
    command = [sys.executable, SCRIPT, "modules", "--cases", "1", "--seconds", "0"]
    done = subprocess.run(
        [*command, "--keep", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "takes too long" in done.stdout
    (kept,) = tmp_path.iterdir()
    assert (kept / "command").read_text().startswith("smartmem ")
    assert (kept / "m.vmfb").is_file()
