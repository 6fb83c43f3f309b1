"""From the dialect a model is imported in to linalg on tensors, with readable errors.

The pipelines are torch-mlir's. They are run here and not through
``torch_mlir.compiler_utils``, which needs PyTorch, and which answers a failure with a
page of text and a file in the temporary folder.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.passmanager import PassManager

from smartmem import dialect
from smartmem.errors import UnsupportedError
from smartmem.frontend.blame import explain
from smartmem.frontend.operations import location_name, walk, where
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics
from smartmem.mlir.torch_dialects import load_torch_dialects

__all__ = ["TORCH_TO_LINALG", "location_name", "new_context", "run_passes", "walk", "where"]

TORCH_TO_LINALG = (
    "torchdynamo-export-to-torch-backend-pipeline",
    "torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true}",
)


def new_context() -> ir.Context:
    """A context with torch-mlir's dialects and ours."""
    context = ir.Context()
    load_torch_dialects(context)
    dialect.load(context)
    return context


def run_passes(module: ir.Module, *pipelines: str) -> None:
    """Runs each text pipeline on ``module``, which changes in place.

    Raises:
        UnsupportedError: a pass failed; the message names the op that could not be lowered
            and where it comes from.
    """
    messages: list[Diagnostic] = []
    with module.context as context, collect_diagnostics(context, messages.append):
        try:
            for pipeline in pipelines:
                PassManager.parse(f"builtin.module({pipeline})").run(module.operation)
        except ir.MLIRError as error:
            errors = [m for m in messages if m.severity == "error"]
            failed = explain(module, errors, pipelines) if errors else str(error)
            raise UnsupportedError(failed) from error
