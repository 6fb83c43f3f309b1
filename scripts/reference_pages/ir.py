"""The pages on passes and on the dialect, from their docstrings."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import get_type_hints

from reference_pages.markdown import NOTE, prose, table
from smartmem import dialect
from smartmem.passes import KERNEL_STAGE, PASSES, PIPELINE, Pass
from smartmem.tools.opt_listing import field_docs

_ATTRIBUTES = (dialect.LayoutAttr, dialect.GroupAttr, dialect.MappingAttr)
_OPERATIONS = (dialect.ViewOp, dialect.ConcatOp, dialect.RelayoutOp)


def passes_page() -> str:
    """The pipeline, then one section for each pass."""
    stages = [
        ["`input`", "the import"],
        *([f"`{stage}`", ", ".join(map(_step, passes))] for stage, passes in PIPELINE),
        [
            f"`{KERNEL_STAGE[0]}`",
            f"iree-compile up to code generation, {', '.join(map(_step, KERNEL_STAGE[1]))}",
        ],
    ]
    sections = "\n".join(map(_pass_section, PASSES))
    return (
        f"{NOTE}# Passes\n\nIn the order of the pipeline. Each runs alone with its flag:\n\n"
        f"```sh\nsmartmem-opt --{PASSES[0].argument} model.mlir\n```\n\n"
        f"{table(('IR after them', 'passes'), stages)}\n{sections}"
    )


def _step(step: type[Pass] | str) -> str:
    if isinstance(step, str):
        return f"`{step}`"
    return f"[`--{step.argument}`](#{step.argument})"


def _pass_section(pass_: type[Pass]) -> str:
    text = inspect.getdoc(sys.modules[pass_.__module__]) or ""
    options = list(_options(pass_))
    listed = table(("option", "type", "default", "meaning"), options) if options else ""
    for_ = "" if len(pass_.runs_on) > 1 else f"For {pass_.runs_on[0].__name__.upper()}s only.\n"
    heading = f"## `--{pass_.argument}` {{ #{pass_.argument} }}"
    return "\n".join(
        part for part in (f"{heading}\n", prose(text) + "\n", for_, listed) if part
    )


def _options(pass_: type[Pass]) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each option.

    Raises:
        ValueError: an option without a docstring.
    """
    hints, texts = get_type_hints(pass_), field_docs(pass_)
    for field in fields(pass_):
        if not texts.get(field.name):
            raise ValueError(f"{pass_.__name__}.{field.name} has no docstring")
        default = str(field.default).lower() if hints[field.name] is bool else field.default
        name = field.name.replace("_", "-")
        shown = f"`{default}`" if default != "" else "none"
        yield f"`{name}`", hints[field.name].__name__, shown, texts[field.name]


def dialect_page() -> str:
    """Attributes, then operations."""
    parts = [_section(f"#{a.attr_name}", a) for a in _ATTRIBUTES]
    parts += [_section(o.OPERATION_NAME, o) for o in _OPERATIONS]
    return f"{NOTE}# The dialect `smartmem`\n\n" + "\n".join(parts)


def _section(name: str, of: type) -> str:
    return f"## `{name}`\n\n{prose(inspect.getdoc(of) or '')}\n"
