"""``smartmem doctor``: what a bug report needs, also where something is missing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import smartmem
from smartmem.backend.device.devices import VulkanProbe
from smartmem.doctor import diagnosis
from smartmem.doctor.diagnosis import diagnose, to_json, to_markdown
from smartmem.errors import ToolMissingError

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_tells_versions_machine_and_devices(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith("###")]
    assert heads == ["### Versions", "### Compiler", "### Machine", "### Vulkan", "### Missing"]
    assert f"- smartmem: {smartmem.__version__}\n" in done.stdout
    assert "- iree-compile: IREE compiler version 3.13" in done.stdout
    told = json.loads(cli("doctor", "--json").stdout)
    assert told["works"] and told["Versions"]["torch-mlir"] == "20261001"


def test_a_missing_compiler_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise ToolMissingError("iree-compile is missing")

    monkeypatch.setattr(diagnosis, "iree_compile_path", missing)
    found = diagnose()
    assert not found.works
    assert "iree-base-compiler==3.13.0" in to_json(found)["missing"]["iree-compile"]


def test_a_compiler_that_ends_with_an_error_is_fatal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "iree-compile"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(diagnosis, "iree_compile_path", lambda: broken)
    found = diagnose()
    assert not found.works and "no such library" in to_json(found)["Compiler"]["iree-compile"]


def test_what_is_optional_is_missing_but_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "probe_vulkan", lambda: VulkanProbe((), "no loader"))
    monkeypatch.setattr(diagnosis, "find_image_library", lambda: None)
    known = diagnosis._version
    monkeypatch.setattr(
        diagnosis, "_version", lambda name: None if name == "torch" else known(name)
    )
    found = diagnose()
    missing = to_json(found)["missing"]
    assert found.works
    assert "smartmem[torch]" in missing["torch"] and "no loader" in missing["devices"]
    assert "libvulkan-dev" in missing["SmartMem's Vulkan library"]
    assert "- torch: PyTorch models" in to_markdown(found).partition("### Missing")[2]


def test_another_version_than_the_pinned_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    known = diagnosis._version
    monkeypatch.setattr(
        diagnosis, "_version", lambda name: "1.0" if name == "torch-mlir" else known(name)
    )
    assert "20261001" in to_json(diagnose())["missing"]["torch-mlir"]


def test_the_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setattr(diagnosis.sys, "executable", "/home/someone/venv/bin/python")
    assert "(~/venv/bin/python)" in to_markdown(diagnose())
