"""MLIR's diagnostics as plain Python values that outlive the context they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch_mlir import ir

from smartmem.mlir.builds import build_of


@dataclass(frozen=True)
class SourcePoint:
    """A place in a file; lines and columns count from 1, and are 0 in a binary file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Diagnostic:
    """One message of MLIR or of a pass.

    Attributes:
        severity: ``error``, ``warning``, ``remark`` or ``note``.
        message: the text alone.
        point: where in the source, or None for an operation without a file location.
        notes: further remarks that belong to this message.
    """

    severity: str
    message: str
    point: SourcePoint | None = None
    notes: tuple[Diagnostic, ...] = ()

    def __str__(self) -> str:
        """The message as ``file:line:column: error: text``, notes left out."""
        place = f"{self.point}: " if self.point is not None else ""
        return f"{place}{self.severity}: {self.message}"

    def flat(self) -> Iterator[Diagnostic]:
        """This diagnostic and its notes, in the order in which they are printed."""
        yield replace(self, notes=())
        for note in self.notes:
            yield from note.flat()

    def renamed(self, files: dict[str, str]) -> Diagnostic:
        """The same diagnostic with the file names that ``files`` maps replaced."""
        point = self.point
        if point is not None and point.file in files:
            point = replace(point, file=files[point.file])
        return replace(self, point=point, notes=tuple(n.renamed(files) for n in self.notes))


def source_point(location: ir.Location) -> SourcePoint | None:
    """The first file position inside ``location``, or None if it names no file."""
    ir = build_of(location).ir
    if isinstance(location, ir.FileLineColLoc):
        return SourcePoint(location.filename, location.start_line, location.start_col)
    if isinstance(location, ir.NameLoc):
        return source_point(location.child_loc)
    if isinstance(location, ir.CallSiteLoc):
        return source_point(location.callee)
    if isinstance(location, ir.FusedLoc):
        points = (source_point(part) for part in location.locations)
        return next((point for point in points if point is not None), None)
    return None


@contextmanager
def collect_diagnostics(
    context: ir.Context, sink: Callable[[Diagnostic], None]
) -> Iterator[None]:
    """Hands every diagnostic of ``context`` to ``sink``; MLIR prints none of them itself."""

    def handle(diagnostic: ir.Diagnostic) -> bool:
        sink(_convert(diagnostic))
        return True

    emit_errors = context.emit_error_diagnostics
    # Without this, errors reach the raised MLIRError alone and no handler.
    context.emit_error_diagnostics = True
    handler = context.attach_diagnostic_handler(handle)
    try:
        yield
    finally:
        handler.detach()
        context.emit_error_diagnostics = emit_errors


def _convert(diagnostic: ir.Diagnostic | ir.DiagnosticInfo) -> Diagnostic:
    return Diagnostic(
        diagnostic.severity.name.lower(),
        diagnostic.message,
        source_point(diagnostic.location),
        tuple(_convert(note) for note in diagnostic.notes),
    )
