"""SmartMem's Vulkan library (``runtime/``): modules with image-backed buffers need it.

It stands between IREE's runtime and the Vulkan loader. It is built when SmartMem is
installed where there are a C++ compiler and the Vulkan headers. Without it, Mesa's software
devices keep two processors busy while they are open, for they poll where IREE waits.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

import smartmem
from smartmem.backend.device import hal
from smartmem.errors import TargetError

NAMES = ("libsmartmem_vulkan.so", "libsmartmem_vulkan.dylib")
# A library that lies elsewhere.
PATH_VARIABLE = "SMARTMEM_VULKAN_LIBRARY"

FILL_VARIABLE = "SMARTMEM_VULKAN_FILL"
"""What the library fills new memory with: "nan", or nothing."""


def find_image_library() -> Path | None:
    """The library's file, or None if it was not built."""
    if given := os.environ.get(PATH_VARIABLE):
        return Path(given)
    folders = (Path(folder, "_native") for folder in smartmem.__path__)
    files = (folder / name for folder in folders for name in NAMES)
    return next((file for file in files if file.is_file()), None)


def library_for(module_name: str, *, has_images: bool, is_software: bool) -> Path | None:
    """The library's file, if a module is to run through it.

    Args:
        module_name: for messages.
        has_images: the module has image-backed buffers.
        is_software: its device computes on the host's processors. It works without the
            library, too; a Vulkan loader that the environment names is left alone then.

    Raises:
        TargetError: the module needs the library, and it was not built or does not load.
    """
    if has_images:
        return require_image_library(module_name)
    path = find_image_library() if is_software else None
    if path is None or hal.LOADER_VARIABLE in os.environ:
        return None
    try:
        _load(path)
    except OSError:
        return None
    return path


def require_image_library(module_name: str) -> Path:
    """The library's file, for a module that needs it.

    Raises:
        TargetError: it was not built, or does not load.
    """
    path = find_image_library()
    if path is None:
        raise TargetError(
            f"{module_name} reads its buffers as images, for which SmartMem's Vulkan library "
            "is needed, and this installation has none: install a C++ compiler and the Vulkan "
            "headers (on Debian and Ubuntu: apt-get install g++ libvulkan-dev), then SmartMem "
            "again; or compile the module with storage buffer"
        )
    try:
        _load(path)
    except OSError as error:
        raise TargetError(
            f"SmartMem's Vulkan library, which {module_name} needs, does not load: {error}"
        ) from error
    return path


@functools.cache
def _load(path: Path) -> Any:
    library = ctypes.CDLL(str(path))
    library.smartmem_vulkan_take_error.restype = ctypes.c_size_t
    library.smartmem_vulkan_take_error.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.smartmem_vulkan_statistics.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.smartmem_vulkan_statistics.restype = None
    return library


def take_error(path: Path) -> str:
    """The library's last error message since the last call; empty if there was none."""
    text = ctypes.create_string_buffer(1024)
    _load(path).smartmem_vulkan_take_error(text, len(text))
    return text.value.decode(errors="replace")


class ImageStatistics(ctypes.Structure):
    """Counts since the process started, and of what lives now, over all devices.

    A recorded dispatch counts each of its image-backed bindings once: as a texel buffer, as
    a 2D image, or as a buffer where the device could not do otherwise.
    """

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "image_dispatches",
            "texel_bindings",
            "image_bindings",
            "fallback_bindings",
            "views_made",
            "live_views",
            "live_images",
            "filled_bytes",
        )
    ]


def image_statistics(path: Path) -> ImageStatistics:
    """What the library has done in this process."""
    statistics = ImageStatistics()
    _load(path).smartmem_vulkan_statistics(ctypes.byref(statistics), ctypes.sizeof(statistics))
    return statistics
