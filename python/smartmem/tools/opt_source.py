"""Input of ``smartmem-opt``: reading, splitting and parsing text or bytecode."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch_mlir import ir

from smartmem import dialect
from smartmem.errors import InvalidInputError, VerificationError
from smartmem.files import printable, refuse_special
from smartmem.mlir.builds import build_of, kernel_build, model_build
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics
from smartmem.mlir.torch_dialects import load_torch_dialects
from smartmem.mlir.upstream_passes import register_torch_passes

_BYTECODE_MAGIC = b"ML\xefR"
_PARSER_NAME = "-"  # the file name that MLIR gives to a parsed string


@dataclass(frozen=True)
class Source:
    """The input, or one part of it between split markers.

    Attributes:
        name: the file's name in messages.
        content: text, or bytecode.
        first_line: number of the text's first line in the file.
    """

    name: str
    content: str | bytes
    first_line: int = 1

    @cached_property
    def lines(self) -> list[str]:
        """The text's lines; empty for bytecode."""
        return self.content.splitlines() if isinstance(self.content, str) else []

    def split(self, marker: str) -> Iterator[Source]:
        """The parts between lines that start with ``marker``; bytecode is one part."""
        if isinstance(self.content, bytes):
            yield self
            return
        start, first_line = 0, 1
        for match in re.finditer(
            rf"^{re.escape(marker)}.*(?:\n|\Z)", self.content, re.MULTILINE
        ):
            yield Source(self.name, self.content[start : match.start()], first_line)
            first_line += self.content.count("\n", start, match.end())
            start = match.end()
        yield Source(self.name, self.content[start:], first_line)


def read_source(path: str) -> Source:
    """Reads a file, or stdin for ``-``.

    Raises:
        InvalidInputError: unreadable, or neither UTF-8 text nor MLIR bytecode.
    """
    name = "<stdin>" if path == "-" else printable(path)
    try:
        data = sys.stdin.buffer.read() if path == "-" else _content(Path(path))
    except OSError as error:
        raise InvalidInputError(
            f"cannot read {name}: {error.strerror or error}; give an MLIR file or - for stdin"
        ) from error
    if data.startswith(_BYTECODE_MAGIC):
        return Source(name, data)
    try:
        return Source(name, data.decode())
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{name} is neither MLIR text nor MLIR bytecode: byte {error.start} is not UTF-8"
        ) from error


def _content(path: Path) -> bytes:
    # A pipe has an end, as that of a shell's <(command).
    if not path.is_fifo() and os.path.realpath(path) != os.devnull:
        refuse_special(path)
    return path.read_bytes()


def make_context(
    allow_unregistered: bool = False, works_on: Literal["model", "kernels"] = "model"
) -> ir.Context:
    """A context with all upstream dialects, torch-mlir's, StableHLO and SmartMem's.

    Args:
        works_on: ``kernels`` for one of IREE's build of MLIR, with IREE's dialects.
    """
    if works_on == "kernels":
        context = kernel_build().ir.Context()
        context.allow_unregistered_dialects = allow_unregistered
        return context
    from torch_mlir._mlir_libs import _stablehlo

    register_torch_passes()
    context = ir.Context()
    load_torch_dialects(context)
    _stablehlo.register_dialect(context)
    dialect.load(context)
    context.allow_unregistered_dialects = allow_unregistered
    return context


def parse_source(
    source: Source, context: ir.Context, implicit_module: bool
) -> ir.Module | ir.Operation:
    """What ``source`` holds, verified, with locations in its file.

    Args:
        implicit_module: put the operations into a ``builtin.module`` if there is none;
            otherwise the text must hold one operation of any kind.

    Raises:
        InvalidInputError: the IR is broken; MLIR's diagnostics say where.
    """
    ir = build_of(context).ir
    try:
        if isinstance(source.content, bytes):
            return ir.Module.parse(source.content, context)
        # Lines keep the numbers that they have in the whole file.
        text = "\n" * (source.first_line - 1) + source.content
        if not implicit_module:
            parsed = ir.Operation.parse(text, source_name=source.name, context=context)
            return parsed.operation
        module = ir.Module.parse(text, context)
    except ir.MLIRError as error:
        raise InvalidInputError(f"{source.name} does not hold valid MLIR") from error
    _rename_locations(module.operation, source.name)
    return module


def _rename_locations(root: ir.Operation, name: str) -> None:
    build = build_of(root).ir

    def renamed(location: ir.Location) -> ir.Location:
        is_file = isinstance(location, build.FileLineColLoc)
        if not is_file or location.filename != _PARSER_NAME:
            return location
        return build.Location.file(name, location.start_line, location.start_col)

    def visit(operation: ir.Operation) -> ir.WalkResult:
        operation.location = renamed(operation.location)
        for region in operation.regions:
            for block in region:
                for argument in block.arguments:
                    argument.set_location(renamed(argument.location))
        return build.WalkResult.ADVANCE

    with root.context:
        root.walk(visit)


def verify_roundtrip(operation: ir.Operation) -> None:
    """Writes ``operation`` as text and as bytecode and parses both again.

    Raises:
        VerificationError: a form does not parse, or parses to something else.
    """
    expected = operation.get_asm(print_generic_op_form=True)
    buffer = io.BytesIO()
    operation.write_bytecode(buffer)
    is_module = operation.name == "builtin.module"
    forms: dict[str, str | bytes] = {"text": operation.get_asm(), "generic text": expected}
    if is_module:
        forms["bytecode"] = buffer.getvalue()
    allow_unregistered = operation.context.allow_unregistered_dialects
    works_on: Literal["model", "kernels"] = (
        "model" if build_of(operation) is model_build() else "kernels"
    )
    for form, content in forms.items():
        # A context of its own: the keys of resources stay what they are.
        context = make_context(allow_unregistered, works_on)
        _compare(form, _reparsed(form, content, is_module, context), expected)


def _reparsed(form: str, content: str | bytes, is_module: bool, context: ir.Context) -> str:
    found: list[Diagnostic] = []
    with collect_diagnostics(context, found.append):
        try:
            module = parse_source(Source(form, content), context, is_module)
        except InvalidInputError as error:
            raise VerificationError(f"the {form} form does not parse: {found[0]}") from error
    return str(module.operation.get_asm(print_generic_op_form=True))


def _compare(form: str, found: str, expected: str) -> None:
    if found == expected:
        return
    pairs = zip(expected.splitlines(), found.splitlines(), strict=False)
    before, after = next(((a, b) for a, b in pairs if a != b), ("", ""))
    raise VerificationError(
        f"the {form} form does not parse back to the same IR: "
        f"'{before.strip()}' became '{after.strip()}'"
    )
