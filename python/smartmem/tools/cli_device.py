"""``smartmem device``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.tools.cli_console import command, result
from smartmem.tools.cli_settings import MessageSettings

if TYPE_CHECKING:
    from smartmem.backend.targets.vulkan_device import VulkanDevice

# Properties of a device and what people call them, in the order in which they are shown.
_ROWS = {
    "driver": "driver",
    "type": "kind of device",
    "memory_bytes": "memory, bytes",
    "subgroup_size": "threads in a subgroup",
    "max_workgroup_size": "threads in a workgroup, x y z",
    "max_workgroup_invocations": "threads in a workgroup",
    "max_workgroup_memory_bytes": "memory of a workgroup, bytes",
    "max_workgroup_counts": "workgroups, x y z",
    "max_storage_buffer_range": "bytes of a storage buffer",
    "max_push_constants_size": "bytes of push constants",
    "min_storage_buffer_offset_alignment": "alignment of storage buffers, bytes",
    "max_texel_buffer_elements": "texels of a texel buffer",
    "min_texel_buffer_offset_alignment": "alignment of texel buffers, bytes",
    "max_image_dimension_2d": "texels in a row or column of a 2D image",
    "features": "features",
}


@command
def device_command(
    messages: MessageSettings,
    device: Annotated[
        str,
        typer.Argument(
            metavar="[DEVICE]",
            help="A number of the list that `smartmem targets` shows, or part of a name; by "
            "default the first that IREE can use.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a Vulkan device of this machine: its limits, and how kernels read on it.

    `smartmem targets --save FILE vulkan` writes the same as a target file.
    """
    from smartmem.backend.device.devices import select_device

    found = select_device(device.removeprefix("vulkan").removeprefix(":"))
    if as_json:
        result(json.dumps({**found.to_json(), "storage": _storage(found)}, indent=2))
    else:
        result(_text(found))


def _storage(device: VulkanDevice) -> dict[str, str]:
    from smartmem.backend.targets.storage import family_of
    from smartmem.backend.targets.targets import device_target

    family = family_of(device_target(device))
    return {"reads": family.reads, "writes": "buffer", "source": family.source}


def _text(device: VulkanDevice) -> str:
    from smartmem.report.text import new_table, render_text

    values = device.to_json()
    table = new_table(str(device), "property", "value")
    for name, words in _ROWS.items():
        value = values[name]
        table.add_row(words, ", ".join(map(str, value)) if _is_list(value) else str(value))
    storage = _storage(device)
    table.add_row("--storage=auto reads through", storage["reads"])
    table.add_row("  because", storage["source"])
    table.columns[1].justify = "left"
    return render_text([table])


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))
