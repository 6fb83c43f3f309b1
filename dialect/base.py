"""The dialect class itself, to which attributes and operations attach themselves."""

from __future__ import annotations

from torch_mlir.dialects import ext


class SmartMem(ext.Dialect, name="smartmem"):
    """Operations and attributes of SmartMem."""
