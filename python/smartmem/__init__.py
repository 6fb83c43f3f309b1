"""SmartMem: a compiler pipeline that removes layout transformations from networks.

import smartmem

compiled = smartmem.compile("model.onnx", target="cpu")
result = compiled(array)
compiled.save("model.vmfb")
again = smartmem.load("model.vmfb")
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from smartmem.errors import SmartMemError

if TYPE_CHECKING:
    from smartmem.compiler import CompiledModel, compile
    from smartmem.executable import Executable, load
    from smartmem.options import CompileOptions
    from smartmem.report import Report

try:
    __version__ = version("smartmem")
except PackageNotFoundError:  # an uninstalled source tree
    __version__ = "0+unknown"

__all__ = [
    "CompileOptions",
    "CompiledModel",
    "Executable",
    "Report",
    "SmartMemError",
    "__version__",
    "compile",
    "load",
]

# Loaded at first use: importing MLIR, IREE and the runtime takes most of the time that
# `smartmem --version` or a tool that needs only one of them would spend.
_HOMES = {
    "CompileOptions": "smartmem.options",
    "CompiledModel": "smartmem.compiler",
    "Executable": "smartmem.executable",
    "Report": "smartmem.report",
    "compile": "smartmem.compiler",
    "load": "smartmem.executable",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'smartmem' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
