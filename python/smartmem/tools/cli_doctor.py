"""``smartmem doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from smartmem.tools.cli_console import command, result
from smartmem.tools.cli_settings import MessageSettings


@command
def doctor_command(
    messages: MessageSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what this installation and machine have, and what is missing, for a bug report.

    Prints Markdown. Ends with 1 if models cannot be compiled here.
    """
    from smartmem.doctor.diagnosis import diagnose, to_json, to_markdown

    found = diagnose()
    result(json.dumps(to_json(found), indent=2) if as_json else to_markdown(found))
    if not found.works:
        raise SystemExit(1)
