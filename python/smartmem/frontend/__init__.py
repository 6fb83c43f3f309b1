"""Readers of models: each gives linalg on tensors and a parameter table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.files import printable, refuse_special
from smartmem.frontend.imported_model import ImportedModel, Reference
from smartmem.parameters import Array
from smartmem.tensor_spec import TensorSpec

__all__ = [
    "INPUT_FORMATS",
    "Array",
    "ImportedModel",
    "Reference",
    "TensorSpec",
    "import_model",
]

INPUT_FORMATS = ("torch", "onnx", "mlir")
"""What ``input_format`` can be. StableHLO and TOSA programs are "mlir"."""

_SUFFIXES = {
    ".onnx": "onnx",
    ".mlir": "mlir",
    ".mlirbc": "mlir",
    ".stablehlo": "mlir",
    ".pt2": "torch",
}
_MLIR_BYTECODE = b"ML\xefR"
_ZIP = b"PK\x03\x04"
_PICKLES = (".pt", ".pth", ".bin", ".ckpt")
_SNIFFED = 4096


def import_model(
    model: Any,
    *,
    inputs: Any = None,
    input_format: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> ImportedModel:
    """Imports a model of any kind that SmartMem reads.

    Args:
        model: a path, the bytes of an ONNX or MLIR file, an ``onnx.ModelProto``, a
            ``torch.nn.Module``, a ``torch.export.ExportedProgram`` or an MLIR module
            (which is copied).
        inputs: example inputs, tensors or arrays: one, a sequence, or a mapping by
            name. An ``nn.Module`` needs them; elsewhere their shapes fix dynamic sizes.
        input_format: one of ``INPUT_FORMATS``, where a path's suffix or the content
            would mislead.
        input_shapes: fixes dynamic sizes of ONNX inputs, by input name. The inputs of
            other models have these shapes already, or it is an error.

    Raises:
        InvalidInputError: the model cannot be read or is not a model.
        UnsupportedError: it holds an operation, dtype or shape with no lowering.
        ToolMissingError: PyTorch or onnx is needed and not installed.
    """
    if input_format is not None and input_format not in INPUT_FORMATS:
        raise InvalidInputError(
            f"unknown input format {input_format!r}; use one of {', '.join(INPUT_FORMATS)}"
        )
    if isinstance(model, str):
        model = Path(model)
    if isinstance(model, Path):
        _check_readable(model)
    kind = input_format or _kind_of(model)
    if isinstance(model, Path) and kind != "mlir" and printable(model) != str(model):
        raise InvalidInputError(
            f"the name of {printable(model)} is not UTF-8, and readers of {kind} models take "
            "no other; rename the file"
        )
    if kind == "onnx":
        return _import_onnx(model, inputs, input_shapes or {})
    imported = _import_torch(model, inputs) if kind == "torch" else _import_mlir(model)
    _check_shapes(imported.inputs, input_shapes or {})
    return imported


def _kind_of(model: Any) -> str:
    if isinstance(model, ir.Module):
        return "mlir"
    if isinstance(model, Path):
        if model.suffix in _PICKLES:
            raise InvalidInputError(
                f"{model} holds pickled Python objects, not a program; "
                "save the model with torch.export.save (.pt2) or as ONNX"
            )
        with model.open("rb") as file:
            return _SUFFIXES.get(model.suffix) or _kind_of_bytes(file.read(_SNIFFED))
    if isinstance(model, bytes):
        return _kind_of_bytes(model[:_SNIFFED])
    if _is_instance(model, "torch.nn", "Module") or _is_instance(
        model, "torch.export", "ExportedProgram"
    ):
        return "torch"
    if _is_instance(model, "onnx", "ModelProto"):
        return "onnx"
    raise InvalidInputError(
        f"cannot import a {type(model).__name__}; pass a path, ONNX bytes or ModelProto, a "
        "torch module or exported program, or an MLIR module"
    )


def _is_instance(model: object, module: str, name: str) -> bool:
    """``isinstance`` without an import: what was never imported has no instances."""
    owner = sys.modules.get(module)
    return owner is not None and isinstance(model, getattr(owner, name))


def _kind_of_bytes(start: bytes) -> str:
    if start.startswith(_MLIR_BYTECODE):
        return "mlir"
    if start.startswith(_ZIP):
        return "torch"
    # Protobuf is not text: its field headers are control characters.
    is_text = all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in start)
    return "mlir" if is_text else "onnx"


def _check_readable(path: Path) -> None:
    try:
        refuse_special(path)
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot read the model {path}: {reason}") from error
    if empty:
        raise InvalidInputError(f"the model {path} is an empty file")


def _check_shapes(inputs: Sequence[TensorSpec], shapes: Mapping[str, Sequence[int]]) -> None:
    known = {spec.name: spec.shape for spec in inputs}
    for name, shape in shapes.items():
        if known.get(name) != tuple(shape):
            raise InvalidInputError(
                f"the shape {tuple(shape)} is given for {name}, but the model's inputs are "
                f"{', '.join(map(str, inputs))}; only ONNX inputs can have open sizes"
            )


def _import_torch(model: Any, inputs: Any) -> ImportedModel:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise ToolMissingError(
            "PyTorch is needed for PyTorch models: pip install 'smartmem[torch]'"
        ) from error
    from smartmem.frontend.torch import import_torch

    return import_torch(model, inputs)


def _import_onnx(model: Any, inputs: Any, shapes: Mapping[str, Sequence[int]]) -> ImportedModel:
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise ToolMissingError(
            "the onnx package is needed for ONNX models: pip install 'smartmem[onnx]'"
        ) from error
    from smartmem.frontend.onnx import import_onnx

    return import_onnx(model, inputs, shapes)


def _import_mlir(model: Any) -> ImportedModel:
    from smartmem.frontend.mlir import import_mlir

    return import_mlir(model)
