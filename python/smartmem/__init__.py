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
    from smartmem.compiler.compile import CompiledModel, compile
    from smartmem.options import CompileOptions
    from smartmem.report.report import Report
    from smartmem.runtime.executable import Executable, load

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
    "CompiledModel": "smartmem.compiler.compile",
    "Executable": "smartmem.runtime.executable",
    "Report": "smartmem.report.report",
    "compile": "smartmem.compiler.compile",
    "load": "smartmem.runtime.executable",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'smartmem' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
