"""MLIR programs: text and bytecode, in linalg on tensors, StableHLO or TOSA."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from torch_mlir import ir
from torch_mlir._mlir_libs import _stablehlo
from torch_mlir.passmanager import PassManager

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.files import printable
from smartmem.frontend.finish import check_static, finish_module, function_specs
from smartmem.frontend.imported_model import ImportedModel
from smartmem.frontend.lowering import new_context, run_passes, walk
from smartmem.frontend.resources import read_resources
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics
from smartmem.passes.form_regions import REGION_OPERATIONS

__all__ = ["import_mlir", "parse_module", "read_resources"]

_STABLEHLO_TO_LINALG = (
    "func.func(chlo-legalize-to-stablehlo),stablehlo-convert-to-signless,"
    "stablehlo-legalize-to-linalg"
)
_TOSA_TO_LINALG = "func.func(tosa-to-linalg-named,tosa-to-linalg,tosa-to-arith,tosa-to-tensor)"
_PORTABLE_ARTIFACT = b"StableHLO_v"
"""The producer that StableHLO writes behind MLIR's magic number."""


def import_mlir(model: Path | bytes | ir.Module) -> ImportedModel:
    """Imports an MLIR program whose entry is ``main`` or its only public function.

    Args:
        model: text, bytecode or a StableHLO portable artifact, as a file or as bytes; a
            module (which is copied).

    Raises:
        InvalidInputError: ``model`` does not parse, has no single entry function, or
            lacks the data of a constant.
        UnsupportedError: it holds dynamic shapes or operations of other dialects.
    """
    context = new_context()
    _load_stablehlo(context)
    module = parse_module(model, context)
    check_static(module)
    inputs, outputs = function_specs(module)
    parameters = read_resources(module)
    source = _lower(module)
    parameters = finish_module(module, parameters)
    return ImportedModel(module, parameters, inputs, outputs, source, None)


def parse_module(model: Path | bytes | ir.Module, context: ir.Context) -> ir.Module:
    """Parses text or bytecode, or copies a module, into ``context``.

    Raises:
        InvalidInputError: with the place of the first error.
    """
    if isinstance(model, ir.Module):
        bytecode = io.BytesIO()
        model.operation.write_bytecode(bytecode)
        return parse_module(bytecode.getvalue(), context)
    errors: list[Diagnostic] = []
    try:
        with collect_diagnostics(context, errors.append):
            return _parse(model, context)
    except (ir.MLIRError, ValueError) as error:
        if (lowered := _parse_lowered(model, context)) is not None:
            return lowered
        name = str(model) if isinstance(model, Path) else "the MLIR module"
        raise InvalidInputError(f"cannot parse {_reason(name, errors, error)}") from error


def _parse_lowered(model: Path | bytes, context: ir.Context) -> ir.Module | None:
    """A module of the last stage, whose groups are in operations of IREE.

    Returns:
        None if it does not parse so, either, or holds other unknown operations.
    """
    context.allow_unregistered_dialects = True
    with suppress(ir.MLIRError, ValueError), collect_diagnostics(context, lambda _: None):
        module = _parse(model, context)
        names = {op.name for op in walk(module)}
        if all(
            context.is_registered_operation(name) or name in REGION_OPERATIONS for name in names
        ):
            return module
    context.allow_unregistered_dialects = False
    return None


def _reason(name: str, errors: list[Diagnostic], error: Exception) -> str:
    if not errors:
        return f"{name}: {(str(error).splitlines() or ['not MLIR'])[0]}"
    first = errors[0].renamed({"-": name})
    return f"{first.point or name}: {first.message}"


def _parse(model: Path | bytes, context: ir.Context) -> ir.Module:
    start = model[:64] if isinstance(model, bytes) else _start_of(model)
    if _PORTABLE_ARTIFACT in start:
        data = model if isinstance(model, bytes) else model.read_bytes()
        return _stablehlo.deserialize_portable_artifact(context, data)
    if isinstance(model, Path) and printable(model) != str(model):  # MLIR takes text alone
        model = model.read_bytes()
    if isinstance(model, Path):
        return ir.Module.parseFile(str(model), context)
    return ir.Module.parse(model, context)


def _start_of(model: Path) -> bytes:
    with model.open("rb") as file:
        return file.read(64)


def _load_stablehlo(context: ir.Context) -> None:
    _stablehlo.register_dialect(context)
    _stablehlo.register_stablehlo_passes()
    # CHLO cannot be registered from Python: a pass that can produce it loads it.
    empty = ir.Module.create(ir.Location.unknown(context))
    with context:
        PassManager.parse("builtin.module(func.func(convert-torch-to-stablehlo))").run(
            empty.operation
        )


def _lower(module: ir.Module) -> str:
    """Lowers StableHLO or TOSA to linalg; returns the kind of program it was."""
    dialects = {operation.name.split(".", 1)[0] for operation in walk(module)}
    if "torch" in dialects:
        raise UnsupportedError(
            "the module is in the torch dialect; import the PyTorch or ONNX model "
            "itself, or lower the module to linalg on tensors first"
        )
    if dialects & {"stablehlo", "chlo", "vhlo"}:
        run_passes(module, _STABLEHLO_TO_LINALG)
        return "stablehlo"
    if "tosa" in dialects:
        run_passes(module, _TOSA_TO_LINALG)
    return "mlir"
