"""``smartmem targets``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.errors import TargetError
from smartmem.tools.cli_console import command, note, plain, result
from smartmem.tools.cli_settings import MessageSettings

if TYPE_CHECKING:
    from smartmem.backend.targets.targets import Target


@command
def targets_command(
    messages: MessageSettings,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="Show this target alone, with its needs."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the properties of the Vulkan device TARGET as a target file, to "
            "compile for it on another machine.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the targets, or show or save one.

    Products such as adreno-740 and every other name that iree-compile takes for
    --iree-vulkan-target work too.
    """
    if save is not None:
        _save(target or "vulkan", save, messages)
    elif target is not None:
        _show(target, as_json)
    else:
        _list(as_json)


def _list(as_json: bool) -> None:
    from smartmem.backend.targets.targets import list_targets
    from smartmem.report.text import new_table, render_text

    targets = list_targets()
    if as_json:
        rows = [{"name": t.name, "kind": t.kind, "description": t.description} for t in targets]
        result(json.dumps(rows, indent=2))
        return
    table = new_table("Targets", "name", "kind", "description")
    for column in table.columns:
        column.justify = "left"
    for target in targets:
        table.add_row(target.name, target.kind, target.description)
    result(render_text([table]))


def _show(name: str, as_json: bool) -> None:
    from smartmem.backend.targets.targets import resolve_target

    target = resolve_target(name)
    needs = target.requirements.to_json() if target.requirements else {}
    values = {
        "name": target.name,
        "kind": target.kind,
        "description": target.description,
        "requirements": needs,
        "storage": _storage(target),
        "iree_flags": [*target.iree_flags],
    }
    if as_json:
        result(json.dumps(values, indent=2))
        return
    lines = [f"{target.name} ({target.kind}): {target.description}", "needs:"]
    lines += [f"  {key}: {plain(value)}" for key, value in needs.items()]
    lines += [f"{key}: {value}" for key, value in _storage(target).items()]
    lines += ["iree-compile flags:", *(f"  {flag}" for flag in target.iree_flags)]
    result("\n".join(lines))


def _storage(target: Target) -> dict[str, object]:
    """What ``--storage=auto`` does on a target; nothing on a CPU."""
    if target.kind == "cpu":
        return {}
    from smartmem.backend.targets.storage import family_of, limits_of

    family, limits = family_of(target), limits_of(target)
    return {
        "reads through": family.reads,
        "because": family.source,
        "texels of a texel buffer": limits.texel_buffer_elements,
        "texels in a row or column of an image": limits.image_dimension,
    }


def _save(name: str, path: Path, messages: MessageSettings) -> None:
    from smartmem.backend.targets.device_file import write_device
    from smartmem.backend.targets.targets import resolve_target

    device = resolve_target(name).device
    if device is None:
        raise TargetError(
            f"target {name} is not a Vulkan device at hand, its properties are not known; "
            "save vulkan, vulkan:1 ..., and give other names to --target as they are"
        )
    write_device(device, path)
    note(f"wrote {path}: {device}", messages)
