"""``smartmem demo``: one table that shows what SmartMem does with a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.errors import InvalidInputError
from smartmem.tools.cli_console import command, note, result, stage_progress
from smartmem.tools.cli_settings import MessageSettings

if TYPE_CHECKING:
    from smartmem.checking.check import CheckedModel


@command
def demo_command(
    messages: MessageSettings,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Any model that compile takes; by default a small Swin Transformer.",
            show_default=False,
        ),
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Measured runs on each device.")] = 5,
) -> None:
    """Compile a model for every device of this machine, check and measure it.

    Ends with 1 if the error against the original is too large on one.
    """
    from smartmem.checking.check import check_model
    from smartmem.options import CompileOptions

    model = example_model() if model is None else model
    columns: list[CheckedModel] = []
    for target in _targets(messages):
        with stage_progress(messages, f"{model.name} for {target}") as progress:
            options = CompileOptions(progress=progress, keep_ir=False, inspect_kernels=True)
            columns.append(check_model(model, target=target, options=options))
    result(_table(model, columns, repetitions))
    for checked in columns:
        checked.result.require()


def example_model() -> Path:
    """The model that comes with SmartMem.

    Raises:
        InvalidInputError: it did not come with this installation.
    """
    from smartmem.installed_files import data_folder

    folder = data_folder("_data/examples", "examples")
    path = None if folder is None else folder / "small_swin.onnx"
    if path is None or not path.is_file():
        raise InvalidInputError("this installation has no example model; name a model")
    return path


def _targets(messages: MessageSettings) -> list[str]:
    from smartmem.backend.device.devices import probe_vulkan, usable_devices

    devices = usable_devices()
    if not devices:
        reason = probe_vulkan().reason or "no device is usable"
        note(f"without Vulkan: {reason}", messages)
    return ["cpu", *(f"vulkan:{device.index}" for device in devices[:1])]


def _table(model: Path, columns: list[CheckedModel], repetitions: int) -> str:
    from smartmem.report.text import new_table, render_text

    table = new_table(f"{model.name} by SmartMem", "", *map(_heading, columns))
    rows = [_column(checked, repetitions) for checked in columns]
    for name in rows[0]:
        table.add_row(name, *(row[name] for row in rows))
    return render_text([table])


def _heading(checked: CheckedModel) -> str:
    return checked.result.device


def _column(checked: CheckedModel, repetitions: int) -> dict[str, str]:
    """What one column of the table says, by row."""
    from smartmem.dialect import GROUPS
    from smartmem.report.text import format_bytes, format_seconds

    compiled, report = checked.compiled, checked.compiled.report
    inventory = report.inventory
    groups = {
        f"operations {group}": sum(c.count for c in inventory.ops if c.group == group)
        for group in GROUPS
    }
    times = compiled.benchmark(repetitions=repetitions, warmup=1)
    return {
        **{name: str(count) for name, count in groups.items()},
        "data-movement operations": str(inventory.movements),
        "bytes moved by them": format_bytes(inventory.bytes_moved),
        "kernels": str(report.kernels.kernels),
        "kernels that only move data": str(report.movement_kernels),
        "compile time": format_seconds(report.seconds()),
        "latency (median)": format_seconds(times.median),
        f"error against {checked.result.reference}": f"{checked.result.error:.1e}",
    }
