"""The passes of SmartMem, in the order in which the pipeline runs them.

``PASSES`` is the one table that ``smartmem-opt``, the compiler, the documentation
and the tests read; ``PIPELINE`` names the points between them at which a compilation
can be looked at and restarted.
"""

from __future__ import annotations

from smartmem.passes.base import Pass, PassContext, Remark
from smartmem.passes.classify_ops import ClassifyOps
from smartmem.passes.demote_f64 import DemoteF64
from smartmem.passes.lower_to_linalg import LowerToLinalg
from smartmem.passes.raise_views import RaiseViews

__all__ = ["PASSES", "PIPELINE", "Pass", "PassContext", "Remark"]

PASSES: tuple[type[Pass], ...] = (
    DemoteF64,
    RaiseViews,
    ClassifyOps,
    LowerToLinalg,
)

# Name of the IR after the last of the passes beside it. "input" is the import.
PIPELINE: tuple[tuple[str, tuple[type[Pass], ...]], ...] = (
    ("views", (DemoteF64, RaiseViews)),
    ("classified", (ClassifyOps,)),
    ("lowered", (LowerToLinalg,)),
)
