"""A pass that has run finds nothing to do when it runs again: on every input of test/passes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch_mlir import ir

from smartmem.mlir.pipelines import PipelineElement, run_pipeline
from smartmem.passes import PASSES, Pass
from smartmem.tools import opt

FOLDER = Path(__file__).parents[1] / "passes"
COMMAND = re.compile(r"// RUN: smartmem-opt ([^|>]*)")
UNWANTED = re.compile(r"-o \S+|--smartmem-remarks|--verify-diagnostics|\b[12]$")

# Their inputs, and what the second run does.
NOT_IDEMPOTENT = {
    "form-regions-lookups": "copies a lookup that is in a kernel already for its other reader",
    "pack-weights": "packs a weight of two readers a second time for one of them",
    "pack-weights-quantized": "packs what is packed again, into an equal constant",
    "select-layouts": "writes a window operation anew that reads the layout it wants",
    "select-layouts-parts": "writes a window operation anew that reads the layout it wants",
    "select-layouts-pictures": "as select-layouts",
}


def pass_of(file: Path) -> str:
    """The flag of the pass that a file is a test of: the longest that its name begins with."""
    flags = [
        p.argument for p in PASSES if f"smartmem-{file.stem}-".startswith(f"{p.argument}-")
    ]
    return max(flags, key=len)


def commands(file: Path) -> list[tuple[str, ...]]:
    """The arguments of the commands of a file, without what is written where; each once."""
    lines = [UNWANTED.sub("", line.strip()) for line in COMMAND.findall(file.read_text())]
    named = [line.replace("%S", str(FOLDER)).replace("%s", str(file)) for line in lines]
    return list(dict.fromkeys(tuple(shlex.split(line)) for line in named))


class Repeating:
    """Runs pipelines up to a pass, and this pass again.

    Attributes:
        changes: for each module, whether that changed it.
    """

    def __init__(self, flag: str) -> None:
        self._flag = flag
        self.changes: list[bool] = []

    def __call__(
        self,
        module: ir.Module,
        elements: Sequence[PipelineElement],
        *others: Any,
        **options: Any,
    ) -> None:
        """As ``run_pipeline``."""
        named = [isinstance(e, Pass) and e.argument == self._flag for e in elements]
        end = named.index(True) + 1
        run_pipeline(module, elements[:end], *others, **options)
        once = str(module)
        run_pipeline(module, elements[end - 1 : end], *others, **options)
        self.changes.append(str(module) != once)


FILES = sorted(file for file in FOLDER.glob("*.mlir") if commands(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_pass_that_runs_again_changes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    repeating = Repeating(pass_of(file))
    monkeypatch.setattr(opt, "run_pipeline", repeating)
    for arguments in commands(file):
        opt.run(arguments)  # fails where a diagnostic is expected
    assert repeating.changes
    assert any(repeating.changes) == (file.stem in NOT_IDEMPOTENT), repeating.changes
