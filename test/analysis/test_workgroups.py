"""How many workgroups a kernel is cut into, and how workers share them."""

from __future__ import annotations

import heapq
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartmem.index_map import IndexMap, dim
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.tiling.cpu_workers import _most, waiting
from smartmem.passes.analysis.tiling.cpu_workgroups import (
    row_workgroups,
    workgroup_count,
    workgroup_sizes,
)


def busiest(count: int, workers: int) -> int:
    """What iree/task does: workers that are done take the next workgroups."""
    at_once = 1 if count < 8 * workers else 8
    busy = [0] * min(workers, count)
    for first in range(0, count, at_once):
        heapq.heapreplace(busy, busy[0] + min(at_once, count - first))
    return max(busy)


@given(st.integers(1, 2000), st.integers(1, 16))
def test_the_busiest_worker_is_known(count: int, workers: int) -> None:
    assert _most(count, workers) == busiest(count, workers)


@given(st.integers(1, 2000))
def test_no_kernel_is_faster_than_its_work(count: int) -> None:
    assert waiting(count) > 1


@pytest.mark.parametrize(("better", "worse"), [(12, 24), (32, 24), (8, 9), (14, 28), (64, 72)])
def test_numbers_that_workers_share_evenly(better: int, worse: int) -> None:
    assert waiting(better) < waiting(worse)


def contraction(rows: int, blocks: int, lanes: int, steps: int) -> LoopNest:
    """x[m, k] * w[b, k, n] -> [m, b, n]."""
    domain = (rows, blocks, lanes, steps)
    m, b, n, k = map(dim, range(4))
    accesses = tuple(IndexMap(exprs, domain) for exprs in ((m, k), (b, k, n), (m, b, n)))
    return LoopNest(domain, accesses, frozenset({3}), is_contraction=True, uses_index=False)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        # Weights of many MiB are read once: all rows, some blocks. 24 would keep one waiting.
        ((77, 24, 32, 3072), [77, 2, 32, 0]),
        # Weights that stay cached: whole rows of the result.
        ((208, 24, 32, 192), [26, 24, 32, 0]),
        ((784, 6, 32, 768), [98, 6, 32, 0]),
    ],
)
def test_workgroups_of_contractions(shape: tuple[int, int, int, int], sizes: list[int]) -> None:
    rows = next(n for n in range(14, 0, -1) if shape[0] % n == 0)
    assert workgroup_sizes(contraction(*shape), [rows, 1, 32, 0], 0) == sizes


@given(
    st.tuples(
        st.integers(1, 400),
        st.integers(1, 100),
        st.sampled_from([16, 32]),
        st.integers(1, 4096),
    )
)
def test_workgroups_are_whole_blocks(shape: tuple[int, int, int, int]) -> None:
    rows = next(n for n in range(14, 0, -1) if shape[0] % n == 0)
    found = workgroup_sizes(contraction(*shape), [rows, 1, shape[2], 0], 0)
    assert shape[0] % found[0] == 0 and found[0] % rows == 0
    assert shape[1] % found[1] == 0 and found[2:] == [shape[2], 0]


@given(st.integers(1, 4000), st.integers(1, 14), st.integers(16, 3072))
def test_workgroups_are_equal_where_blocks_leave_a_rest(
    rows: int, block: int, steps: int
) -> None:
    found = workgroup_sizes(contraction(rows, 12, 16, steps), [block, 1, 16, 0], 0)
    assert rows % found[0] == 0
    assert found[0] % block == 0 or found[0] >= 4 * block or found[0] == rows


@given(st.lists(st.integers(1, 300), min_size=2, max_size=4))
def test_rows_are_shared_out(extent: list[int]) -> None:
    found = row_workgroups(extent)
    assert len(found) == len(extent) - 1
    assert all(1 <= size <= n for size, n in zip(found, extent, strict=False))
    count = workgroup_count(found, extent[:-1])
    assert 1 <= count <= math.prod(extent[:-1])


def test_few_rows_are_spread_and_many_stay_together() -> None:
    assert row_workgroups([4, 64]) == [1]
    assert row_workgroups([64, 3, 49, 49]) == [8, 3, 49]
