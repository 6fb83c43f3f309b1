"""Write the pages of docs/reference that say what stands in the code.

python scripts/generate_docs.py          write the pages
python scripts/generate_docs.py --check  exit 1 if a page is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from reference_pages.commands import opt_page, smartmem_page
from reference_pages.ir import dialect_page, passes_page
from reference_pages.packages import packages_page
from reference_pages.report import report_page, report_schema_text

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "dialect.md": dialect_page,
    "packages.md": packages_page,
    "passes.md": passes_page,
    "report.md": report_page,
    "report.schema.json": report_schema_text,
    "smartmem.md": smartmem_page,
    "smartmem-opt.md": opt_page,
}


def main() -> int:
    """Writes or checks the pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
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
