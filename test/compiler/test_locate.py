"""A wrong result of a compiled model is followed to the import, a pass or iree-compile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from torch_mlir import ir

from smartmem.checking import check
from smartmem.checking.check import check_model
from smartmem.compiler import stages
from smartmem.frontend import ImportedModel
from smartmem.options import CompileOptions
from smartmem.passes import PassContext
from smartmem.passes.base import Pass, operations


@dataclass(frozen=True)
class ForgetExponentials(Pass):
    """Takes every exponential for its argument."""

    argument: ClassVar[str] = "forget-exponentials"
    summary: ClassVar[str] = "wrong"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for op in operations(module):
            if op.name == "math.exp":
                op.results[0].replace_all_uses_with(op.operands[0])
                op.erase()


def _check(model: Path, folder: Path) -> str:
    checked = check_model(model, target="cpu", options=CompileOptions(save_temps=folder))
    assert not checked.result.ok
    return checked.result.cause


def test_a_pass_is_named(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [
        (name, (*passes, ForgetExponentials) if name == "classified" else passes)
        for name, passes in stages.PIPELINE
    ]
    monkeypatch.setattr(stages, "PIPELINE", tuple(wrong))
    cause = _check(onnx_file, tmp_path)
    assert "stage classified: pass forget-exponentials changes what the model computes" in cause
    assert (tmp_path / "forget-exponentials" / "inputs.npz").exists()


def test_the_import_is_named(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = check.import_stage

    def other(*arguments: Any) -> ImportedModel:
        imported = original(*arguments)
        exact = imported.reference
        assert exact is not None
        return replace(imported, reference=lambda arrays: [1.01 * y for y in exact(arrays)])

    monkeypatch.setattr(check, "import_stage", other)
    assert "the import computes something else" in _check(onnx_file, tmp_path)


def test_iree_compile_is_what_is_left(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = check.run_repeatedly

    def off(*arguments: Any) -> Any:
        runs = original(*arguments)
        return replace(runs, results=tuple([1.01 * y for y in r] for r in runs.results))

    monkeypatch.setattr(check, "run_repeatedly", off)
    cause = _check(onnx_file, tmp_path)
    assert "every stage before iree-compile computes the right result" in cause
    assert "iree-compile makes it wrong" in cause
