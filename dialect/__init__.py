"""The ``smartmem`` dialect, defined in Python on MLIR's bindings.

``load(context)`` makes the dialect known to a context. A Python-defined dialect
belongs to one context, so every new context loads it anew; a second call for the
same context does nothing.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import ext


class SmartMem(ext.Dialect, name="smartmem"):
    """Operations and attributes of SmartMem."""


def load(context: ir.Context) -> None:
    """Loads the dialect into ``context`` unless it is loaded already."""
    if context.is_dialect_loaded(SmartMem.DIALECT_NAMESPACE):
        return
    with context:
        SmartMem.load()
