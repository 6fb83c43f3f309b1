"""Random ONNX graphs compute what onnx's reference evaluator says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from check_random_graphs import check_smartmem
from hypothesis import given, note, settings
from random_graphs import DRAWN, RandomGraph, graphs

from smartmem.backend.device.image_library import find_image_library
from smartmem.backend.targets.targets import resolve_target


# The same graphs in every run, and none smaller if one fails: each compilation takes half a
# second. benchmarks/check_random_graphs.py draws others and finds the smallest that fails.
@settings(DRAWN, max_examples=40, derandomize=True)
@given(graphs())
@pytest.mark.fallback  # IREE cannot compile every group of booleans
def test_random_graphs_compute_what_onnx_does(graph: RandomGraph) -> None:
    note(str(graph))
    assert not check_smartmem(graph, resolve_target("cpu"), timeout_s=60).fault


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "check_random_graphs.py"


# By the script: it starts a process for each graph, which a process with a device cannot.
@pytest.mark.vulkan
@pytest.mark.parametrize(
    ("seed", "storage", "count"), [(0, "buffer", 20), (1, "texel_buffer", 10)]
)
def test_random_graphs_on_vulkan(seed: int, storage: str, count: int, tmp_path: Path) -> None:
    if storage != "buffer" and find_image_library() is None:
        pytest.skip("SmartMem's Vulkan library is not built")
    asked = f"--target vulkan --count {count} --seed {seed} --storage {storage} --minutes 30"
    done = subprocess.run(
        [sys.executable, SCRIPT, *asked.split(), "--save", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} of {count} graphs passed" in done.stdout


def test_refreshed_inputs_are_others() -> None:
    @settings(max_examples=5, derandomize=True, database=None)
    @given(graphs())
    def check(graph: RandomGraph) -> None:
        other = graph.refreshed(1)
        assert other.expected.keys() == graph.expected.keys()
        assert all(other.inputs[n].shape == graph.inputs[n].shape for n in graph.inputs)

    check()
