"""The ``smartmem`` dialect, defined in Python on MLIR's bindings.

``load(context)`` makes the dialect known to a context. A Python-defined dialect
belongs to one context, so every new context loads it anew; a second call for the
same context does nothing.
"""

from __future__ import annotations

import threading

from torch_mlir import _mlir_libs, ir

from smartmem.dialect.attributes import (
    GROUPS,
    MANY_TO_MANY,
    MAPPINGS,
    ONE_TO_MANY,
    ONE_TO_ONE,
    REORGANIZE,
    SHUFFLE,
    GroupAttr,
    LayoutAttr,
    MappingAttr,
    group,
    layout,
    layout_fault,
    layout_of,
    mapping,
    physical_layout_of,
    primitives_of,
    storage_of,
)
from smartmem.dialect.base import SmartMem
from smartmem.dialect.ops import ConcatOp, RelayoutOp, ViewOp, concat, relayout, view

__all__ = [
    "GROUPS",
    "MANY_TO_MANY",
    "MAPPINGS",
    "ONE_TO_MANY",
    "ONE_TO_ONE",
    "REORGANIZE",
    "SHUFFLE",
    "ConcatOp",
    "GroupAttr",
    "LayoutAttr",
    "MappingAttr",
    "RelayoutOp",
    "ViewOp",
    "concat",
    "group",
    "layout",
    "layout_fault",
    "layout_of",
    "load",
    "mapping",
    "physical_layout_of",
    "primitives_of",
    "relayout",
    "storage_of",
    "view",
]

_mlir_libs._mlir.globals.append_dialect_search_prefix(f"{__name__}.namespaces")


# The dialect's class holds what is being loaded.
_LOADING = threading.Lock()


def load(context: ir.Context) -> None:
    """Loads the dialect into ``context`` unless it is loaded already.

    Threads may load it into contexts of their own at the same time.
    """
    with _LOADING:
        _load(context)


def _load(context: ir.Context) -> None:
    if context.is_dialect_loaded(SmartMem.DIALECT_NAMESPACE):
        return
    with context, ir.Location.unknown():
        SmartMem.load()
    # The class keeps the module that defined the dialect, and with it the context.
    SmartMem._mlir_module = None
