"""The section ``fusions`` of a tuning file: seconds of pairs as one kernel and as two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smartmem.passes.analysis.fusion.profile import PairTimes


def plain_fusions(fusions: Mapping[str, PairTimes]) -> dict[str, dict[str, float | None]]:
    """The section's values, in the order of their keys."""
    return {
        key: {"fused_seconds": times.fused_s, "apart_seconds": times.apart_s}
        for key, times in sorted(fusions.items())
    }


def parsed_fusions(section: Mapping[str, Any]) -> dict[str, PairTimes]:
    """What the values of the section say.

    Raises:
        KeyError: a field is missing.
        ValueError, TypeError, AttributeError: a value is none.
    """
    return {key: _parsed(values) for key, values in section.items()}


def _parsed(values: Mapping[str, Any]) -> PairTimes:
    fused, apart = values["fused_seconds"], float(values["apart_seconds"])
    fused = None if fused is None else float(fused)
    if not apart > 0 or not (fused is None or fused > 0):
        raise ValueError(f"{dict(values)} are no seconds")
    return PairTimes(fused, apart)
