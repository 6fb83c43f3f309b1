"""How ``smartmem-opt --list-passes`` describes a pass with options."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from smartmem.passes import Pass
from smartmem.tools.opt_listing import pass_listing


@dataclass(frozen=True)
class WithOptions(Pass):
    """Does nothing."""

    argument = "smartmem-with-options"
    summary = "Do nothing"

    max_pieces: int = 4
    """Most pieces that are
    looked at."""

    strict: bool = False

    label: str = "none"
    """Text in the report."""


def test_options_are_listed_with_type_text_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smartmem.tools.opt_listing.PASSES", (WithOptions,))
    lines = [" ".join(line.split()) for line in pass_listing().splitlines()]
    assert lines[:6] == [
        "SmartMem's passes:",
        "--smartmem-with-options - Do nothing",
        "max-pieces=<int> - Most pieces that are looked at. (default: 4)",
        "strict=<bool> - (default: false)",
        "label=<str> - Text in the report. (default: none)",
        "",
    ]
