"""The documents: their commands parse, and what is written from the code is up to date."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

from smartmem.tools.cli import app
from smartmem.tools.opt_arguments import parse_arguments

ROOT = Path(__file__).resolve().parents[2]
MADE = {"passes/fold_views.py"}
"""Files that a reader is to write."""
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[a-z]*/README.md")])


def commands(page: Path) -> Iterator[list[str]]:
    """The commands in the blocks of a page, as words."""
    for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            yield from ([*words] for words in split(line) if words)


def split(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if word in ("&&", "|"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_pages_are_up_to_date() -> None:
    script = ROOT / "scripts" / "generate_docs.py"
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_commands_are_spelled_as_the_tools_take_them() -> None:
    group = typer.main.get_command(app)
    seen = 0
    for page in PAGES:
        for tool, *words in commands(page):
            if tool == "smartmem" and not words[0].startswith("-"):
                group.commands[words[0]].make_context(words[0], words[1:])
            elif tool == "smartmem-opt" and not {"--help", "--version"} & {*words}:
                parse_arguments(words)[1].elements("builtin.module")
            seen += tool.startswith("smartmem")
    assert seen > 60


def test_programs_import_what_there_is() -> None:
    seen = 0
    for page in PAGES:
        for program in re.findall(
            r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
        ):
            for node in ast.walk(ast.parse(program)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                    "smartmem"
                ):
                    module = import_module(node.module)
                    assert all(hasattr(module, name.name) for name in node.names), (
                        page,
                        program,
                    )
                    seen += 1
    assert seen > 5


def test_source_files_that_are_named_exist() -> None:
    roots = (ROOT, ROOT / "passes", ROOT / "python" / "smartmem")
    for page in PAGES:
        for path in re.findall(
            r"(?<![\w/.-])[a-z]\w*/[\w/.-]*\w\.(?:py|sh)\b", page.read_text()
        ):
            assert path in MADE or any((root / path).exists() for root in roots), (page, path)
