"""SmartMem: a compiler pipeline that removes layout transformations from networks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("smartmem")
except PackageNotFoundError:  # an uninstalled source tree
    __version__ = "0+unknown"

__all__ = ["__version__"]
