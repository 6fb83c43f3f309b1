"""``smartmem tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.tools.cli_compile import ModelArgument
from smartmem.tools.cli_console import command, note, stage_progress
from smartmem.tools.cli_files import check_output
from smartmem.tools.cli_run import DeviceOption
from smartmem.tools.cli_settings import CompileSettings, MessageSettings

if TYPE_CHECKING:
    from smartmem.tuning.session import Outcome


@command
def tune_command(
    model: ModelArgument,
    build: CompileSettings,
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Tuning file; by default MODEL.tuning.json. One that is there is continued.",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Time to spend; what is not done then is left.")
    ] = 10.0,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="Worker threads on a CPU; one per core by default."),
    ] = None,
) -> None:
    """Measure a model's kernels and fusions, and the device, on this machine.

    Tile sizes; on a Vulkan device also how kernels should read; and what the device does per
    second. `smartmem compile --tuning FILE` takes what is faster. A session that was
    interrupted goes on where it ended.
    """
    from smartmem.tuning.tune import tune

    path = output or model.with_suffix(".tuning.json")
    check_output(path, ".json", model, goes_on=True)
    # The names of this machine's devices are names of targets too.
    target = device if build.target == "auto" else build.target
    with stage_progress(messages, model.name) as progress:
        outcome = tune(
            model,
            path,
            target=target,
            options=build.options(progress),
            device=device,
            threads=threads,
            minutes=minutes,
            progress=progress,
        )
    note(
        f"wrote {path}: {outcome.measured} kernels measured, {outcome.faster} of them faster "
        f"with other tiles{_images(outcome)}, {outcome.known} known before, {outcome.left} left",
        messages,
    )
    if pairs := outcome.pairs:
        note(
            f"{pairs.measured} pairs of kernels measured as one and as two, {pairs.faster} "
            f"decided otherwise than by rule, {pairs.known} known before, {pairs.left} left",
            messages,
        )
    if outcome.left or (pairs and pairs.left):
        note(_how_to_go_on(outcome), messages)


def _images(outcome: Outcome) -> str:
    return f", {outcome.images} through another storage" if outcome.images else ""


def _how_to_go_on(outcome: Outcome) -> str:
    pairs = outcome.pairs
    if outcome.measured or (pairs is not None and pairs.measured):
        return "the time was over; the same command goes on"
    return "the time was over before anything was measured; give more with --minutes"
