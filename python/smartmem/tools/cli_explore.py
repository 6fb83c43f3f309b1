"""``smartmem explore``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from smartmem.errors import ToolMissingError
from smartmem.tools.cli_compile import ModelArgument
from smartmem.tools.cli_console import command, note, stage_progress
from smartmem.tools.cli_files import check_output
from smartmem.tools.cli_settings import CompileSettings, MessageSettings


@command
def explore_command(
    model: ModelArgument,
    build: CompileSettings,
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The stages; by default beside the model."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show/--no-show", help="Start Model Explorer with them.")
    ] = True,
    port: Annotated[int, typer.Option(help="Port of Model Explorer's server.")] = 8080,
) -> None:
    """Compile a model, and show its stages and kernels in Model Explorer.

    Nodes can be coloured by bytes and by time. Needs the package ai-edge-model-explorer.
    """
    if show and find_spec("model_explorer") is None:
        raise ToolMissingError(
            "Model Explorer is missing: pip install 'smartmem[explorer]', or write the stages "
            "alone with --no-show"
        )
    from smartmem.compiler.stages import refuse_module
    from smartmem.explorer.stages import SUFFIX, stages_of, write_stages

    refuse_module(model)
    path = output or model.with_suffix(SUFFIX)
    check_output(path, SUFFIX, model)
    with stage_progress(messages, model.name) as progress:
        values = stages_of(model, build.target, build.options(progress))
    write_stages(values, path)
    note(f"wrote {path}: {', '.join(values['stages'])} and kernels", messages)
    if show:
        from smartmem.explorer.show import show_stages

        show_stages(path, port)
