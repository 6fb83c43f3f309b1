"""``smartmem compile`` of several models."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def models(mlir_file: Path, tmp_path: Path) -> list[Path]:
    """Two models."""
    other = tmp_path / "other.mlir"
    shutil.copy(mlir_file, other)
    return [mlir_file, other]


def test_outputs_lie_beside_the_models(cli: Cli, models: list[Path]) -> None:
    done = cli("compile", *models, "-t", "cpu")
    assert done.returncode == 0, done.stderr
    for model in models:
        assert model.with_suffix(".vmfb").stat().st_size > 0
        assert f"wrote {model.with_suffix('.vmfb')} " in done.stderr


def test_outputs_go_to_folders(cli: Cli, models: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    outputs = ("-o", folder, "--report", folder, "--html", folder)
    assert cli("compile", *models, "-t", "cpu", *outputs).returncode == 0
    for model in models:
        told = json.loads((folder / f"{model.stem}.report.json").read_text())
        assert told["model"] == model.name
        assert (folder / f"{model.stem}.html").exists()
        assert (folder / f"{model.stem}.vmfb").exists()
    assert cli("compile", *models, "--emit", "views", "-o", folder).returncode == 0
    assert (folder / "other.views.mlir").exists()


def test_one_that_fails_leaves_the_others(cli: Cli, models: list[Path]) -> None:
    models[0].write_text("no MLIR")
    done = cli("compile", *models, "-t", "cpu")
    assert done.returncode == 1
    assert f"error: {models[0]}: " in done.stderr
    assert f"error: 1 of 2 models failed: {models[0]}" in done.stderr
    assert (
        models[1].with_suffix(".vmfb").exists() and not models[0].with_suffix(".vmfb").exists()
    )


def test_what_would_be_one_file_is_refused(
    cli: Cli, models: list[Path], tmp_path: Path
) -> None:
    done = cli("compile", *models, "-t", "cpu", "-o", "out.vmfb")
    assert done.returncode == 1 and "-o out.vmfb is no folder" in done.stderr
    done = cli("compile", models[0], models[0], "-t", "cpu")
    assert done.returncode == 1 and "two models are called model" in done.stderr
    assert not list(tmp_path.glob("*.vmfb"))
