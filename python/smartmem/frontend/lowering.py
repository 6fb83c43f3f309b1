"""From the dialect a model is imported in to linalg on tensors, with readable errors.

The pipelines are torch-mlir's. They are run here and not through
``torch_mlir.compiler_utils``, which needs PyTorch, and which answers a failure with a
page of text and a file in the temporary folder.
"""

from __future__ import annotations

import re

from torch_mlir import ir
from torch_mlir.passmanager import PassManager

from smartmem import dialect
from smartmem.diagnostics import Diagnostic, collect_diagnostics, source_point
from smartmem.errors import UnsupportedError
from smartmem.torch_dialects import load_torch_dialects

TORCH_TO_LINALG = (
    "torchdynamo-export-to-torch-backend-pipeline",
    "torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true}",
)

_QUOTED_OP = re.compile(r"operation '([^']+)'")
_OPERATOR_NAME = re.compile(r'torch\.operator.*?"((?:torch|onnx)\.[^"]+)"', re.DOTALL)
# Ops that only carry values to another op: when one of them cannot be legalized, the
# fault is with its user.
_CARRIERS = ("torch.constant.", "torch.prim.List", "torch_c.", "torch.vtensor.literal")


def new_context() -> ir.Context:
    """A context with torch-mlir's dialects and ours."""
    context = ir.Context()
    load_torch_dialects(context)
    dialect.load(context)
    return context


def run_passes(module: ir.Module, *pipelines: str) -> None:
    """Runs each text pipeline on ``module``, which changes in place.

    Raises:
        UnsupportedError: a pass failed; the message names the first op that could not
            be lowered and where it comes from.
    """
    messages: list[Diagnostic] = []
    with module.context as context, collect_diagnostics(context, messages.append):
        try:
            for pipeline in pipelines:
                PassManager.parse(f"builtin.module({pipeline})").run(module.operation)
        except ir.MLIRError as error:
            errors = [m for m in messages if m.severity == "error"]
            raise UnsupportedError(_explain(module, errors, str(error))) from error


def _explain(module: ir.Module, errors: list[Diagnostic], fallback: str) -> str:
    if not errors:
        return f"the model cannot be lowered to linalg: {fallback}"
    name = _blamed_op("\n".join(part.message for part in errors[0].flat()))
    if name is None or name == "torch.operator" or name.startswith(_CARRIERS):
        name = next(iter(_left_over(module)), name)
    place = _left_over(module).get(name or "", "")
    if not place and errors[0].point is not None:
        place = f" at {errors[0].point.file}:{errors[0].point.line}"
    if name is None:
        return f"the model cannot be lowered to linalg{place}: {errors[0].message}"
    return (
        f"operation {name}{place} cannot be lowered to linalg with these operand types "
        "and shapes; replace it in the model"
    )


def _blamed_op(message: str) -> str | None:
    """The op that ``message`` is about, under its own name if it came as an operator."""
    match = _OPERATOR_NAME.search(message) or _QUOTED_OP.search(message)
    return match.group(1) if match else None


def _left_over(module: ir.Module) -> dict[str, str]:
    """Ops that should be gone, in order, each with the place of the first of its name."""
    found: dict[str, str] = {}
    for operation in walk(module):
        name = operation.name
        if name == "torch.operator":
            name = ir.StringAttr(operation.attributes["name"]).value
        if name.startswith(("torch.", "onnx.")) and not name.startswith(_CARRIERS):
            found.setdefault(name, where(operation.location))
    return found


def where(location: ir.Location) -> str:
    """`` at FILE:LINE`` or `` (node 'NAME')``, or nothing where MLIR knows no place."""
    point = source_point(location)
    if point is not None:
        return f" at {point.file}:{point.line}" if point.line else f" in {point.file}"
    name = location_name(location)
    return f" (node {name!r})" if name else ""


def location_name(location: ir.Location) -> str:
    """The first name inside ``location``: the node's, for an ONNX model; or nothing."""
    if isinstance(location, ir.NameLoc):
        return str(location.name_str)
    if isinstance(location, ir.CallSiteLoc):
        return location_name(location.callee)
    if isinstance(location, ir.FusedLoc):
        return next(filter(None, map(location_name, location.locations)), "")
    return ""


def walk(module: ir.Module | ir.Operation) -> list[ir.Operation]:
    """All operations below ``module``, outer ones first."""
    found: list[ir.Operation] = []

    def visit(operation: ir.Operation) -> ir.WalkResult:
        # Some arrive as views, whose ``name`` can be a symbol and not the op's name.
        found.append(operation.operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found[1:]
