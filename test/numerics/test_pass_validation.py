"""No pass changes what random graphs compute, for a CPU, an Adreno and a Mali.

The reference interpreter runs them before and after each pass, so nothing is compiled.
benchmarks/validate_passes.py takes other graphs, and more.
"""

from __future__ import annotations

import pytest
from validate_passes import TARGETS, Tally, draw, validate_graph

from smartmem.backend.targets.targets import resolve_target
from smartmem.options import LAYOUTS

PAIRS = 2000


@pytest.mark.parametrize("number", range(4))
def test_no_pass_changes_numbers(number: int) -> None:
    tally, targets = Tally(), [resolve_target(name) for name in TARGETS]
    draw(number, 7, lambda graph: validate_graph(graph, targets, tally, LAYOUTS))
    assert not tally.faults
    assert not tally.unknown
    assert tally.pairs >= PAIRS // 4
    assert tally.changed > tally.pairs // 6
