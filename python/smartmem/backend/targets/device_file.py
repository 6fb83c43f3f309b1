"""Target files: a Vulkan device's properties as JSON, to compile for it elsewhere.

    {"schema_version": 1, "device": {"name": "Adreno (TM) 740", ...}}

The properties are kept, not the compiler flags made from them, so that a file stays
useful when better flags are found. Vulkan Profiles files are read too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smartmem.backend.targets.vulkan_device import VulkanDevice
from smartmem.backend.targets.vulkan_profile import device_of_profile, is_profile
from smartmem.errors import TargetError
from smartmem.files import refuse_special, write_file

SCHEMA_VERSION = 1


def write_device(device: VulkanDevice, path: Path) -> None:
    """Writes the target file of ``device``.

    Raises:
        InvalidInputError: ``path`` cannot be written.
    """
    content = {"schema_version": SCHEMA_VERSION, "device": device.to_json()}
    text = json.dumps(content, indent=2) + "\n"
    write_file(path, lambda out: out.write(text.encode()))


def read_device(path: Path) -> VulkanDevice:
    """The device a target file describes.

    Raises:
        TargetError: the file cannot be read or is not a target file.
    """
    try:
        refuse_special(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"cannot read target file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{path} is not a target file: {error}; {_HOW_TO_WRITE}") from error
    try:
        if isinstance(content, dict) and is_profile(content):
            return device_of_profile(content)
        return VulkanDevice.from_json(_device_values(content))
    except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise TargetError(f"{path} is not a target file: {error}; {_HOW_TO_WRITE}") from error


_HOW_TO_WRITE = "write one with `smartmem targets --save FILE vulkan`"


def _device_values(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or "schema_version" not in content:
        raise ValueError("it has no schema_version")
    version = content["schema_version"]
    if version != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {version!r}, this SmartMem reads 1")
    device = content.get("device")
    if not isinstance(device, dict):
        raise TypeError("it has no device")
    return device
