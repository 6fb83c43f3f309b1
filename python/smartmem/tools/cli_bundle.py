"""``smartmem bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smartmem.tools.cli_console import command, note
from smartmem.tools.cli_settings import MessageSettings


@command
def bundle_command(
    module: Annotated[Path, typer.Argument(metavar="MODULE", help="A compiled .vmfb.")],
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder; by default beside the module."
        ),
    ] = None,
    android: Annotated[
        bool,
        typer.Option("--android", help="Add a Gradle module for an AAR with a Kotlin API."),
    ] = False,
) -> None:
    """Write a folder to build a program from that runs a module on Android or Linux.

    It holds the module, C sources, a CMake project and a README with the steps.
    """
    from smartmem.bundle.bundle import write_bundle

    folder = output or module.with_name(f"{module.stem}-bundle")
    written = write_bundle(module, folder, android=android)
    note(f"wrote {len(written)} files to {folder}; {folder / 'README.md'} says more", messages)
