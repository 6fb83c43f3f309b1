"""The passes of SmartMem, in the order in which the pipeline runs them.

``PASSES`` is the one table that ``smartmem-opt``, the compiler, the documentation
and the tests read.
"""

from __future__ import annotations

from smartmem.passes.base import Pass, PassContext, Remark

__all__ = ["PASSES", "Pass", "PassContext", "Remark"]

PASSES: tuple[type[Pass], ...] = ()
