"""``smartmem report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smartmem.tools.cli_console import command, note
from smartmem.tools.cli_files import check_output
from smartmem.tools.cli_settings import MessageSettings


@command
def report_command(
    report: Annotated[
        Path, typer.Argument(metavar="REPORT", help="What `smartmem compile --report` wrote.")
    ],
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The page; by default beside the report."
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Show the times that `smartmem profile` wrote."),
    ] = None,
) -> None:
    """Write a report as one page for a browser, which needs no network.

    It shows the model before and after, side by side, and what became of each operator.
    """
    from smartmem.page.page import read_report, write_page
    from smartmem.profiling.profile import read_times

    path = output or report.with_suffix(".html")
    check_output(path, ".html", report)
    values = read_report(report)
    times = None if profile is None else read_times(profile, values["model"])
    write_page(values, path, times)
    note(f"wrote {path}: {path.stat().st_size / 1e6:.1f} MB", messages)
