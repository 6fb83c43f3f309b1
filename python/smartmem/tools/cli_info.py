"""``smartmem info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from smartmem.tools.cli_console import command, plain, result, stage_progress
from smartmem.tools.cli_files import is_module
from smartmem.tools.cli_settings import CompileSettings, MessageSettings


@command
def info_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL|MODULE", help="A model, or a compiled .vmfb.")
    ],
    build: CompileSettings,
    messages: MessageSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show operations by group, data movement, kernels and bytes of a model for a target.

    Of a compiled module: its target, what it needs of a device, inputs and outputs.
    """
    if is_module(model):
        values = _module_info(model)
        result(json.dumps(values, indent=2) if as_json else _text(values))
        return
    import smartmem

    with stage_progress(messages, model.name) as progress:
        options = build.options(progress, inspect_kernels=True)
        report = smartmem.compile(model, target=build.target, options=options).report
    result(json.dumps(report.to_json(), indent=2) if as_json else str(report))


def _module_info(path: Path) -> dict[str, Any]:
    from smartmem.backend.module.module_file import ModuleFile

    metadata = ModuleFile(path).metadata
    needs = metadata.requirements
    return {
        "module": str(path),
        "target": metadata.target_name,
        "kind": metadata.kind,
        "inputs": [str(spec) for spec in metadata.inputs],
        "outputs": [str(spec) for spec in metadata.outputs],
        "requirements": needs.to_json() if needs else None,
        "images": dict(metadata.images),
        "bytes": path.stat().st_size,
    }


def _text(values: dict[str, Any]) -> str:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            parts = [f"{name} {plain(item)}" for name, item in value.items()]
        else:
            parts = value if isinstance(value, list) else [str(value)]
        lines += [f"{key + ':':<14}{parts[0] if parts else 'none'}"]
        lines += [f"{'':<14}{part}" for part in parts[1:]]
    return "\n".join(lines)
