"""The command lines that the benchmarks share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import Any

from smartmem.options import STRICT_VARIABLE


def script_parser(document: str) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring: its first line, then the rest as it is.

    From here on every compilation of this process and of its children is strict, unless
    ``SMARTMEM_STRICT=0`` or ``--no-strict`` says otherwise: figures of a model of which
    something was given up are not what they seem.
    """
    first, rest = document.split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    os.environ.setdefault(STRICT_VARIABLE, "1")
    parser.add_argument(
        "--strict",
        action=_Strict,
        default=os.environ[STRICT_VARIABLE] == "1",
        help="whether what a pass or a kernel fails at is an error (default)",
    )
    return parser


def check_names(
    parser: argparse.ArgumentParser, given: Sequence[str], known: Iterable[str]
) -> None:
    """Ends the script with a message that names what is not ``known``."""
    known = list(known)
    if unknown := [name for name in given if name not in known]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")


class _Strict(argparse.BooleanOptionalAction):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        super().__call__(parser, namespace, values, option_string)
        os.environ[STRICT_VARIABLE] = str(int(namespace.strict))
