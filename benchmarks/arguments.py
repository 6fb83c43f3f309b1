"""The command lines that the benchmarks share."""

from __future__ import annotations

import argparse


def script_parser(document: str) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring: its first line, then the rest as it is."""
    first, rest = document.split("\n\n", 1)
    return argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
