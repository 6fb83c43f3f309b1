"""The quickstart's commands and program run as they stand, on a smaller model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "quickstart.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", QUICKSTART.read_text(), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def folder(tmp_path: Path, onnx_file: Path) -> Path:
    (tmp_path / "examples").mkdir()
    onnx_file.rename(tmp_path / "examples" / "small_swin.onnx")
    return tmp_path


def test_commands(folder: Path) -> None:
    scripts = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    commands = "".join(blocks("sh"))
    assert commands.count("smartmem ") >= 6
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": scripts},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tolerance 1e-04  ok" in done.stdout
    assert {path.name for path in folder.iterdir()} == {
        "examples",
        "swin.vmfb",
        "swin_adreno.vmfb",
        "views.mlir",
    }


def test_program(folder: Path) -> None:
    [program] = blocks("python")
    # The small model has two outputs where the Swin has one.
    program = program.replace("logits = compiled(", "logits, _ = compiled(")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(2, 4, 8, 4)\n")
    assert (folder / "swin.vmfb").exists()
