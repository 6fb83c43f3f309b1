"""Runs imported models, so that tests can compare them with the original."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import iree.compiler
import iree.runtime
import numpy as np
import pytest
from torch_mlir import ir

from smartmem.frontend import ImportedModel
from smartmem.frontend.lowering import walk
from smartmem.interpreter import Array, interpret
from smartmem.tools.opt_source import make_context

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-input-demote-f64-to-f32=false",
    "--iree-opt-const-eval=false",  # would compile what constants alone decide, too
]

Compare = Callable[[Sequence[Array]], None]
Run = Callable[..., "list[Array]"]
Check = Callable[..., None]


@dataclass(frozen=True)
class Case:
    """An imported module that a test has interpreted.

    Attributes:
        name: of the test.
        module: bytecode.
        arrays: its inputs.
        compare: fails if results are wrong.
    """

    name: str
    module: bytes
    arrays: Sequence[Any]
    compare: Compare


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Case]]:
    """Collects what the tests of a file import, and has stock iree-compile compile it as one.

    Most of its time for a small module is the same for each. What is wrong then is told at
    the end of the file, with the name of the test.
    """
    collected: list[Case] = []
    yield collected
    if not collected:
        return
    path = tmp_path_factory.mktemp("imported") / "imported.mlirbc"
    path.write_bytes(_as_one(collected))
    binary = iree.compiler.compile_file(str(path), extra_args=FLAGS)
    module = iree.runtime.load_vm_flatbuffer(binary, driver="local-sync")
    for number, case in enumerate(collected):
        results = module[f"main_{number}"](*case.arrays)
        results = results if isinstance(results, tuple) else (results,)
        try:
            case.compare([result.to_host() for result in results])
        except AssertionError as error:
            raise AssertionError(f"as IREE compiles what {case.name} imports") from error


def _as_one(cases: Sequence[Case]) -> bytes:
    """One module with the functions of all, whose names get the number of their case."""
    with make_context(), ir.Location.unknown():
        whole = ir.Module.create()
        for number, case in enumerate(cases):
            part = ir.Module.parse(case.module)
            for op in list(part.body.operations):
                old = ir.StringAttr(op.attributes["sym_name"]).value
                new = f"{old}_{number}"
                ir.SymbolTable.replace_all_symbol_uses(old, new, part.operation)
                ir.SymbolTable.set_symbol_name(op, new)
                whole.body.append(op)
        return _bytecode(whole)


def _bytecode(module: ir.Module) -> bytes:
    file = io.BytesIO()
    module.operation.write_bytecode(file)
    return file.getvalue()


def _without_sign(array: Any) -> Any:
    """MLIR's integers carry no sign."""
    array = np.asarray(array)
    return array.view(f"i{array.itemsize}") if array.dtype.kind == "u" else array


@pytest.fixture
def run(cases: list[Case], request: pytest.FixtureRequest) -> Run:
    """Interprets an imported module as it is; compiled, it computes the same."""

    def interpreted(
        model: ImportedModel, arrays: Sequence[Any], compare: Compare | None = None
    ) -> list[Array]:
        results = interpret(model.module, [*map(_without_sign, arrays)], model.parameters)
        compare = compare or partial(_same, expected=results)
        cases.append(Case(request.node.name, _bytecode(model.module), arrays, compare))
        return results

    return interpreted


def _same(actual: Sequence[Array], expected: Sequence[Array]) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        if theirs.dtype.kind in "biu":
            np.testing.assert_array_equal(ours.view(theirs.dtype), theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture
def check(run: Run) -> Check:
    """Asserts that an imported module computes what the original does."""

    def compare(model: ImportedModel, *arrays: Any, tolerance: float = 1e-5) -> None:
        assert model.reference is not None
        expected = model.reference(arrays)
        assert len(expected) == len(model.outputs)
        for theirs, spec in zip(expected, model.outputs, strict=True):
            assert theirs.shape == spec.shape
            assert theirs.dtype == spec.dtype
        close = partial(_close, expected=expected, tolerance=tolerance)
        close(run(model, arrays, close))

    return compare


def _close(actual: Sequence[Array], expected: Sequence[Array], tolerance: float) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        if ours.dtype.kind == "i":
            ours = ours.view(theirs.dtype)
        scale = max(float(np.abs(theirs).max()), 1e-30)
        error = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max() / scale
        assert error <= tolerance


@pytest.fixture
def op_names() -> Callable[[ImportedModel], list[str]]:
    """The names of all operations of an imported module."""
    return lambda model: [operation.name for operation in walk(model.module)]


@pytest.fixture
def small_swin_script() -> ModuleType:
    """examples/export_small_swin.py as a module."""
    path = ROOT / "examples" / "export_small_swin.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
