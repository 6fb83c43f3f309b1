"""Translation validation: a pass must not change what a module computes.

``Validator`` runs a module in the reference interpreter before and after each pass and
compares. The first pass that changes numbers is named, and what shows it is cut down and
written to a folder. ``locate`` says where a wrong result of a compiled model comes from.
"""

from __future__ import annotations

from smartmem.validation.validator import Validator, validate

__all__ = ["Validator", "validate"]
