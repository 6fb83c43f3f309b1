"""The text of pass pipelines: elements from text and text from elements.

MLIR's textual pipelines cannot name a pass written in Python, so the outer list is
split here and only upstream elements go to MLIR's own parser.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TypeAlias

from torch_mlir import ir
from torch_mlir.passmanager import PassManager

from smartmem.errors import PassError
from smartmem.mlir.upstream_passes import UNREGISTERED, register_torch_passes, upstream_passes
from smartmem.passes import PASSES, Pass

PipelineElement: TypeAlias = Pass | str
"""A pass of SmartMem, or the text of an upstream element."""

MODULE = "builtin.module"

_ELEMENT = re.compile(
    r"(?P<name>[\w.*-]+)\s*(?:\((?P<nested>.*)\)|\{(?P<options>.*)\})?", re.DOTALL
)
_UNKNOWN = re.compile(rf"'([^']*)' {UNREGISTERED}")
_FAILING = re.compile(r"failed to add `([^`]+)`")
_RESTRICTED = re.compile(r"restricted to '([^']+)'")
_CLOSING = {"(": ")", "{": "}", "[": "]"}


def parse_pipeline(
    text: str, *, anchor: str = MODULE, passes: Sequence[type[Pass]] = PASSES
) -> list[PipelineElement]:
    """The elements of ``builtin.module(canonicalize,func.func(cse),smartmem-x{a=1})``.

    The outer ``builtin.module(...)`` may be left out. Names of upstream passes are
    checked by ``run_pipeline`` and ``expand_pipeline``.

    Args:
        anchor: name of the operation that the pipeline will run on.
        passes: the passes written in Python that the text may name.

    Raises:
        PassError: unbalanced text, bad options of a pass of SmartMem, or such a pass
            nested in another operation than the module.
    """
    elements = _split(text)
    if len(elements) == 1:
        name, nested, _ = _parts(elements[0])
        if nested is not None and name in (anchor, "any"):
            elements = _split(nested)
    known = {cls.argument: cls for cls in passes}
    return [_element(element, anchor, known) for element in elements]


_SHORT_NAME = 4


def parse_flag(
    name: str,
    options: str = "",
    *,
    anchor: str = MODULE,
    passes: Sequence[type[Pass]] = PASSES,
    other_flags: Sequence[str] = (),
) -> PipelineElement:
    """The element for a command line flag ``--name='options'``.

    An upstream pass that works on another operation than ``anchor``, such as a function,
    is nested there, as ``mlir-opt`` does for flags.

    Args:
        anchor: name of the operation that the pipeline will run on.
        passes: the passes written in Python that may be named.
        other_flags: further names to suggest in place of an unknown one.

    Raises:
        PassError: an unknown pass or option.
    """
    for cls in passes:
        if cls.argument == name:
            return _own_pass(cls, options, anchor)
    text = f"{name}{{{options}}}" if options else name
    with ir.Context():
        fault = _add_text(PassManager(anchor), text)
        restricted = _RESTRICTED.search(fault)
        if restricted:
            return f"{restricted.group(1)}({text})"
        if fault:
            raise _text_error(text, fault, passes, other_flags)
    return text


def format_element(element: PipelineElement) -> str:
    """The text of one element, with all options of a pass of SmartMem."""
    if isinstance(element, str):
        return element
    options = " ".join(
        f"{field.name.replace('_', '-')}={_option_text(getattr(element, field.name))}"
        for field in fields(element)
    )
    return f"{element.argument}{{{options}}}" if options else element.argument


def format_pipeline(elements: Sequence[PipelineElement], anchor: str = MODULE) -> str:
    """The text from which ``parse_pipeline`` makes ``elements`` again."""
    return f"{anchor}({','.join(map(format_element, elements))})"


def add_upstream(manager: PassManager, text: str) -> None:
    """Adds an upstream element to ``manager``.

    Raises:
        PassError: an unknown pass or option, or a pass that cannot run there.
    """
    fault = _add_text(manager, text)
    if fault:
        raise _text_error(text, fault, PASSES)


def _add_text(manager: PassManager, text: str) -> str:
    """Adds upstream text to ``manager``; returns what the parser objects to, or ""."""
    register_torch_passes()
    try:
        manager.add(text)
    except ValueError as error:
        return str(error)
    return ""


def _text_error(
    text: str, fault: str, passes: Sequence[type[Pass]], other_flags: Sequence[str] = ()
) -> PassError:
    unknown = _UNKNOWN.search(fault)
    if unknown:
        names = [*other_flags, *(cls.argument for cls in passes), *upstream_passes()]
        return unknown_pass(unknown.group(1), names, other_flags)
    restricted = _RESTRICTED.search(fault)
    if restricted:
        anchor = restricted.group(1)
        return PassError(text, f"works on {anchor}; write '{anchor}({text})'")
    # The parser's text: "MLIR Textual PassPipeline Parser:1:3: error: what", or
    # "<Pass-Options-Parser>: what", then the text again with a caret.
    what = re.sub(r"^.*?(?:error: |Parser>: )", "", fault.strip().splitlines()[0])
    failing = _FAILING.search(fault)
    return PassError(text, what + (_known_options(failing.group(1)) if failing else ""))


def unknown_pass(name: str, names: Sequence[str], options: Sequence[str] = ()) -> PassError:
    """The error about a name that no pass has, with those that are close.

    Args:
        names: all that there are.
        options: which of them are options of smartmem-opt, and no passes.
    """
    # Of a short name, one letter is a large part.
    cutoff = 0.6 if len(name) <= _SHORT_NAME else 0.7
    close = difflib.get_close_matches(name, names, n=3, cutoff=cutoff)
    if not close:
        what = "pass or option" if options else "pass"
        return PassError(name, f"no such {what}; see smartmem-opt --list-passes")
    what = "option" if close[0] in options else "pass"
    return PassError(name, f"no such {what}; did you mean {' or '.join(close)}?")


def _known_options(name: str) -> str:
    """The options of an upstream pass, for the end of an error message."""
    manager = PassManager("any")
    if _add_text(manager, name):
        return ""
    options = sorted(re.findall(r"([\w-]+)=", str(manager)))
    return f"; options: {', '.join(options)}" if options else "; it has no options"


def _element(text: str, anchor: str, known: dict[str, type[Pass]]) -> PipelineElement:
    name, nested, options = _parts(text)
    if name in known and nested is None:
        return _own_pass(known[name], options, anchor)
    if nested is not None:
        for inner in pass_names(nested):
            if inner in known:
                raise _misplaced(inner, name)
    return text


def _own_pass(cls: type[Pass], options: str, anchor: str) -> Pass:
    if anchor != MODULE:
        raise _misplaced(cls.argument, anchor)
    return cls.parse(options)


def _misplaced(name: str, anchor: str) -> PassError:
    return PassError(name, f"runs on the outermost {MODULE} only, not inside of {anchor}")


def pass_names(text: str) -> Iterator[str]:
    """The names of the passes in the text of elements, in order."""
    for element in _split(text):
        name, nested, _ = _parts(element)
        if nested is None:
            yield name
        else:
            yield from pass_names(nested)


def apart(text: str) -> Iterator[str]:
    """Elements with one pass each that do what ``text`` does: ``f(a,b)`` is f(a), then f(b)."""
    for element in _split(text):
        name, nested, _ = _parts(element)
        if nested is None:
            yield element
        else:
            yield from (f"{name}({part})" for part in apart(nested))


def _parts(element: str) -> tuple[str, str | None, str]:
    """Name, nested pipeline (None if there is none) and options of one element."""
    match = _ELEMENT.fullmatch(element)
    if match is None:
        raise _malformed(f"'{element}' is not a pass or 'operation(passes)'")
    return match["name"], match["nested"], match["options"] or ""


def _split(text: str) -> list[str]:
    """Splits at the commas outside of all brackets and quotes."""
    if not text.strip():
        return []
    elements, expected, quote, start = [], "", "", 0
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _CLOSING:
            expected = _CLOSING[char] + expected
        elif char in ")}]":
            if not expected.startswith(char):
                raise _malformed(f"unexpected '{char}' at column {position + 1} of '{text}'")
            expected = expected[1:]
        elif char == "," and not expected:
            elements.append(text[start:position].strip())
            start = position + 1
    if expected or quote:
        raise _malformed(f"missing '{quote or expected[0]}' at the end of '{text}'")
    elements.append(text[start:].strip())
    return elements


def _malformed(message: str) -> PassError:
    return PassError("pipeline", message)


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
