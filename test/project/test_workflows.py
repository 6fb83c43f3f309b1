"""Workflows, container and forms: what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_yaml_and_run_what_there_is(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    values = yaml.safe_load(path.read_text())
    for job in values.get("jobs", {}).values():
        for step in job["steps"]:
            words = step.get("run", "").split()
            assert ("run" in step) != ("uses" in step)
            if words[:1] == ["make"]:
                assert {word for word in words[1:] if "=" not in word} <= TARGETS
            for script in re.findall(r"scripts/[\w.-]+", step.get("run", "")):
                assert (ROOT / script).exists(), script


def test_the_container_installs_what_the_scripts_install() -> None:
    text = (ROOT / "Dockerfile").read_text()
    script = (ROOT / "scripts" / "install-system-packages.sh").read_text()
    [driver] = re.findall(r'PACKAGES="(libvulkan1 [^"]*)"', script)
    assert driver in text
    assert {"cmake", "g++", "libvulkan-dev"} <= {*text.split()}
