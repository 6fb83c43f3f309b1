"""Runs imported models, so that tests can compare them with the original."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import iree.compiler
import iree.runtime
import numpy as np
import pytest

from smartmem.frontend import ImportedModel
from smartmem.frontend.lowering import walk

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-input-demote-f64-to-f32=false",
]

Run = Callable[[ImportedModel, Sequence[Any]], "list[np.ndarray[Any, Any]]"]
Check = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Compiles an imported module as it is, with stock iree-compile, and runs it."""

    def compile_and_run(model: ImportedModel, arrays: Sequence[Any]) -> list[Any]:
        path = tmp_path / "imported.mlirbc"
        with path.open("wb") as file:
            model.module.operation.write_bytecode(file)
        binary = iree.compiler.compile_file(str(path), extra_args=FLAGS)
        module = iree.runtime.load_vm_flatbuffer(binary, driver="local-sync")
        results = module.main(*arrays)
        results = results if isinstance(results, tuple) else (results,)
        return [result.to_host() for result in results]

    return compile_and_run


@pytest.fixture
def check(run: Run) -> Check:
    """Asserts that an imported module computes what the original does."""

    def compare(model: ImportedModel, *arrays: Any, tolerance: float = 1e-5) -> None:
        assert model.reference is not None
        expected = model.reference(arrays)
        actual = run(model, arrays)
        assert len(actual) == len(expected) == len(model.outputs)
        for ours, theirs, spec in zip(actual, expected, model.outputs, strict=True):
            assert theirs.shape == spec.shape
            assert theirs.dtype == spec.dtype
            if ours.dtype.kind == "i":
                ours = ours.view(theirs.dtype)  # IREE's integers carry no sign
            scale = max(float(np.abs(theirs).max()), 1e-30)
            error = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max() / scale
            assert error <= tolerance

    return compare


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
