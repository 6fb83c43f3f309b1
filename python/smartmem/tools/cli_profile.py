"""``smartmem profile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from smartmem.errors import InvalidInputError
from smartmem.tools.cli_compile import ModelArgument
from smartmem.tools.cli_console import command, note, result, stage_progress
from smartmem.tools.cli_files import check_output
from smartmem.tools.cli_run import DeviceOption, input_arrays, note_random_inputs
from smartmem.tools.cli_settings import CompileSettings, DataSettings, MessageSettings


@command
def profile_command(
    model: ModelArgument,
    build: CompileSettings,
    data: DataSettings,
    messages: MessageSettings,
    device: DeviceOption = "auto",
    runs: Annotated[int, typer.Option(min=1, help="Inferences that are timed.")] = 20,
    rates: Annotated[
        bool, typer.Option("--rates/--no-rates", help="Measure what the device can do, too.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.json", help="Write the profile there."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write a trace for Perfetto or Chrome there."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Write a roofline plot there; also .png, .pdf."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile a model and time each of its kernels on the device, by the layers of the model.

    IREE's profiler takes the times. Attained is the share of the device's rates, which are
    measured with a few small kernels.
    """
    import smartmem
    from smartmem.compiler.stages import refuse_module
    from smartmem.profiling.profile import save
    from smartmem.profiling.roofline import SUFFIXES, save_roofline
    from smartmem.profiling.session import profile
    from smartmem.profiling.text import render
    from smartmem.profiling.trace import chrome_trace

    refuse_module(model)
    for path in filter(None, (output, trace)):
        check_output(path, ".json", model)
    if plot is not None:
        _check_plot(plot, SUFFIXES, rates)
    target = device if build.target == "auto" else build.target
    with stage_progress(messages, model.name) as progress:
        options = build.options(progress, inspect_kernels="compiled")
        compiled = smartmem.compile(model, target=target, options=options)
    compiled.device = device
    arrays = input_arrays(compiled.inputs, data)
    found = profile(compiled, arrays, runs=runs, with_rates=rates, timeout_s=build.timeout)
    result(json.dumps(found.to_json(), indent=1) if as_json else render(found))
    note_random_inputs(data, messages)
    if output is not None:
        save(found.to_json(), output)
        note(f"wrote {output}", messages)
    if trace is not None:
        save(chrome_trace(found), trace)
        note(f"wrote {trace}: open it in ui.perfetto.dev or chrome://tracing", messages)
    if plot is not None:
        save_roofline(found, plot)
        note(f"wrote {plot}", messages)


def _check_plot(path: Path, suffixes: tuple[str, ...], rates: bool) -> None:
    if path.suffix not in suffixes:
        raise InvalidInputError(
            f"cannot plot to {path}: name a file that ends with {', '.join(suffixes)}"
        )
    if not rates:
        raise InvalidInputError("a roofline needs the device's rates; leave out --no-rates")
    check_output(path, path.suffix, Path())
