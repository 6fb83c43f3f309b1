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
    """A docstring as Markdown: double backticks become single, indented text a block.

    What is indented below an item of a list belongs to the item.
    """
    lines: list[str] = []
    block: list[str] = []
    is_item = False
    for line in [*docstring.replace("``", "`").splitlines(), "end"]:
        is_item = line.startswith("- ") or (is_item and line.startswith("  "))
        if not is_item and (line.startswith("  ") or (block and not line.strip())):
            block.append(line)
            continue
        lines += _fenced(block, lines)
        block = []
        if line.startswith("- ") and lines and not lines[-1].startswith(("- ", "  ")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines[:-1])


def _fenced(block: list[str], before: list[str]) -> list[str]:
    """Indented lines between fences, with a blank line before, and those behind them."""
    if not block:
        return []
    text = "\n".join(block).rstrip().splitlines()
    space = [""] if before and before[-1].strip() else []
    return [*space, "```text", *text, "```", *[""] * (len(block) - len(text))]
