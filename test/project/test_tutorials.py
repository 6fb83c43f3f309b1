"""The tutorials' commands and programs run as they stand, the quickstart's on a smaller model."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tool_process import run_tool

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "docs" / "tutorials" / "quickstart.md"
OPTIMISATION = ROOT / "docs" / "tutorials" / "first-optimisation.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    )


def run_commands(page: Path, folder: Path) -> tuple[str, str]:
    """Runs the commands of a page in ``folder``; what they print to stdout and stderr."""
    out, err = "", ""
    for line in "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
        tool, *arguments = shlex.split(line)
        done = run_tool(arguments, folder, os.environ, tool)
        assert done.returncode == 0, done.stderr
        out, err = out + done.stdout, err + done.stderr
    return out, err


@pytest.fixture
def folder(tmp_path: Path, onnx_file: Path) -> Path:
    (tmp_path / "examples").mkdir()
    onnx_file.rename(tmp_path / "examples" / "small_swin.onnx")
    return tmp_path


def test_quickstart_commands(folder: Path) -> None:
    assert "".join(blocks(QUICKSTART, "sh")).count("smartmem ") >= 6
    out, _ = run_commands(QUICKSTART, folder)
    assert "tolerance 1e-04  ok" in out
    assert {path.name for path in folder.iterdir()} == {
        "examples",
        "swin.html",
        "swin.vmfb",
        "swin_adreno.vmfb",
        "views.mlir",
    }


@pytest.mark.parametrize(
    ("page", "written"),
    [
        (
            "see-a-model-before-and-after",
            {"profile.json", "small_swin.html", "small_swin.report.json", "small_swin.vmfb"},
        ),
        ("profile-a-model", {"profile.json", "roofline.svg", "trace.json"}),
        ("report-a-bug", set()),
    ],
)
def test_guides_to_what_was_done(folder: Path, page: str, written: set[str]) -> None:
    run_commands(ROOT / "docs" / "how-to" / f"{page}.md", folder)
    assert {path.name for path in folder.iterdir()} == written | {"examples"}


def test_quickstart_program(folder: Path) -> None:
    [program] = blocks(QUICKSTART, "python")
    # The small model has two outputs where the Swin has one.
    program = program.replace("logits = compiled(", "logits, _ = compiled(")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(2, 4, 8, 4)\n")
    assert (folder / "swin.vmfb").exists()


def test_first_optimisation_shows_what_its_commands_print(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "windows.mlir", tmp_path / "examples")
    out, err = run_commands(OPTIMISATION, tmp_path)
    maps = re.findall(r"affine_map<[^>]*>[^>]*>", "".join(blocks(OPTIMISATION, "mlir")))
    assert len(maps) >= 7
    for shown in maps:
        assert " ".join(shown.split()) in out
    [remark] = [b for b in blocks(OPTIMISATION, "text") if "remark" in b]
    assert remark in err
    assert "smartmem.view" not in (tmp_path / "lowered.mlir").read_text()
    assert "float32[4, 16]" in out
