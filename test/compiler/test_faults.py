"""A fault of a pass: what is given up, what goes on, and who is told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch_mlir import ir

import smartmem
from smartmem import CompileOptions
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.targets.targets import resolve_target
from smartmem.compiler import attempts, lowered, stages
from smartmem.compiler.compile import CompiledModel, module_at
from smartmem.errors import PassError, StrictError, TimeLimitError, UnsupportedError
from smartmem.passes import Pass, PassContext
from smartmem.passes.base import operations

TWO_EXPS = """
func.func @main(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %e = tensor.empty() : tensor<4x8xf32>
  %a = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %b = linalg.exp ins(%a : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}
"""
X = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)


class _Marking(Pass):
    """Marks each linalg operation; ``fails`` says at which of them it fails instead."""

    argument = "smartmem-mark"
    summary = "Marks operations"
    fails: Callable[[int], Exception | None]

    def run(self, module: ir.Operation, context: PassContext) -> None:
        found = [op for op in operations(module) if op.name == "linalg.exp"]
        places = {id(op): number for number, op in enumerate(found)}
        for op in context.each(found):
            op.attributes["test.mark"] = ir.UnitAttr.get(op.context)
            context.remark(self.argument, op, True, "marked")
            if (error := type(self).fails(places[id(op)])) is not None:
                raise error


class _Breaking(Pass):
    argument = "smartmem-break"
    summary = "Leaves IR that does not verify"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for op in operations(module):
            if op.name == "linalg.exp":
                op.attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get([2, 0])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "two.mlir"
    path.write_text(TWO_EXPS)
    return path


def first_run(monkeypatch: pytest.MonkeyPatch, *added: type[Pass]) -> None:
    """Makes ``added`` the first passes that run."""
    (name, passes), *others = stages.PIPELINE
    monkeypatch.setattr(stages, "PIPELINE", ((name, (*added, *passes)), *others))


def failing_at(*numbers: int, error: Exception | None = None) -> type[Pass]:
    def fails(number: int) -> Exception | None:
        return (error or IndexError("list index out of range")) if number in numbers else None

    return type("Failing", (_Marking,), {"fails": staticmethod(fails)})


def faults(compiled: CompiledModel) -> list[tuple[str, str, str]]:
    return [(step.action, step.where, step.reason) for step in compiled.report.fallbacks]


def check_results(compiled: CompiledModel) -> None:
    first, second = compiled(X)
    np.testing.assert_allclose(first, np.exp(X), rtol=1e-5)
    np.testing.assert_allclose(second, np.exp(np.exp(X)), rtol=1e-5)


@pytest.mark.fallback
def test_a_pass_is_given_up_at_the_operation_it_fails_at(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first_run(monkeypatch, failing_at(1))
    compiled = smartmem.compile(source, target="cpu")
    where = f"smartmem-mark at linalg.exp ({source}:5:8)"
    assert faults(compiled) == [
        ("skip_operation", where, "IndexError: list index out of range")
    ]
    marks = [r for r in compiled.report.remarks if r.argument == "smartmem-mark"]
    assert [(r.op, ":4:8" in r.location) for r in marks] == [("linalg.exp", True)]
    [record] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    message = record.getMessage()
    assert message.startswith(f"{where} given up, because IndexError") and "\n" not in message
    assert "please report it" in message and "smartmem-mark at" in str(compiled.report)
    assert "test.mark" in compiled.ir["views"] and len(compiled.ir) > 3, "the rest goes on"
    check_results(compiled)


@pytest.mark.fallback
def test_the_module_is_what_it_was_before_a_pass_that_failed_half_way(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run(monkeypatch, failing_at(0, 1))
    views = str(module_at(source, "views", target="cpu"))
    monkeypatch.undo()
    assert views == str(module_at(source, "views", target="cpu"))


@pytest.mark.fallback
def test_a_pass_that_leaves_broken_ir_is_given_up(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run(monkeypatch, _Breaking, failing_at())
    compiled = smartmem.compile(source, target="cpu")
    [(action, where, reason)] = faults(compiled)
    assert (action, where) == ("skip_pass", "smartmem-break") and "inits" in reason
    assert compiled.ir["views"].count("test.mark") == 2
    check_results(compiled)


@pytest.mark.fallback
def test_a_pass_that_fails_at_too_many_operations_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = TWO_EXPS.splitlines()[4]
    many = [line.replace("%b", f"%b{number}") for number in range(20)]
    (path := tmp_path / "many.mlir").write_text(
        TWO_EXPS.replace(line, "\n".join([line, *many]))
    )
    first_run(monkeypatch, failing_at(*range(22)))
    compiled = smartmem.compile(path, target="cpu")
    assert 1 < len(faults(compiled)) < 12
    assert "test.mark" not in compiled.ir["views"]
    check_results(compiled)


@pytest.mark.fallback
def test_the_module_before_the_pass_is_saved_for_the_report(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first_run(monkeypatch, failing_at(1))
    folder = tmp_path / "temps"
    smartmem.compile(source, target="cpu", options=CompileOptions(save_temps=folder))
    saved = folder / "fault-0.mlirbc"
    assert str(saved) in caplog.text and "test.mark" not in str(module_at(saved, "input"))


@pytest.mark.fallback
def test_without_a_pass_that_is_needed_the_import_is_compiled(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = failing_at(1, error=PassError("smartmem-mark", "cannot do this"))
    needed.is_needed = True
    first_run(monkeypatch, needed)
    compiled = smartmem.compile(source, target="cpu")
    assert [step.action for step in compiled.report.fallbacks] == [
        "skip_operation", "plain_lowering"
    ]  # fmt: skip
    check_results(compiled)


def test_strict_makes_a_fault_an_error(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_run(monkeypatch, failing_at(1))
    with pytest.raises(StrictError, match=r"smartmem-mark at linalg.exp \(.*two.mlir:5:8\)"):
        smartmem.compile(source, target="cpu", options=CompileOptions(strict=True))
    with pytest.raises(StrictError, match="smartmem-mark"):
        module_at(source, "views", target="cpu", options=CompileOptions(strict=True))


def test_what_a_pass_says_about_the_model_is_no_fault(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run(monkeypatch, failing_at(1, error=UnsupportedError("no such rounding")))
    with pytest.raises(UnsupportedError, match="no such rounding"):
        smartmem.compile(source, target="cpu", options=CompileOptions(strict=False))


def test_a_variable_of_the_environment_makes_compilations_strict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert CompileOptions().strict, "as in all tests"
    monkeypatch.delenv("SMARTMEM_STRICT")
    assert not CompileOptions().strict and CompileOptions(strict=True).strict


class _Endless(Pass):
    argument = "smartmem-endless"
    summary = "Never ends"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        while True:
            pass


def test_a_pass_without_end_is_stopped(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_run(monkeypatch, _Endless)
    options = CompileOptions(timeout_s=0.5)
    message = "smartmem-endless did not end within the time limit of 0.5 s; give more"
    with pytest.raises(TimeLimitError, match=message):
        smartmem.compile(source, target="cpu", options=options)


def test_so_is_one_of_a_model_that_is_compiled_as_imported(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowered, "PLAIN", (_Endless(),))
    job = lowered.Job(source, None, resolve_target("cpu"), CompileOptions(timeout_s=7.0))
    given_up = SimpleNamespace(job=job)
    message = "smartmem-endless did not end within the time limit of 7 s"
    with pytest.raises(TimeLimitError, match=message):
        lowered.Lowered.save_plain(given_up, tmp_path / "plain", deadline=0.0)  # type: ignore[arg-type]
    assert not (tmp_path / "plain").exists()


def test_the_import_takes_of_the_time_limit(source: Path) -> None:
    with pytest.raises(TimeLimitError, match="the time limit of 1e-09 s"):
        smartmem.compile(source, target="cpu", options=CompileOptions(timeout_s=1e-9))


@pytest.mark.fallback
@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_too_little_memory_is_said_at_once(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = attempts.compile_bytecode

    def counted(*arguments: Any, **others: Any) -> Any:
        calls.append(arguments)
        return original(*arguments, **others)

    monkeypatch.setattr(attempts, "compile_bytecode", counted)
    with pytest.raises(CompileError, match="raise the memory limit"):
        smartmem.compile(source, target="cpu", options=CompileOptions(memory_limit=1))
    assert len(calls) == 1


def test_strict_makes_what_iree_compile_cannot_do_an_error(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise CompileError("iree-compile crashed", "its log", crashed=True)

    monkeypatch.setattr(attempts, "compile_bytecode", fails)
    with pytest.raises(StrictError, match=r"compiled as imported.*iree-compile crashed"):
        smartmem.compile(source, target="cpu")
