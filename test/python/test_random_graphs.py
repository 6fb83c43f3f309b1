"""Random ONNX graphs compute what onnx's reference evaluator says."""

from __future__ import annotations

import pytest
from check_random_graphs import check_smartmem
from hypothesis import HealthCheck, Phase, given, note, settings
from random_graphs import RandomGraph, graphs

from smartmem.backend.targets import resolve_target


# The same graphs in every run, and none smaller if one fails: each compilation takes half a
# second. benchmarks/check_random_graphs.py draws others and finds the smallest that fails.
@settings(
    max_examples=50,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(graphs())
@pytest.mark.fallback  # IREE cannot compile every group of booleans
def test_random_graphs_compute_what_onnx_does(graph: RandomGraph) -> None:
    note(str(graph))
    assert not check_smartmem(graph, resolve_target("cpu"), timeout_s=60).fault
