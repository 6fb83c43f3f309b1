"""Write docs/passes.md and docs/dialect.md from the docstrings of the code.

python scripts/generate_docs.py          write the pages
python scripts/generate_docs.py --check  exit 1 if a page is not up to date
"""

from __future__ import annotations

import argparse
import inspect
import sys
from dataclasses import fields
from pathlib import Path

from smartmem import dialect
from smartmem.passes import KERNEL_STAGE, PASSES, PIPELINE, Pass

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Written by scripts/generate_docs.py; change the docstrings instead. -->\n"


def passes_page() -> str:
    """The page on passes: the pipeline, then one section for each pass."""
    stages = "\n".join(
        f"| `{stage}` | {', '.join(map(_step, passes))} |" for stage, passes in PIPELINE
    )
    sections = "\n".join(_pass_section(p) for p in PASSES)
    return (
        f"{NOTE}# Passes\n\nIn the order of the pipeline. Each runs alone with its flag:\n"
        f"`smartmem-opt --{PASSES[0].argument} model.mlir`.\n\n"
        "| IR after them | passes |\n|---|---|\n| `input` | the import |\n"
        f"{stages}\n"
        f"| `{KERNEL_STAGE[0]}` | iree-compile up to code generation, "
        f"{_step(KERNEL_STAGE[1])} |\n\n{sections}"
    )


def _step(step: type[Pass] | str) -> str:
    return f"`{step}`" if isinstance(step, str) else f"`--{step.argument}`"


def _pass_section(pass_: type[Pass]) -> str:
    module = sys.modules[pass_.__module__]
    text = f"## `--{pass_.argument}`\n\n{_prose(inspect.getdoc(module) or '')}\n"
    options = fields(pass_)
    if options:
        rows = "\n".join(
            f"| `{f.name.replace('_', '-')}` | {f.type} | `{f.default}` |" for f in options
        )
        text += f"\n| option | type | default |\n|---|---|---|\n{rows}\n"
    return text


def dialect_page() -> str:
    """The page on the dialect: attributes, then operations."""
    attributes = (dialect.LayoutAttr, dialect.GroupAttr, dialect.MappingAttr)
    operations = (dialect.ViewOp, dialect.ConcatOp, dialect.RelayoutOp)
    parts = [f"## `#{a.attr_name}`\n\n{_prose(inspect.getdoc(a) or '')}\n" for a in attributes]
    parts += [
        f"## `{o.OPERATION_NAME}`\n\n{_prose(inspect.getdoc(o) or '')}\n" for o in operations
    ]
    return f"{NOTE}# The dialect `smartmem`\n\n" + "\n".join(parts)


def _prose(docstring: str) -> str:
    """A docstring as Markdown: double backticks become single, indented text a block."""
    lines, block = [], False
    for line in docstring.replace("``", "`").splitlines():
        indented = line.startswith("  ")
        if indented != block and line.strip():
            lines.append("```text" if indented else "```")
            block = indented
        lines.append(line)
    if block:
        lines.append("```")
    return "\n".join(lines)


def main() -> int:
    """Writes or checks the pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    stale = []
    for name, text in (("passes.md", passes_page()), ("dialect.md", dialect_page())):
        path = DOCS / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
