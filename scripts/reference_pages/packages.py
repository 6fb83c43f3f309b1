"""The page on the folders of the source tree, from the docstrings of their packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from reference_pages.markdown import NOTE, table

ROOT = Path(__file__).resolve().parents[2]

_INTRODUCTION = """\
# Source tree

Every package, by the first line of its docstring. `dialect/` and `passes/` are installed as
`smartmem.dialect` and `smartmem.passes`. Beside them: `runtime/` (the Vulkan library, C++), `test/`,
`benchmarks/` (scripts that measure and check), `examples/`, `scripts/`, `docs/`.
"""


def packages_page() -> str:
    """A table of all packages."""
    rows = [row for root in ("dialect", "passes", "python/smartmem") for row in _packages(root)]
    return f"{NOTE}{_INTRODUCTION}\n{table(('folder', 'holds'), rows)}"


def _packages(root: str) -> Iterator[list[str]]:
    for file in sorted((ROOT / root).rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        name = file.parent.relative_to(ROOT).as_posix()
        yield [f"`{name}/`", text.split("\n\n")[0].replace("``", "`")]
