"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by scripts/generate_docs.py; change the code instead. -->\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def prose(docstring: str) -> str:
    """A docstring as Markdown: double backticks become single, indented text a block."""
    lines: list[str] = []
    block: list[str] = []
    for line in [*docstring.replace("``", "`").splitlines(), "end"]:
        if line.startswith("  ") or (block and not line.strip()):
            block.append(line)
            continue
        if block and lines and lines[-1].strip():
            lines.append("")
        lines += _fenced(block)
        block = []
        lines.append(line)
    return "\n".join(lines[:-1])


def _fenced(block: list[str]) -> list[str]:
    """Indented lines between fences; the blank ones behind them stay behind."""
    if not block:
        return []
    text = "\n".join(block).rstrip().splitlines()
    return ["```text", *text, "```", *[""] * (len(block) - len(text))]
