"""How ``smartmem-opt`` shows diagnostics, and checks them against ``expected-*`` comments."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from smartmem.errors import SmartMemError
from smartmem.mlir.diagnostics import Diagnostic, SourcePoint
from smartmem.passes import Remark
from smartmem.tools.opt_source import Source

_DIRECTIVE = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)(?P<regex>-re)? *"
    r"(?:@(?P<line>[+-]\d+|above|below|unknown))? *\{\{(?P<text>.*)\}\}\s*$"
)
_POINT = re.compile(r'"((?:[^"\\]|\\.)*)":(\d+):(\d+)')
_CONTEXT_WIDTH = 160
# The tool reads this section of a reproducer itself; MLIR's parser does not know it.
_REPRODUCER_WARNING = "ignoring unknown external resources for 'mlir_reproducer'"


@dataclass
class Reporter:
    """Receives the diagnostics of one input; prints them or keeps them for checking.

    Attributes:
        source: the whole input, for its name and its lines.
        keep: whether diagnostics are kept to be compared with ``expected-*`` comments
            instead of being printed.
    """

    source: Source
    keep: bool = False
    kept: list[Diagnostic] = field(default_factory=list)
    errors: int = 0

    def __call__(self, diagnostic: Diagnostic) -> None:
        """Takes one diagnostic with its notes."""
        if diagnostic.message == _REPRODUCER_WARNING:
            return
        # MLIR parses a string under the name "-".
        diagnostic = diagnostic.renamed({"-": self.source.name})
        self.errors += diagnostic.severity == "error"
        for single in diagnostic.flat():
            if self.keep:
                self.kept.append(single)
            else:
                self.show(single)

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Reports the error that ends the stage, unless a diagnostic told it already."""
        errors = self.errors
        try:
            yield
        except SmartMemError as error:
            if self.errors == errors:
                self(Diagnostic("error", str(error)))
            raise

    def remarks(self, remarks: Sequence[Remark]) -> None:
        """Takes the decisions of SmartMem's passes."""
        for remark in remarks:
            decision = "applied" if remark.applied else "kept"
            text = f"[{remark.argument}] {remark.op} {decision}: {remark.reason}"
            self(Diagnostic("remark", text, _printed_point(remark.location)))

    def show(self, diagnostic: Diagnostic) -> None:
        """Prints one diagnostic to stderr, with its source line and a caret."""
        print(diagnostic, file=sys.stderr)
        point = diagnostic.point
        if point is None or point.file != self.source.name:
            return
        if not 0 < point.line <= len(self.source.lines):
            return
        for line in _excerpt(self.source.lines[point.line - 1], point.column):
            print(line, file=sys.stderr)


def _printed_point(location: str) -> SourcePoint | None:
    """The first file position in the text of a location."""
    match = _POINT.search(location)
    return SourcePoint(match[1], int(match[2]), int(match[3])) if match else None


def _excerpt(line: str, column: int) -> tuple[str, str]:
    """The part of ``line`` around ``column``, and a line with a caret below that column."""
    start = max(0, column - 1 - _CONTEXT_WIDTH // 2) if len(line) > _CONTEXT_WIDTH else 0
    before = line[start : max(column - 1, 0)]
    # Tabs stay tabs, so that the caret lands below its column.
    return line[start : start + _CONTEXT_WIDTH], re.sub(r"[^\t]", " ", before) + "^"


@dataclass(frozen=True)
class _Expectation:
    """One ``expected-*`` comment: what must be reported, and where it says so."""

    severity: str
    text: str
    pattern: re.Pattern[str]
    line: int | None  # None: @unknown
    written: SourcePoint

    def matches(self, diagnostic: Diagnostic, file: str) -> bool:
        if diagnostic.severity != self.severity or not self.pattern.search(diagnostic.message):
            return False
        point = diagnostic.point
        if point is None or point.line == 0:  # 0: the module as a whole
            return self.line is None
        return (point.file, point.line) == (file, self.line)


def unmet_expectations(
    reporter: Reporter, part: Source, only_expected: bool
) -> list[Diagnostic]:
    """What a ``--verify-diagnostics`` run has to complain about.

    Args:
        reporter: holds the diagnostics of ``part``.
        part: the text whose comments count.
        only_expected: let diagnostics pass that no comment expects.
    """
    faults: list[Diagnostic] = []
    open_expectations = []
    for found in _expectations(part):
        if isinstance(found, Diagnostic):
            faults.append(found)
        else:
            open_expectations.append(found)
    for diagnostic in reporter.kept:
        match = next((e for e in open_expectations if e.matches(diagnostic, part.name)), None)
        if match is not None:
            open_expectations.remove(match)
        elif not only_expected:
            message = f"unexpected {diagnostic.severity}: {diagnostic.message}"
            faults.append(Diagnostic("error", message, diagnostic.point))
    for missing in open_expectations:
        message = f'expected {missing.severity} "{missing.text}" was not produced'
        faults.append(Diagnostic("error", message, missing.written))
    return faults


def _expectations(part: Source) -> Iterator[_Expectation | Diagnostic]:
    """The expectations in the text of ``part``, and an error for each malformed one."""
    matches = [_DIRECTIVE.search(line) for line in part.lines]
    plain = [index for index, match in enumerate(matches) if match is None]
    for index, match in enumerate(matches):
        if match is None:
            continue
        written = SourcePoint(part.name, part.first_line + index, match.start() + 1)
        target = _target(match["line"], index, plain)
        line = None if target is None else part.first_line + target
        try:
            pattern = _pattern(match["text"], match["regex"] is not None)
        except re.error as error:
            message = f"invalid regular expression in expected diagnostic: {error}"
            yield Diagnostic("error", message, written)
            continue
        yield _Expectation(match["severity"], match["text"], pattern, line, written)


def _target(designator: str | None, index: int, plain: Sequence[int]) -> int | None:
    """Index of the line that is meant, or None for an unknown location.

    ``@above`` and ``@below`` mean the nearest line that is no expectation itself.
    """
    if designator is None:
        return index
    if designator == "unknown":
        return None
    if designator == "above":
        return max((line for line in plain if line < index), default=-1)
    if designator == "below":
        return min((line for line in plain if line > index), default=index + 1)
    return index + int(designator)


def _pattern(text: str, is_regex: bool) -> re.Pattern[str]:
    """``text`` as a pattern; with ``is_regex`` the parts in ``{{...}}`` are regular expressions."""
    if not is_regex:
        return re.compile(re.escape(text))
    pieces = re.split(r"\{\{(.*?)\}\}", text)
    return re.compile(
        "".join(p if i % 2 else re.escape(p) for i, p in enumerate(pieces)), re.DOTALL
    )
