"""The passes plan as many kernels as before for cut-down networks of each architecture."""

from __future__ import annotations

import json

import pytest
from planned_kernels import COUNTS, FOLDER, TARGETS, planned_kernels, read_graph

EXPECTED = json.loads(COUNTS.read_text())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", EXPECTED)
def test_as_many_kernels_are_planned_as_before(name: str, target: str) -> None:
    """If fewer are: ``python benchmarks/planned_kernels.py`` writes the new counts."""
    found = planned_kernels(read_graph(FOLDER / f"{name}.onnx"), target)
    assert found == EXPECTED[name][target]
