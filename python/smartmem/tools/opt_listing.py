"""What ``smartmem-opt`` tells about itself: versions, dialects, passes."""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import version
from typing import get_type_hints

from torch_mlir import ir

import smartmem
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics
from smartmem.mlir.upstream_passes import upstream_passes
from smartmem.passes import PASSES, Pass
from smartmem.tools.opt_source import make_context

_INDENT = 40


def versions() -> str:
    """The versions of SmartMem and of what it is built on, one a line."""
    return "\n".join(
        (
            f"smartmem {smartmem.__version__}",
            f"torch-mlir {version('torch-mlir')} (LLVM {_llvm_version()})",
            f"iree-base-compiler {version('iree-base-compiler')}",
            f"iree-base-runtime {version('iree-base-runtime')}",
        )
    )


def _llvm_version() -> str:
    # The bindings do not export it, but bytecode names its producer: "MLIR24.0.0git".
    buffer = io.BytesIO()
    with ir.Context(), ir.Location.unknown():
        ir.Module.create().operation.write_bytecode(buffer)
    producer = re.search(rb"MLIR([\w.]+)", buffer.getvalue())
    return producer.group(1).decode() if producer else "unknown"


def dialect_listing() -> str:
    """The names of all dialects that the tool's context knows."""
    # A context cannot be asked; the parser lists them when it meets an unknown one.
    context = make_context()
    found: list[Diagnostic] = []
    with collect_diagnostics(context, found.append):
        try:
            ir.Module.parse("no_such_dialect.op", context)
        except ir.MLIRError:
            pass
    notes = (note.message for diagnostic in found for note in diagnostic.notes)
    listing = next(note for note in notes if note.startswith("Available dialects:"))
    # "acc, smartmem (*), xevm (* corresponding to loaded but ...); for more info ..."
    names = re.split(r"\(\* |;", listing.removeprefix("Available dialects:"))[0]
    return "Available Dialects: " + ", ".join(re.findall(r"[a-z]\w*", names))


def pass_listing() -> str:
    """SmartMem's passes with summaries and options, then the names of upstream ones."""
    own = [line for cls in PASSES for line in _describe(cls)]
    upstream = [f"  --{name}" for name in upstream_passes()]
    return "\n".join(
        (
            "SmartMem's passes:",
            *own,
            "",
            "Upstream passes and pipelines (https://mlir.llvm.org/docs/Passes/):",
            *upstream,
        )
    )


def _describe(cls: type[Pass]) -> Iterator[str]:
    yield _row(f"  --{cls.argument}", cls.summary)
    hints, texts = get_type_hints(cls), field_docs(cls)
    for field in fields(cls):
        default = str(field.default).lower() if hints[field.name] is bool else field.default
        yield _row(
            f"    {field.name.replace('_', '-')}=<{hints[field.name].__name__}>",
            f"{texts.get(field.name, '')} (default: {default})".strip(),
        )


def _row(left: str, text: str) -> str:
    return f"{left:<{_INDENT}} - {text}"


def field_docs(cls: type[Pass]) -> dict[str, str]:
    """The docstring below each field of a pass."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = " ".join(doc.split())
    return docs
